"""Answers that list: the people of a room, the rooms of a server."""

from __future__ import annotations

from broadcast_tui.core import commands, events
from broadcast_tui.core.reading import LogIndex
from broadcast_tui.core.room import Room
from broadcast_tui.core.rooms import Rooms


def members_of(room: Room, query: commands.ListMembers, most: int) -> events.Presence:
    """Who is in `room`: at most `most` of them by name."""
    listed = room.presence.members(most + 1)
    members = tuple(events.MemberView(*member) for member in listed[:most])
    return events.Presence(query.ref, room.name, room.presence.online, members, len(listed) > len(members))


def all_rooms(rooms: Rooms, index: LogIndex, query: commands.ListRooms, most: int) -> events.RoomList:
    """Rooms with people, posts or a topic: at most `most` of them, sorted by name."""
    names = sorted({*index.room_names(), *rooms.by_name})
    views = []
    for name in names[:most]:
        room = rooms.by_name.get(name)
        views.append(events.RoomView(name, room.presence.online if room else 0, index.topic(name)))
    return events.RoomList(query.ref, tuple(views), len(views) < len(names))
