"""The lines of a room: storage, layout and navigation."""
