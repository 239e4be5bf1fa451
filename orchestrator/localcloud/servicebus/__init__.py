"""Service Bus: a queue engine that knows no protocol, and an AMQP front that has no policy.

The engine, from the inside out:

model.py limits.py errors.py   its nouns, its limits, what can go wrong
structures/    how messages, moments and waiting consumers are kept in order
queue.py       which message goes to whom next; intake.py what is accepted, settling.py what becomes
               of a locked message, lifecycle.py what happens by itself, idleness.py how long nobody
               came, session_keeping.py sessions
topics/        a copy for each subscription whose rules want it; content.py what rules may ask
transactions.py arrivals.py forwarding.py   what happens in several queues at once, or not at all
store/         what is asked of a durable store, and the stores there are
definitions.py registry.py   what an entity may be, and who is there
partitions.py  what sequence numbers tell of partitions
broker*.py     namespaces, entities, keys: what everybody outside the engine talks to;
               forward_targets.py what it refuses of forwarding
context.py     what a queue needs of the broker
clockwork.py memory.py meter.py   what makes things due; memory given back; what is measured

front/         AMQP, from the listeners to the doors of links: it talks to the broker and its queues
"""
