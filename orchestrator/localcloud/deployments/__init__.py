"""Deployments, what-if and deployment stacks: templates run through Resource Manager.

What a template means is worked out in `orchestrator.localcloud.templates`, without I/O; here it is
carried out, by a client of Resource Manager like any other.

provider.py    the requests; kinds.py what they are about; request.py what they ask for; scopes.py
               the four places to deploy to
preparing.py   from a request to a checked plan; linking.py vault_references.py what it refers to
engine.py      runs a plan: each resource as soon as what it waits for is there
calls.py       how it asks Resource Manager
complete.py    what complete mode deletes; rollback.py which deployment one that fails goes back to
whatif.py differences.py   what a plan would change
history.py     how many a scope remembers; specs.py templates that are kept to be linked to
stacks.py      a template's resources as one thing; records.py what callers are shown
exporting.py   the way back: a group's resources as a template
"""
