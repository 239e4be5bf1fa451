"""Stored lines and system events, as the log workspace answers for them."""
