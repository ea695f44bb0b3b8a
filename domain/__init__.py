"""What is true and what may happen: pure rules over recorded events, and the ledger they go to."""
