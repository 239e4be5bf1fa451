"""Log Analytics: lines and system events kept, asked for in KQL, and streamed as they are written.

model.py       what may be told to the logs, and the door (`LogSink`) through which it is
store.py       takes what comes and writes it shortly after; database.py the DuckDB file itself
tables.py      the tables of a workspace and their columns
api.py         the query API over HTTP; query.py runs a query within its limits, result.py
               writes what it found; errors.py, timespan.py, sql_messages.py: its other words
kql/           KQL to SQL by duckdb-kql, and what it lacks
rewrite*.py    that SQL in words in which DuckDB is fast
feed.py stream.py, event_feed.py event_stream.py   live lines and live events
"""
