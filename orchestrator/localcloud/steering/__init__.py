"""Time under control and faults on demand: what no test can do to Azure itself.

clock.py       the `SteerableClock` that the whole cloud lives by
time_control.py  what moving it means: everything due happens, in order, before the move is over
faults.py      what goes wrong, with which operations, how often; http_faults.py for HTTP listeners
api.py client.py   both over HTTP, and the client that the command and the test fixtures use
"""
