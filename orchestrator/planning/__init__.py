"""What `deploy` would do and does, what has drifted, and what will probably not work."""
