"""`orchestrator demo`: the sample end to end, counted message by message."""
