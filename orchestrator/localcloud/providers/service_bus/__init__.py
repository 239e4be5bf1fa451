"""Microsoft.ServiceBus: the broker is the truth, a resource is how it is shown.

namespaces.py  namespaces, queues, network rule sets
topics.py      topics, subscriptions, rules; entity.py what they have in common with queues
properties.py topic_properties.py   from the wire's JSON to the broker's definitions, and back
access_rules.py   shared access rules and their keys
recovery.py    geo-disaster recovery and migration, refused
"""
