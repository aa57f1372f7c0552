"""Terminal input and output beyond what Textual does."""
