"""The list of a server's rooms."""

from __future__ import annotations

from broadcast_tui.core import commands, events
from broadcast_tui.core.reading import LogIndex
from broadcast_tui.core.rooms import Rooms


def all_rooms(rooms: Rooms, index: LogIndex, query: commands.ListRooms, most: int) -> events.RoomList:
    """Rooms with people, posts or a topic: at most `most` of them, sorted by name."""
    names = sorted({*index.room_names(), *rooms.by_name})
    views = []
    for name in names[:most]:
        room = rooms.by_name.get(name)
        views.append(events.RoomView(name, room.presence.online if room else 0, index.topic(name)))
    return events.RoomList(query.ref, tuple(views), len(views) < len(names))
