"""The broker without a protocol."""
