"""The doors: everything through which people and programs reach the ledger."""
