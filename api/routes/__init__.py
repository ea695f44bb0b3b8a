"""Every operation behind HTTP, one file a stream or a kind of question."""
