"""The pure heart: frames, names, room logs, hub and client session, without I/O, clock or randomness."""
