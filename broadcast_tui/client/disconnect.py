"""Why a connection failed or ended. Loading it does not load websockets."""

from __future__ import annotations

import msgspec

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.session.updates import DisconnectCause


class ConnectError(BroadcastError):
    """The server cannot be reached or refused the connection; the text says why.

    Args:
        cause: Cause that the user can do something about.
    """

    def __init__(self, text: str, cause: DisconnectCause = DisconnectCause.OTHER) -> None:
        super().__init__(text)
        self.cause = cause


class Unauthorized(ConnectError):
    """The server requires a valid token."""


class Disconnect(msgspec.Struct, frozen=True):
    """Why a connection ended. `final` is true if reconnecting would not help."""

    reason: str
    retry_after_s: float = 0.0
    final: bool = False
    cause: DisconnectCause = DisconnectCause.OTHER
