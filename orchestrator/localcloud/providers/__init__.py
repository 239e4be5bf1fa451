"""The resource providers: one module for each service that Resource Manager knows here.

A provider registers hooks and actions for its resource types (`arm.provider`); what it does not
say, `arm.changes` does for all alike. Types that nobody registers are kept as they were sent
(generic.py), with what is known of their services' addresses and keys (published/).

container_apps.py managed_environments.py   Microsoft.App: jobs, executions, environments;
               job_rules.py and job_template.py say what a job must be, app_rules.py what an app
               (apps.py, app_revisions.py) must be, configuration_rules.py what both must
service_bus*.py   Microsoft.ServiceBus: the broker is the truth, a resource is how it is shown
monitor.py insights.py alert_rules.py alerts_management.py   workspaces, metrics, alerts
managed_identity.py authorization.py roles.py   who there is, and what they may do
resources.py registrations.py management_groups.py tags.py …   what belongs to no service;
               moves.py to another group, resource_graph.py queries over all of it
network.py private_*.py registries.py storage.py vaults.py   what jobs need around them: its
               definitions are checked and kept; nothing of it runs

faults.py collects all that is wrong with a body; spelling.py knows how the API spells properties.
"""
