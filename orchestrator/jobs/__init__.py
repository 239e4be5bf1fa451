"""Jobs: from a table of the settings to the resource and back; show, compare, export, delete."""
