"""The state of the connection to a server, and the lines about its changes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from broadcast_tui.core.session.updates import (
    CONNECTION_LOST,
    ConnectionChanged,
    ConnectionState,
    DisconnectCause,
)
from broadcast_tui.core.text import visible_line

OWN_CAUSES = (
    DisconnectCause.UNUSABLE,
    DisconnectCause.UNENCRYPTED_TOKEN,
    DisconnectCause.UNTRUSTED_CERTIFICATE,
)
"""Causes for which the client itself does not connect; the server has rejected nothing."""


class Connection(msgspec.Struct, frozen=True):
    """State of the connection. `retry_at` is the time of the next attempt (monotonic seconds)."""

    state: ConnectionState = ConnectionState.CONNECTING
    reason: str = ""
    retry_at: float | None = None
    announced: bool = False
    """Whether the loss has been printed. The return is then printed too."""
    cause: DisconnectCause = DisconnectCause.OTHER
    """Why the client does not try again, if it does not."""

    def retry_in(self, now: float) -> int | None:
        """Whole seconds until the next attempt, at least 0; None if none is planned."""
        return None if self.retry_at is None else max(0, round(self.retry_at - now))

    def advance(self, update: ConnectionChanged, now: float, *, entered: bool) -> tuple[Connection, str]:
        """Return the connection after `update`, and the line to print (may be empty).

        `entered`: there was a connection before, so the user is in a room.
        """
        retry_at = None if update.retry_in_s is None else now + update.retry_in_s
        reason, announced, line = visible_line(update.reason), self.announced, ""
        match update.state:
            case ConnectionState.WAITING if not announced:
                why = f": {reason.rstrip('.')}" if reason not in ("", CONNECTION_LOST) else ""
                lost = "Connection lost" if entered else "No connection yet"
                announced, line = (
                    True,
                    f"{lost}{why}. Reconnecting… Messages you write are sent when you are back online.",
                )
            case ConnectionState.CLOSED:
                announced, line = True, "Disconnected. Messages you write are sent after /reconnect."
            case ConnectionState.ONLINE if announced:
                announced, line = False, "Back online" if entered else "Connected"
        return Connection(update.state, reason, retry_at, announced, update.cause), line

    def refusal(self, advice: Mapping[DisconnectCause, str], reconnect: str) -> str:
        """The line about a connection that the client does not try again.

        Args:
            advice: What the user can do about causes.
            reconnect: The key or command that tries again.
        """
        reason = self.reason or "no reason given"
        if self.cause is DisconnectCause.KICKED:
            return f"{reason.rstrip('.')}. {reconnect} to rejoin."
        line = f"{'Cannot connect' if self.cause in OWN_CAUSES else 'Connection rejected'}: {reason}"
        if text := advice.get(self.cause):
            line = f"{line.rstrip('.')}. {text}"
        return line
