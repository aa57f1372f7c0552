"""The pure core: protocol, names, room logs, hub and client session, without I/O, clock or randomness."""
