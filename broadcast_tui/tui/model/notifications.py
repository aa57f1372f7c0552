"""Notifications of posts: levels per room, alerts, and the limit on their rate.

Invariants: at most one notification in `PAUSE_S`; posts skipped in between are counted in the next one. Its
text is one printable line of bounded length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from broadcast_tui.core.names import is_direct
from broadcast_tui.core.post import ACTION_PREFIX
from broadcast_tui.core.text import visible_line

PAUSE_S = 3.0
TEXT_MAX = 160
"""Characters of a post in a notification; some desktops show fewer."""
NAME_MAX = 48
"""Characters of a name in a notification."""


class NotifyLevel(StrEnum):
    """Which posts of a room trigger a notification."""

    OFF = "off"
    MENTIONS = "mentions"
    ALL = "all"

    def includes(self, *, mention: bool) -> bool:
        """Whether a post triggers a notification; `mention`: it mentions the user."""
        return self is NotifyLevel.ALL or (mention and self is NotifyLevel.MENTIONS)


def levels_of(words: Mapping[str, str]) -> dict[str, NotifyLevel]:
    """Parse saved levels by room; invalid ones are skipped."""
    return {room: NotifyLevel(word) for room, word in words.items() if word in set(NotifyLevel)}


class Alert(msgspec.Struct, frozen=True, gc=False):
    """A live post from another user, as received."""

    room: str
    sender: str
    text: str
    mention: bool
    server: str = ""
    """Name of the server; empty if there is only one."""


class NotificationLimiter:
    """Merges alerts into at most one notification in `PAUSE_S`."""

    def __init__(self) -> None:
        self._quiet_until = float("-inf")
        self._skipped = 0

    def add(self, alerts: Sequence[Alert], now: float) -> str | None:
        """Return the notification text for `alerts` (in order of arrival), or None to stay quiet."""
        if not alerts:
            return None
        if now < self._quiet_until:
            self._skipped += len(alerts)
            return None
        self._quiet_until = now + PAUSE_S
        more, self._skipped = self._skipped + len(alerts) - 1, 0
        last = next((alert for alert in reversed(alerts) if alert.mention), alerts[-1])
        return alert_text(last) + (f" (+{more:,} more)" if more else "")


def alert_text(alert: Alert) -> str:
    """`bob in #lobby: hi ana`, or `* bob in #lobby waves` for an action.

    With several servers, it says `in #lobby on chat.example.org`.
    """
    sender = truncate(visible_line(alert.sender), NAME_MAX)
    is_private = is_direct(alert.room)
    where = "to you alone" if is_private else f"in #{truncate(visible_line(alert.room), NAME_MAX)}"
    if alert.server:
        where = f"{where} on {truncate(visible_line(alert.server), NAME_MAX)}"
    text = visible_line(alert.text)
    if text.startswith(ACTION_PREFIX):
        return f"* {sender} {where} {truncate(text.removeprefix(ACTION_PREFIX), TEXT_MAX)}"
    return f"{sender} {where}: {truncate(text, TEXT_MAX)}"


def truncate(text: str, limit: int) -> str:
    """`text`, cut to at most `limit` characters including an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
