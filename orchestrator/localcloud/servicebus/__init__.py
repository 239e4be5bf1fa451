"""Service Bus: a queue engine that knows no protocol, and an AMQP front that has no policy.

The engine, from the inside out:

model.py limits.py errors.py   its nouns, its limits, what can go wrong
queue.py       which message goes to whom next; intake.py what is accepted, settling.py what becomes
               of a locked message, lifecycle.py what happens by itself, session_*.py sessions
shelf.py sequences.py line.py agenda.py history.py   the structures beneath
topic.py rules.py sql/   a copy for each subscription whose rules want it
transactions.py arrivals.py forwarding.py   what happens in several queues at once, or not at all
store.py       what is asked of a durable store; store_sqlite.py is one, with group commit
broker*.py     namespaces, entities, keys: what everybody outside the engine talks to

The front:

front.py front_peer.py   listeners, and one client connection joined to the AMQP engine
links*.py      one door for each kind of link: senders, receivers, sessions, transactions, requests
cbs.py front_cbs.py      tokens, and what they allow on a connection
management*.py the `$management` node; front_messages.py messages between wire and engine
"""
