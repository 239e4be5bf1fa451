"""Live lines and events: streamed, put in order, and joined with the stored ones.

None is told twice and none is left out, over reconnections and late ingestion.
"""
