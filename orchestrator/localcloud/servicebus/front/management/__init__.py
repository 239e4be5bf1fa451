"""The `$management` node of an entity: operations beside the message links.

node.py        which operations there are, and what they do
call.py        one request and its one reply
rules.py       rules of a subscription, as the SDKs' rule managers use them
"""
