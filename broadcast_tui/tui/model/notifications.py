"""Notices beyond the screen: which posts are worth one, how often, and what a terminal is sent for it.

Invariants: at most one notice in `PAUSE_S`, those left out are counted in the next; what strangers wrote is
one printable line of bounded length without `;`, so that it can neither end nor extend the sequence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Flag, StrEnum

import msgspec

from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.transcript.chunks import ACTION_PREFIX

PAUSE_S = 3.0
TEXT_MAX = 160
"""Characters of a post that a notice shows; some desktops show less."""
_NAME_MAX = 48


class NotifyLevel(StrEnum):
    """Which posts of a room are told of."""

    OFF = "off"
    MENTIONS = "mentions"
    ALL = "all"

    def takes(self, *, mention: bool) -> bool:
        return self is NotifyLevel.ALL or (mention and self is NotifyLevel.MENTIONS)


def levels_of(words: Mapping[str, str]) -> dict[str, NotifyLevel]:
    """Levels by room from words by room; what is no level is left out."""
    return {room: NotifyLevel(word) for room, word in words.items() if word in set(NotifyLevel)}


class Alert(msgspec.Struct, frozen=True, gc=False):
    """A live post of somebody else, as it came."""

    room: str
    sender: str
    text: str
    mention: bool


class TerminalAlert(Flag):
    """What a terminal is asked to do."""

    BELL = 1
    OSC9 = 2
    """A desktop notification as iTerm2 has it: a text. Most terminals that have any take it."""
    OSC777 = 4
    """One as urxvt has it: a title and a text."""


def signals_of(environment: Mapping[str, str]) -> TerminalAlert:
    """What suits the terminal that `environment` (its variables) tells of: the bell and one notification."""
    terminal = environment.get("TERM", "")
    if terminal.startswith(("linux", "vt", "dumb")):
        return TerminalAlert.BELL
    if terminal.startswith("rxvt") or environment.get("VTE_VERSION"):
        return TerminalAlert.BELL | TerminalAlert.OSC777
    return TerminalAlert.BELL | TerminalAlert.OSC9


def is_in_tmux(environment: Mapping[str, str]) -> bool:
    """Whether there is a tmux between us and the terminal; over SSH only TERM tells."""
    return bool(environment.get("TMUX")) or environment.get("TERM", "").startswith("tmux")


def sequence(title: str, text: str, signals: TerminalAlert, *, tmux: bool) -> str:
    """The characters that make a terminal show `title` and `text`.

    In tmux, what it does not know goes through to the terminal outside (if `allow-passthrough` is on); the
    bell stays outside of that, as tmux marks the window for it.
    """
    parts = []
    if TerminalAlert.OSC9 in signals:
        parts.append(f"\x1b]9;{notice_text(text)}\x07")
    if TerminalAlert.OSC777 in signals:
        parts.append(f"\x1b]777;notify;{notice_text(title)};{notice_text(text)}\x07")
    if tmux:
        parts = ["\x1bPtmux;" + part.replace("\x1b", "\x1b\x1b") + "\x1b\\" for part in parts]
    return "".join(parts) + ("\x07" if TerminalAlert.BELL in signals else "")


def notice_text(text: str) -> str:
    """`text` as it may stand in a sequence."""
    return _cut(visible_line(text).replace(";", ","), TEXT_MAX + 2 * _NAME_MAX)


class NotificationLimiter:
    """Says what to show for alerts, and keeps them apart in time."""

    def __init__(self) -> None:
        self._quiet_until = float("-inf")
        self._left_out = 0

    def ring(self, alerts: Sequence[Alert], now: float) -> str | None:
        """The text for `alerts`, in the order they came, or None if there is none or it is too soon."""
        if not alerts:
            return None
        if now < self._quiet_until:
            self._left_out += len(alerts)
            return None
        self._quiet_until = now + PAUSE_S
        more, self._left_out = self._left_out + len(alerts) - 1, 0
        last = next((alert for alert in reversed(alerts) if alert.mention), alerts[-1])
        return alert_text(last) + (f" (+{more:,} more)" if more else "")


def alert_text(alert: Alert) -> str:
    """`bob in #lobby: hi ana`, or `* bob in #lobby waves`."""
    sender = _cut(visible_line(alert.sender), _NAME_MAX)
    where = f"in #{_cut(visible_line(alert.room), _NAME_MAX)}"
    text = visible_line(alert.text)
    if text.startswith(ACTION_PREFIX):
        return f"* {sender} {where} {_cut(text.removeprefix(ACTION_PREFIX), TEXT_MAX)}"
    return f"{sender} {where}: {_cut(text, TEXT_MAX)}"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
