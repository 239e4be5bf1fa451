"""Microsoft.KeyVault, as far as Resource Manager knows it.

vaults.py      vaults, access policies and secrets, which a deployment's parameter may refer to
deleted_vaults.py   those that are kept until they are recovered or purged
"""
