"""The structures beneath a queue: each keeps one thing in one order, without I/O.

shelf.py session_shelf.py   its messages, by number and oldest first; by session where it has them
sequences.py   an ordered set of sequence numbers
line.py        consumers that stand in line for messages
agenda.py      moments at which something must be looked at, earliest first
history.py     which message ids were seen lately
"""
