"""Raw files to events to marts: the only code that touches big data."""
