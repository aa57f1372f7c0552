"""The list of all rooms of the cluster with their topics and the number of people in them."""

from __future__ import annotations

import asyncio

from broadcast_tui.core.hub.cluster import ListStoredRooms
from broadcast_tui.core.names import DIRECT_SIGN, DIRECTS_END
from broadcast_tui.core.protocol.events import RoomInfo
from broadcast_tui.server.cluster.commands import CommandQueue
from broadcast_tui.server.cluster.keys import Keys
from broadcast_tui.server.cluster.scripts import LIST_ROOMS, LIVE

CACHE_S = 2.0
"""Time for which a page is used again."""
PAGES_MAX = 100
"""Maximum number of pages to use again."""


class RoomList:
    """Pages of the list, read from Redis."""

    def __init__(self, commands: CommandQueue, keys: Keys) -> None:
        self._commands = commands
        self._keys = keys
        self._pages: dict[tuple[str, int], tuple[float, tuple[RoomInfo, ...]]] = {}

    async def page(self, need: ListStoredRooms) -> tuple[RoomInfo, ...]:
        """The rooms that follow a name, sorted. Raises UnavailableError."""
        now = asyncio.get_running_loop().time()
        key = need.after, need.limit
        found = self._pages.get(key)
        if found is not None and found[0] > now:
            return found[1]
        page = await self._read(need)
        if len(self._pages) >= PAGES_MAX:
            self._pages.clear()
        self._pages[key] = now + CACHE_S, page
        return page

    async def _read(self, need: ListStoredRooms) -> tuple[RoomInfo, ...]:
        live = await self._commands.eval(LIVE, self._keys.control)
        ranges = _ranges(need.after)
        words = [need.limit, len(ranges), *(limit for pair in ranges for limit in pair), *live]
        replies = [self._commands.eval(LIST_ROOMS, partition, *words) for partition in self._keys.partitions]
        rooms = []
        for reply in replies:
            found = await reply
            for name, topic, online in zip(found[::3], found[1::3], found[2::3], strict=True):
                rooms.append(RoomInfo(name.decode(), online, topic.decode()))
        return tuple(sorted(rooms, key=lambda info: info.room)[: need.limit])


def _ranges(after: str) -> list[tuple[str, str]]:
    """Limits of the names after `after` that are not rooms for direct messages, for ZRANGEBYLEX."""
    ranges = []
    if after < DIRECT_SIGN:
        ranges.append((f"({after}" if after else "-", f"({DIRECT_SIGN}"))
    ranges.append((f"({after}" if after >= DIRECTS_END else f"[{DIRECTS_END}", "+"))
    return ranges
