"""Alert rules from the settings, and what has fired."""
