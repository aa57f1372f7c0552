"""Rights of a connection, given by a test."""

from __future__ import annotations

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.server import BroadcastServer


def give_role(peer: Peer, role: str) -> None:
    """Let a connection be what a token would make it: `admin`, `member` or `reader`."""
    peer.role = Role(role)


def promote(server: BroadcastServer, name: str) -> None:
    """Make whoever is called so an admin."""
    [peer] = [peer for peer in server._runner.connections if peer.name == name]
    give_role(peer, "admin")
