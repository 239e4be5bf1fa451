"""KQL: asked by name or by text, with parameters; large answers fetched in parts of the time."""
