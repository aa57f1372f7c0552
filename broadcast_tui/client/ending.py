"""How a connection ends, or never begins: for those who wait for it, without the network's libraries."""

from __future__ import annotations

from dataclasses import dataclass

from broadcast_tui.core.errors import BroadcastError

CLOSE_TIMEOUT_S = 1.0
"""How long the other side may take to say goodbye."""


class ConnectError(BroadcastError):
    """The server could not be reached, or would not have us; the text says why."""


class Unauthorised(ConnectError):
    """The server wants a valid token, and we showed none."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection ended. `final`: trying again by oneself would not help."""

    reason: str
    retry_after_s: float = 0.0
    final: bool = False
    unauthorised: bool = False
    """For want of a valid token; always final."""
