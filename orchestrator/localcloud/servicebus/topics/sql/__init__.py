"""The SQL of subscription rules: filters and actions.

https://learn.microsoft.com/azure/service-bus-messaging/service-bus-messaging-sql-filter and
…/service-bus-messaging-sql-rule-action
"""
