"""A small sans-I/O AMQP 1.0 server: types, frames, connection, sessions and links.

It knows nothing of queues or of Service Bus. Specification: OASIS AMQP 1.0, parts 1 to 3 and 5,
http://docs.oasis-open.org/amqp/core/v1.0/os/.
"""
