"""Topics: one message in, a copy for each subscription whose rules want it.

topic.py       a topic and its subscriptions, each of which is a queue
definitions.py what may be set of them, and what callers are told
rules.py       filters and actions, compiled; sql/ the language of both
"""
