"""Alerts: rules of Azure Monitor, evaluated by the clock, told to webhooks.

rules.py       metric alerts and scheduled query rules, as Resource Manager has them, read
evaluation.py  whether a rule's condition is met at a moment
room.py        evaluates what is due, fires and resolves, remembers, tells
store.py       what has fired, and which notifications are on their way: durable
payload.py webhooks.py   what an action group's webhook is sent, and how often it is tried
"""
