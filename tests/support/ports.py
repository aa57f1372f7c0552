"""Unused ports, for servers that are started later or more than once."""

from __future__ import annotations

import socket
from random import Random


def unused_port() -> int:
    """A port outside the ephemeral range, so that no client gets it while the server is down."""
    rng = Random()
    while True:
        with socket.socket() as probe:
            port = rng.randrange(20_000, 32_000)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
