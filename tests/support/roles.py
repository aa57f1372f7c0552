"""Roles of connections in tests."""

from __future__ import annotations

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.server import BroadcastServer


def give_role(peer: Peer, role: str) -> None:
    """Give a connection the role `admin`, `member` or `reader`, as a token would."""
    peer.role = Role(role)


def promote(server: BroadcastServer, name: str) -> None:
    """Make the user with this name an admin."""
    [peer] = [peer for peer in server._runner.connections if peer.name == name]
    give_role(peer, "admin")
