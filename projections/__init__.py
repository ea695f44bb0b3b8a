"""What follows from the log: read models folded from events, and the queries over them."""
