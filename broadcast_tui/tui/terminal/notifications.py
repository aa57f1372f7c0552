"""Terminal notifications: the bell and desktop notifications by escape sequence, also through tmux.

Text from other users becomes one printable line of bounded length without `;`, so it cannot end or extend an
escape sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Flag
from time import monotonic

from broadcast_tui.core.text import visible_line
from broadcast_tui.tui import PROGRAM
from broadcast_tui.tui.model.notifications import (
    NAME_MAX,
    TEXT_MAX,
    Alert,
    NotificationLimiter,
    truncate,
)


class TerminalAlert(Flag):
    """Ways to alert the user through the terminal."""

    BELL = 1
    OSC9 = 2
    """Desktop notification of iTerm2: a text. Supported by most terminals that have notifications."""
    OSC777 = 4
    """Desktop notification of urxvt: a title and a text."""


_NAMES = {
    TerminalAlert.BELL: "the bell",
    TerminalAlert.OSC9: "a notification (OSC 9)",
    TerminalAlert.OSC777: "a notification (OSC 777)",
}


def supported_alerts(environment: Mapping[str, str]) -> TerminalAlert:
    """The alerts to use on the terminal described by the environment variables."""
    terminal = environment.get("TERM", "")
    if terminal.startswith(("linux", "vt", "dumb")):
        return TerminalAlert.BELL
    if terminal.startswith("rxvt") or environment.get("VTE_VERSION"):
        return TerminalAlert.BELL | TerminalAlert.OSC777
    return TerminalAlert.BELL | TerminalAlert.OSC9


def is_in_tmux(environment: Mapping[str, str]) -> bool:
    """Whether the program runs in tmux. Over SSH only TERM tells."""
    return bool(environment.get("TMUX")) or environment.get("TERM", "").startswith("tmux")


def alert_sequence(title: str, text: str, alerts: TerminalAlert, *, tmux: bool) -> str:
    """The escape sequences that alert the user with `title` and `text`.

    In tmux, notifications are wrapped so that they reach the outer terminal (if `allow-passthrough` is on).
    The bell is not wrapped, because tmux marks the window for it.
    """
    parts = []
    if TerminalAlert.OSC9 in alerts:
        parts.append(f"\x1b]9;{_safe_text(text)}\x07")
    if TerminalAlert.OSC777 in alerts:
        parts.append(f"\x1b]777;notify;{_safe_text(title)};{_safe_text(text)}\x07")
    if tmux:
        parts = ["\x1bPtmux;" + part.replace("\x1b", "\x1b\x1b") + "\x1b\\" for part in parts]
    return "".join(parts) + ("\x07" if TerminalAlert.BELL in alerts else "")


def _safe_text(text: str) -> str:
    return truncate(visible_line(text).replace(";", ","), TEXT_MAX + 2 * NAME_MAX)


class Notifier:
    """Sends alerts to the terminal described by the environment variables."""

    def __init__(self, write: Callable[[str], None], environment: Mapping[str, str]) -> None:
        self._write = write
        self._alerts = supported_alerts(environment)
        self._tmux = is_in_tmux(environment)
        self._limiter = NotificationLimiter()

    def notify(self, alerts: Sequence[Alert], now: float | None = None) -> None:
        """Send a notification for `alerts` unless the last one was too recent; `now` in monotonic seconds."""
        text = self._limiter.add(alerts, monotonic() if now is None else now)
        if text is not None:
            self._send(text)

    def test(self) -> str:
        """Send a test notification; returns a line that says what was sent and what may block it."""
        self._send("This is a test notification.")
        sent = " and ".join(_NAMES[alert] for alert in self._alerts)
        if not self._tmux or self._alerts == TerminalAlert.BELL:
            return f"Sent {sent}. If nothing appeared, this terminal does not support notifications."
        return f"Sent {sent} through tmux, which needs: tmux set -g allow-passthrough on"

    def _send(self, text: str) -> None:
        self._write(alert_sequence(PROGRAM, text, self._alerts, tmux=self._tmux))
