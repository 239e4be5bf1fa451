"""Queues and their messages: depth, peek, send, receive, purge; dead letters without loss."""
