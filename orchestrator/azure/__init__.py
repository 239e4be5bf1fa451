"""The way to Azure, or to whatever speaks as it does: where, as whom, through which clients.

A `Profile` is only endpoints, a credential, a CA bundle and names; `clients` builds Microsoft's SDK
clients of it when they are first needed; `failures` puts what they raise into the library's words.
"""
