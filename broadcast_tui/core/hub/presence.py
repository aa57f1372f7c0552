"""Presence in a room: its members, as people rather than connections, and coalesced join and leave lines.

Invariants: a person with two connections counts once. A person whose last connection broke stays a member for
the grace period. Simultaneous changes are merged into one line. In large rooms only counts are sent, so that
N joins cost O(N) frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.rate_limit import TokenBucket


@dataclass(frozen=True, slots=True)
class PresenceLine:
    """A line about joins or leaves.

    `keys` are the members concerned, `names` the names of those that have one.
    """

    event: str
    text: str
    names: tuple[str, ...]
    online: int
    keys: frozenset[str]
    reason: str = ""
    """Reason for leaving, if the line is about one person."""


class RoomPresence:
    """Members of one room, by key. An unnamed member has a unique key and an empty name."""

    def __init__(self, limits: SharedLimits) -> None:
        self._limits = limits
        self._names: dict[str, str] = {}
        self._connections: dict[str, int] = {}
        self._grace_until: dict[str, float] = {}
        self._joined: dict[str, str] = {}
        self._left: dict[str, str] = {}
        self._reasons: dict[str, str] = {}
        self._count_sent_at: float | None = None
        self._announced_online = 0
        self.limits_changed()

    def limits_changed(self) -> None:
        """Apply the current limits to the rate of lines, with a full bucket."""
        limits = self._limits.current
        self._bucket = TokenBucket(limits.presence_rate, limits.presence_burst)

    @property
    def online(self) -> int:
        """Number of people in the room, including those in their grace period."""
        return len(self._names)

    @property
    def pending(self) -> bool:
        """Whether there are changes to announce or grace periods to expire."""
        return bool(self._joined or self._left or self._grace_until)

    def members(self, limit: int) -> list[tuple[str, int]]:
        """(name, number of connections) of at most `limit` named members, sorted case-insensitively."""
        named = ((name, self._connections.get(key, 0)) for key, name in self._names.items() if name)
        return sorted(named, key=lambda member: (member[0].casefold(), member[0]))[:limit]

    def names(self, max_count: int, *, without: str = "") -> tuple[list[str], int]:
        """The names of all members that have one, sorted, and their number; no names if it is larger.

        Args:
            max_count: Maximum number of names.
            without: Name of a member who is left out.
        """
        named = [name for name in self._names.values() if name and name != without]
        names = sorted(named, key=str.casefold) if len(named) <= max_count else []
        return names, len(named)

    def add(self, key: str, name: str) -> None:
        """Add a connection of a member; a new member is announced."""
        self._connections[key] = self._connections.get(key, 0) + 1
        self._grace_until.pop(key, None)
        if key in self._names:
            return
        self._names[key] = name
        self._reasons.pop(key, None)
        if self._left.pop(key, None) is None:
            self._joined[key] = name

    def remove(self, key: str, now: float, *, grace: bool, reason: str = "") -> None:
        """Remove a connection of a member.

        The last one ends the membership, with `grace` after the grace period.

        Args:
            reason: Sanitized reason, announced if no other leave is merged into the line.
        """
        remaining = self._connections.get(key, 0) - 1
        if remaining > 0:
            self._connections[key] = remaining
            return
        self._connections.pop(key, None)
        if grace and self._limits.current.leave_grace_s > 0:
            self._grace_until[key] = now + self._limits.current.leave_grace_s
        else:
            self._drop(key, reason)

    def rekey(self, old_key: str, key: str, name: str) -> bool:
        """Change a member's key and name.

        Returns False if that made it another member, as with several connections.
        """
        if key == old_key:
            self._names[key] = name
            return True
        if self._connections.get(old_key, 0) != 1 or key in self._names:
            self.remove(old_key, 0.0, grace=False)
            self.add(key, name)
            return False
        del self._connections[old_key], self._names[old_key]
        self._connections[key], self._names[key] = 1, name
        if old_key in self._joined:
            del self._joined[old_key]
            self._joined[key] = name
        return True

    def expire(self, now: float) -> None:
        """Remove the members whose grace period has ended."""
        for key in [key for key, until in self._grace_until.items() if until <= now]:
            del self._grace_until[key]
            self._drop(key)

    def flush(self, now: float) -> list[PresenceLine]:
        """Remove and return the lines to send now, leaves before joins.

        Empty if nothing changed or it is too soon.
        """
        if not (self._joined or self._left):
            return []
        if max(self.online, self._announced_online) > self._limits.current.presence_detail_max:
            return self._flush_count(now)
        if self._bucket.take(now) > 0:
            return []
        lines = [
            self._line(event, members)
            for event, members in (("leave", self._left), ("join", self._joined))
            if members
        ]
        self._joined, self._left, self._reasons = {}, {}, {}
        self._announced_online = self.online
        return lines

    def _flush_count(self, now: float) -> list[PresenceLine]:
        interval_s = self._limits.current.presence_count_interval_s
        if self._count_sent_at is not None and now - self._count_sent_at < interval_s:
            return []
        self._count_sent_at = now
        self._joined, self._left, self._reasons = {}, {}, {}
        self._announced_online = self.online
        return [PresenceLine("online", online_text(self.online), (), self.online, frozenset())]

    def _line(self, event: str, members: dict[str, str]) -> PresenceLine:
        names = tuple(name for name in members.values() if name)
        reason = self._reasons.get(next(iter(members)), "") if event == "leave" and len(members) == 1 else ""
        suffix = f": {reason}" if reason else ""
        text = f"{_subject(names, len(members), event)} {_verb(event, len(members))} the chat{suffix}."
        return PresenceLine(
            event, f"{text} {online_text(self.online)}", names, self.online, frozenset(members), reason
        )

    def _drop(self, key: str, reason: str = "") -> None:
        name = self._names.pop(key, None)
        if name is not None and self._joined.pop(key, None) is None:
            self._left[key] = name
            self._reasons[key] = reason


def online_text(online: int) -> str:
    """The sentence about the number of people online that ends presence lines."""
    return f"{online} client(s) online."


def _verb(event: str, count: int) -> str:
    return f"{'has' if count == 1 else 'have'} {'joined' if event == 'join' else 'left'}"


def _subject(names: Iterable[str], count: int, event: str) -> str:
    """`ana, bob and 3 others`, or `A new client` and `2 clients` if nobody has a name."""
    shown = [*names][:2]
    others = count - len(shown)
    new = "new " if event == "join" else ""
    if not shown:
        return f"A {new}client" if count == 1 else f"{count} {new}clients"
    if not others:
        return " and ".join(shown)
    return f"{', '.join(shown)} and {others} other{'s' if others > 1 else ''}"
