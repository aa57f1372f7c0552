"""Keepalive: pings silent connections and finds stalled ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.limits import Limits
from broadcast_tui.server.open_connection import OpenConnection

CLOSE_TIMEOUT_S = 2.0
"""Maximum duration of the closing handshake."""


def check_connections(
    connections: Mapping[Peer, OpenConnection], limits: Limits, now: float
) -> Iterator[tuple[Peer, str]]:
    """Ping silent connections, abort those that do not close, and yield those to drop, with the reason.

    The caller may remove items from `connections` while it iterates.
    """
    for peer, connection in list(connections.items()):
        silent_s = now - connection.last_received_at
        if connection.ended_at is None and not connection.writable:
            connection.ended_at = now
        if connection.ended_at is not None:
            if now - connection.ended_at > CLOSE_TIMEOUT_S:
                connection.abort()
        elif connection.blocked_at is not None:
            if connection.stalled_for(now) > limits.stall_timeout_s:
                yield peer, "stopped reading"
        elif silent_s > limits.ping_timeout_s and connection.is_mid_message:
            yield peer, "stopped in the middle of a frame"
        elif connection.pinged_at is not None:
            if now - connection.pinged_at > limits.ping_timeout_s:
                yield peer, "did not answer a ping"
        elif silent_s > limits.ping_interval_s:
            connection.send_ping()
