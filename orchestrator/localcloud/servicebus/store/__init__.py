"""What the broker asks of a durable store, and the stores that there are.

contract.py    the terms: rows, changes, and a callback once they are durable
sqlite.py      one SQLite file with group commit; statements.py its SQL, departures.py the note of
               what is gone and not yet deleted
memory.py      forgets when the process ends
"""
