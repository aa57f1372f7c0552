"""Several nodes that share rooms: names, members, moderation and tokens across server processes."""
