"""Microsoft.Storage, as far as Resource Manager knows it: nothing is stored behind it.

accounts.py    accounts, their addresses and keys
services.py    containers, shares, queues and tables
"""
