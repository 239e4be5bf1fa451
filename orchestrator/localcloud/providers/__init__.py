"""The resource providers: what Resource Manager knows of each service.

A provider registers hooks and actions for its resource types (`arm.provider`); what it does not
say, `arm.changes` does for all alike. Types that nobody registers are kept as they were sent
(generic.py, answer_statuses.py), with what is known of their services' addresses and keys
(published/).

container_apps/   Microsoft.App: jobs, executions, environments
service_bus/   Microsoft.ServiceBus: the broker is the truth, a resource is how it is shown
insights/      workspaces, metrics, alerts, diagnostic settings, the activity log
authorization/ managed_identity.py   what may be done by whom, and who there is
network/ storage/ key_vault/ registries.py   what jobs need around them: its definitions are checked
               and kept; nothing of it runs
deployment_scripts.py   scripts that templates run (`scripts/` runs them)
resources.py registrations.py management_groups.py features.py   what belongs to no service;
               tags.py tag_names.py; moves.py to another group; resource_graph.py
               queries over all of it

catalogue.py known_types.py reserved_names.py availability.py   regions, types and
               names: which there are, which may be taken
embedded.py    children that live in a list of their parent
faults.py collects all that is wrong with a body; spelling.py knows how the API spells properties.
"""
