"""Who is in a room, as people rather than connections, and the lines that tell of it.

Invariants: a person on two terminals counts once; a person whose last connection broke stays
counted until the grace is over; what happened within one moment becomes one line; above a certain
size only counts are told, so that N people joining cost O(N) frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.rate_limit import TokenBucket


@dataclass(frozen=True, slots=True)
class PresenceLine:
    """One line about comings or goings. `keys` are the members it is about; `names` those with a name."""

    event: str
    text: str
    names: tuple[str, ...]
    online: int
    keys: frozenset[str]
    reason: str = ""
    """Why the one it is about left."""


class RoomPresence:
    """The members of one room by key; unnamed ones have a key of their own and the name ""."""

    def __init__(self, limits: SharedLimits) -> None:
        self._limits = limits
        self._names: dict[str, str] = {}
        self._connections: dict[str, int] = {}
        self._graced: dict[str, float] = {}
        self._joined: dict[str, str] = {}
        self._left: dict[str, str] = {}
        self._reasons: dict[str, str] = {}
        self._counted_at: float | None = None
        self._told_online = 0
        self.limits_changed()

    def limits_changed(self) -> None:
        """Apply the limits in force to the rate of lines, with a full bucket."""
        limits = self._limits.current
        self._bucket = TokenBucket(limits.presence_rate, limits.presence_burst)

    @property
    def online(self) -> int:
        """People in the room, those in their grace included."""
        return len(self._names)

    @property
    def pending(self) -> bool:
        """Whether there is anything to tell or to expire."""
        return bool(self._joined or self._left or self._graced)

    def members(self, limit: int) -> list[tuple[str, int]]:
        """At most `limit` (name, connections) of named people, sorted by name without regard to case."""
        named = ((name, self._connections.get(key, 0)) for key, name in self._names.items() if name)
        return sorted(named, key=lambda member: (member[0].casefold(), member[0]))[:limit]

    def add(self, key: str, name: str) -> None:
        """One more connection of a member; told unless the member was here already."""
        self._connections[key] = self._connections.get(key, 0) + 1
        self._graced.pop(key, None)
        if key in self._names:
            return
        self._names[key] = name
        self._reasons.pop(key, None)
        if self._left.pop(key, None) is None:
            self._joined[key] = name

    def remove(self, key: str, now: float, *, grace: bool, reason: str = "") -> None:
        """One connection less; the last one ends the membership, after the grace if `grace`.

        A clean `reason` is told with a leave that is told alone.
        """
        left = self._connections.get(key, 0) - 1
        if left > 0:
            self._connections[key] = left
            return
        self._connections.pop(key, None)
        if grace and self._limits.current.leave_grace_s > 0:
            self._graced[key] = now + self._limits.current.leave_grace_s
        else:
            self._drop(key, reason)

    def rekey(self, old_key: str, key: str, name: str) -> bool:
        """Give a member another key and name; False if the old one stays, having more connections."""
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
        """End the memberships whose grace is over."""
        for key in [key for key, until in self._graced.items() if until <= now]:
            del self._graced[key]
            self._drop(key)

    def announce(self, now: float) -> list[PresenceLine]:
        """The lines due now, leaves before joins; empty if nothing happened or it is too soon to tell."""
        if not (self._joined or self._left):
            return []
        if max(self.online, self._told_online) > self._limits.current.presence_detail_max:
            return self._announce_count(now)
        if self._bucket.take(now) > 0:
            return []
        lines = [
            self._line(event, members)
            for event, members in (("leave", self._left), ("join", self._joined))
            if members
        ]
        self._joined, self._left, self._reasons = {}, {}, {}
        self._told_online = self.online
        return lines

    def _announce_count(self, now: float) -> list[PresenceLine]:
        interval_s = self._limits.current.presence_count_interval_s
        if self._counted_at is not None and now - self._counted_at < interval_s:
            return []
        self._counted_at = now
        self._joined, self._left, self._reasons = {}, {}, {}
        self._told_online = self.online
        return [PresenceLine("online", online_text(self.online), (), self.online, frozenset())]

    def _line(self, event: str, members: dict[str, str]) -> PresenceLine:
        names = tuple(name for name in members.values() if name)
        reason = self._reasons.get(next(iter(members)), "") if event == "leave" and len(members) == 1 else ""
        why = f": {reason}" if reason else ""
        text = f"{_who(names, len(members), event)} {_verb(event, len(members))} the chat{why}."
        return PresenceLine(
            event, f"{text} {online_text(self.online)}", names, self.online, frozenset(members), reason
        )

    def _drop(self, key: str, reason: str = "") -> None:
        name = self._names.pop(key, None)
        if name is not None and self._joined.pop(key, None) is None:
            self._left[key] = name
            self._reasons[key] = reason


def online_text(online: int) -> str:
    return f"{online} client(s) online."


def _verb(event: str, count: int) -> str:
    return f"{'has' if count == 1 else 'have'} {'joined' if event == 'join' else 'left'}"


def _who(names: Iterable[str], count: int, event: str) -> str:
    """`ana, bob and 3 others`; unnamed people alone are `A new client` or `2 clients`."""
    shown = [*names][:2]
    others = count - len(shown)
    new = "new " if event == "join" else ""
    if not shown:
        return f"A {new}client" if count == 1 else f"{count} {new}clients"
    if not others:
        return " and ".join(shown)
    return f"{', '.join(shown)} and {others} other{'s' if others > 1 else ''}"
