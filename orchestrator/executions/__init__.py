"""Executions: start, list, wait, stop, retry; the handle on one, and why it ended as it did."""
