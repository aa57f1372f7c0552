"""The addresses that created the rooms, to limit how many of all rooms are the work of one of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

ROOMS_MAX = 20_000
"""Maximum number of rooms whose creator is stored; those of the oldest rooms are dropped."""


class RoomCreators:
    """The rate-limit key of the address that created each room, until the room is forgotten.

    The creators are not saved: after a restart, the rooms that have posts or a topic count for nobody.

    Args:
        exists: Whether there is a room with a name.
    """

    def __init__(self, exists: Callable[[str], bool]) -> None:
        self._exists = exists
        self._keys: OrderedDict[str, str] = OrderedDict()
        """The key of each room, oldest room first."""
        self._rooms: dict[str, set[str]] = {}
        """The rooms of each key."""

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, room: str, key: str) -> None:
        """Record who created a room."""
        self.discard(room)
        self._keys[room] = key
        self._rooms.setdefault(key, set()).add(room)
        while len(self._keys) > ROOMS_MAX:
            self.discard(next(iter(self._keys)))

    def discard(self, room: str) -> None:
        """Forget a room; does nothing if its creator is unknown."""
        key = self._keys.pop(room, None)
        if key is not None:
            rooms = self._rooms[key]
            rooms.discard(room)
            if not rooms:
                del self._rooms[key]

    def has_created(self, key: str, count: int) -> bool:
        """Whether at least `count` of the existing rooms were created from an address."""
        if len(self._rooms.get(key, ())) < count:
            return False
        for room in [room for room in self._rooms[key] if not self._exists(room)]:
            self.discard(room)
        return len(self._rooms.get(key, ())) >= count
