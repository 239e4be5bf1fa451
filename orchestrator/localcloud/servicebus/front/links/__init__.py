"""What stands at this end of a client's links: one door for each kind.

door.py        what they have in common
receive.py send.py session.py   a client's receivers, senders, receivers of one session
transaction.py the coordinator, at which transactions begin and end
request.py     nodes that answer requests: `$cbs`, `$management`
"""
