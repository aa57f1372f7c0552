"""Rings the terminal: bytes for alerts go out through `write`, which the terminal's driver stands behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic

from broadcast_tui.tui import PROGRAM
from broadcast_tui.tui.model.notifications import (
    Alert,
    NotificationLimiter,
    TerminalAlert,
    is_in_tmux,
    sequence,
    signals_of,
)

_NAMES = {
    TerminalAlert.BELL: "the bell",
    TerminalAlert.OSC9: "a notification (OSC 9)",
    TerminalAlert.OSC777: "one (OSC 777)",
}


class Notifier:
    """Notices for the terminal that `environment` (its variables) tells of."""

    def __init__(self, write: Callable[[str], None], environment: Mapping[str, str]) -> None:
        self._write = write
        self._signals = signals_of(environment)
        self._tmux = is_in_tmux(environment)
        self._bell = NotificationLimiter()

    def ring(self, alerts: Sequence[Alert], now: float | None = None) -> None:
        """Tell of `alerts`, unless it is too soon after the notice before; `now` in monotonic seconds."""
        text = self._bell.ring(alerts, monotonic() if now is None else now)
        if text is not None:
            self._send(text)

    def test(self) -> str:
        """Send a notice for the user to see; returns what was sent and what may be in its way, in words."""
        self._send("This is a test: notices look like this.")
        sent = " and ".join(_NAMES[signal] for signal in self._signals)
        if not self._tmux or self._signals == TerminalAlert.BELL:
            return f"Sent {sent}. If you saw and heard nothing, this terminal shows no notices."
        return f"Sent {sent}, through tmux; it lets notifications out after: tmux set -g allow-passthrough on"

    def _send(self, text: str) -> None:
        self._write(sequence(PROGRAM, text, self._signals, tmux=self._tmux))
