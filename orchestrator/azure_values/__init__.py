"""What Azure computes out of nothing but texts and numbers, bit for bit.

Both who write a template (the Bicep compiler, for a parameters file) and who evaluates one (the
local cloud) compute these, with refusals of their own.

hashes.py   guid() and uniqueString(), and the hash behind it
ranges.py   ranges of IP addresses
"""
