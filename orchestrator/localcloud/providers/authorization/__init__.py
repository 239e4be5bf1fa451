"""Microsoft.Authorization: what may be done by whom, and what is locked.

provider.py    role definitions, role assignments, locks; `arm` obeys them
roles.py role.py   Azure's built-in roles, from azure_roles.txt
provider_operations.py   the operations that roles may allow
unassignable.py   what nobody can write here, told in words
"""
