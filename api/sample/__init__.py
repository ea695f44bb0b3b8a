"""The sample tenant: two made-up years of a tea brand, decided by the real commands."""
