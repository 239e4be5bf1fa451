"""Azure Monitor's metrics: what the broker and the runtime do, counted by the minute.

sources.py     what is measured: each tells a `Meter`, which never waits and never raises
history.py     one row for each series and minute in which something happened; durable
catalogue.py   which metrics a type has; question.py what a request asks, read strictly
answer.py      minutes joined to grains and series; batch.py the data plane for many resources
room.py        the whole, as the rest of the cloud sees it
"""
