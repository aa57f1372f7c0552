"""Export of a room's history, and the reading of such files. Pure: files and connections are elsewhere."""
