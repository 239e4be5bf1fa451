"""The AMQP front of Service Bus: from a listener's first byte to a queue, and no policy.

listeners.py   AMQP and AMQPS; first_bytes.py which of them a client speaks; websocket.py the same
               within HTTPS
peer.py        one client connection: its doors on one side, the AMQP engine on the other
admission.py   which door a link gets that a client attaches
addresses.py   where an address points
cbs.py cbs_node.py   tokens and what they allow; the node at which a client leaves them
links/         one door for each kind of link
management/    the `$management` node
messages.py content.py decimals.py   messages between the wire and the engine
faults.py      where faults come in on demand
"""
