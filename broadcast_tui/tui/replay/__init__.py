"""A recording in the chat screen, without a server."""
