"""What is observed: Microsoft.Insights, .OperationalInsights and .AlertsManagement.

provider.py    Microsoft.Insights: metrics of resources, what its other modules register
log_analytics.py   workspaces, their tables and saved searches
alert_rules.py alerts_management.py   rules and action groups; alerts that have fired
diagnostics.py diagnostic_categories.py   where a resource's logs are sent to, and which it has
activity_log.py   what was changed, over the wire
billing_features.py   the daily cap of a component
"""
