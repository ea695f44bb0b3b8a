"""What may be asked of each stream: one file a stream, one struct a command."""
