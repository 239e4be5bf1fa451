"""What Azure Monitor measured: series, tables, sparklines, plots."""
