"""Resource Manager: resources of any type, kept and changed by the rules that all of them share.

It knows no type by name; the resource providers bring them. In the order of a request:

http.py ids.py routes.py   the request, what its path addresses, which handler wants it
dispatch.py    who may do it, and who does it; access.py, linked_access.py, locks.py, denials.py
               and throttling.py each say no for a reason of their own
changes.py     PUT, PATCH and DELETE: the same steps for every type
provider.py    what a type adds to those steps: hooks, actions, lists
store.py       the resources, durably; operations.py: changes that take their time
paging.py filters.py   lists; errors.py: refusals in Resource Manager's shape
"""
