"""How the connection stands, and the few lines that tell of it: one when it is lost, one when it is back."""

from __future__ import annotations

import msgspec

from broadcast_tui.core.text import visible_line
from broadcast_tui.core.updates import ConnectionChanged, ConnectionState


class Connection(msgspec.Struct, frozen=True):
    """How the connection stands. `retry_at` is when the next try comes (monotonic seconds)."""

    state: ConnectionState = ConnectionState.CONNECTING
    reason: str = ""
    retry_at: float | None = None
    told: bool = False
    """Whether a line says that there is no connection; then one more says that it is back."""

    def retry_in(self, now: float) -> int | None:
        """Whole seconds until the next try, at least 0, or None if none is planned."""
        return None if self.retry_at is None else max(0, round(self.retry_at - now))

    def after(self, update: ConnectionChanged, now: float, *, entered: bool) -> tuple[Connection, str]:
        """The connection after `update`, and the line that tells of it (empty: none).

        `entered` says whether there was a connection before, so that we are in a room.
        """
        retry_at = None if update.retry_in_s is None else now + update.retry_in_s
        reason, told, line = visible_line(update.reason), self.told, ""
        match update.state:
            case ConnectionState.WAITING if not told:
                why = f": {reason.rstrip('.')}" if reason else ""
                lost = "Connection lost" if entered else "No connection yet"
                told, line = True, f"{lost}{why}. Trying again; what you write is kept and sent then."
            case ConnectionState.CLOSED:
                told, line = True, "Disconnected. What you write is kept; /reconnect comes back and sends it."
            case ConnectionState.ONLINE if told:
                told, line = False, "Back online" if entered else "Connected"
        return Connection(update.state, reason, retry_at, told), line
