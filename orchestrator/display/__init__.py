"""How results look: tables, JSON, YAML, CSV, TSV, progress, live log lines, the status board."""
