"""Storage engines: they store the logs of rooms and assign the order of posts. See `engine.base`."""
