"""Ports that nobody has, for servers that are started later or more than once."""

from __future__ import annotations

import socket
from random import Random


def unused_port() -> int:
    """Below those that the system gives to clients: while the server is down, no client must get it."""
    dice = Random()
    while True:
        with socket.socket() as probe:
            port = dice.randrange(20_000, 32_000)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
