"""The rooms of an engine: their positions and topics, and the floor above which new logs start.

A room without posts, topic and people is forgotten. Its name can be used again in the same epoch, and clients
may still have positions in the old log. So that no seq is used twice, new logs start above the *floor*, which
is at least the last seq of every forgotten room. It is one number, whatever the number of forgotten rooms,
and a power of two, so that it rises a few times only: a client that returns to a room which never had a post
finds no gap unless the floor has risen meanwhile.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Sequence

FORGET_AFTER_S = 600.0
"""Time for which a room is known after it became empty, so that a short absence leaves no gap."""
FORGET_ROOMS = 500
"""Maximum number of rooms that are forgotten at once, so that nothing else waits long."""
STARTS_MAX = 10_000
"""Maximum number of rooms without posts, topic and people whose start is stored."""


class RoomIndex:
    """Positions and topics of rooms, in the event loop. `now` is monotonic seconds.

    A room is *known* from its first post or topic until it is forgotten.
    """

    def __init__(self) -> None:
        self.floor = 0
        self.open_rooms: Collection[str] = ()
        """Rooms with people, which are not forgotten. Usually the live collection of the server."""
        self._bounds: dict[str, tuple[int, int]] = {}
        self._topics: dict[str, str] = {}
        self._names: list[str] = []
        self._empty: dict[str, float] = {}
        """Known rooms without posts and topic, by the time since when, oldest first."""
        self._starts: dict[str, int] = {}
        """Last seqs of rooms that are not known yet, but have to keep the start of their log."""

    def load(self, rooms: Iterable[tuple[str, int, int, str]], floor: int) -> None:
        """Add the (name, first_seq, last_seq, topic) of many rooms to an empty index."""
        self.floor = floor
        for name, first, last, topic in rooms:
            self._bounds[name] = first, last
            if topic:
                self._topics[name] = topic
            if topic or first <= last:
                self._names.append(name)
            else:
                self._empty[name] = float("-inf")
        self._names.sort()

    def __contains__(self, room: str) -> bool:
        return room in self._bounds

    def __len__(self) -> int:
        """Number of known rooms."""
        return len(self._bounds)

    def first_seq(self, room: str) -> int:
        """Seq of the oldest stored post; `last_seq + 1` if there are none."""
        bounds = self._bounds.get(room)
        return bounds[0] if bounds is not None else self.last_seq(room) + 1

    def last_seq(self, room: str) -> int:
        """Seq of the newest post, or the one before the first post."""
        bounds = self._bounds.get(room)
        return bounds[1] if bounds is not None else self._starts.get(room, self.floor)

    def topic(self, room: str) -> str:
        """The topic, or an empty string."""
        return self._topics.get(room, "")

    def names(self) -> Sequence[str]:
        """Rooms that have posts or a topic, sorted. Do not modify it."""
        return self._names

    def set_bounds(self, room: str, first: int, last: int, now: float) -> None:
        """Set the seqs of the oldest and newest post; `first` is `last + 1` if there are none."""
        before = self._bounds.get(room)
        self._bounds[room] = first, last
        if before is None or before[0] > before[1] or first > last:
            self._starts.pop(room, None)
            self._update_names(room, now)

    def set_topic(self, room: str, topic: str, now: float) -> None:
        """Set the topic; an empty one removes it."""
        if room not in self._bounds:
            self._bounds[room] = self.first_seq(room), self.last_seq(room)
            self._starts.pop(room, None)
        if topic:
            self._topics[room] = topic
        else:
            self._topics.pop(room, None)
        self._update_names(room, now)

    def start_change(self, room: str, now: float) -> int:
        """Keep a room, known or not, for a post or topic that is about to be stored; returns its last seq."""
        if room in self._empty:
            del self._empty[room]
            self._empty[room] = now
        last_seq = self.last_seq(room)
        if room not in self._bounds:
            self._starts[room] = last_seq
        return last_seq

    def forget(self, now: float, limit: int) -> list[str]:
        """Forget up to `limit` rooms that have been empty for `FORGET_AFTER_S` and are not open.

        Returns their names. The floor may rise.
        """
        names: list[str] = []
        for room, empty_at in self._empty.items():
            if now - empty_at < FORGET_AFTER_S or len(names) >= limit:
                break
            if room not in self.open_rooms:
                names.append(room)
        if names:
            self._raise_floor(max(self._bounds[room][1] for room in names))
        for room in names:
            del self._bounds[room], self._empty[room]
        return names

    def _raise_floor(self, last_seq: int) -> None:
        """Raise the floor to at least `last_seq`, but not below rooms that people are in."""
        if last_seq <= self.floor:
            return
        if len(self._starts) > STARTS_MAX:
            self._starts = {room: start for room, start in self._starts.items() if room in self.open_rooms}
        for room in self.open_rooms:
            if room not in self._bounds:
                self._starts.setdefault(room, self.floor)
        self.floor = 1 << (last_seq - 1).bit_length()

    def _update_names(self, room: str, now: float) -> None:
        """Add or remove a room from the sorted names and from the empty rooms, after a change."""
        first, last = self._bounds[room]
        at = bisect_left(self._names, room)
        is_listed = at < len(self._names) and self._names[at] == room
        self._empty.pop(room, None)
        if first <= last or room in self._topics:
            if not is_listed:
                insort(self._names, room)
            return
        self._empty[room] = now
        if is_listed:
            del self._names[at]
