"""Which connections are still there: the silent are pinged, those that do nothing are named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.limits import Limits
from broadcast_tui.server.connection import PeerConnection

CLOSE_TIMEOUT_S = 2.0
"""How long a connection may take to close once it was told to."""


def check(
    connections: Mapping[Peer, PeerConnection], limits: Limits, now: float
) -> Iterator[tuple[Peer, str]]:
    """Ping the silent and cut those that do not close; yields those to drop, and what they did.

    The caller may take from `connections` while it goes through these.
    """
    for peer, connection in list(connections.items()):
        silent_s = now - connection.last_received_at
        if connection.ended_at is None and not connection.writable:
            connection.ended_at = now
        if connection.ended_at is not None:
            if now - connection.ended_at > CLOSE_TIMEOUT_S:
                connection.transport.abort()
        elif connection.blocked_at is not None:
            if connection.stalled_for(now) > limits.stall_timeout_s:
                yield peer, "takes nothing"
        elif silent_s > limits.ping_timeout_s and connection.mid_frame:
            yield peer, "stopped in the middle of a frame"
        elif connection.pinged_at is not None:
            if now - connection.pinged_at > limits.ping_timeout_s:
                yield peer, "answers no ping"
        elif silent_s > limits.ping_interval_s:
            connection.probe()
