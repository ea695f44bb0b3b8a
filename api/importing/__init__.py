"""Imported history: a table of what people did, read by a mapping, taken over as facts."""
