"""Files that the client keeps for its user."""
