"""The hello frame of a client, and what the user has changed by the time that the server accepts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from broadcast_tui.core.protocol import commands
from broadcast_tui.core.session.room_cursor import RoomCursor


def build_hello(name: str, client_id: str, rooms: Mapping[str, RoomCursor], presence: bool) -> commands.Hello:
    """The hello frame that enters rooms: after the newest post received, or with the latest posts."""
    requests = tuple(
        commands.RoomRequest(c.room, str(c.position) if c.position else "", 0 if c.position else c.last)
        for c in rooms.values()
    )
    return commands.Hello(name, client_id, rooms=requests, notes=True, epochs=True, presence=presence)


def changes_since(
    hello: commands.Hello, name: str, rooms: Mapping[str, RoomCursor]
) -> Iterator[Callable[[str], commands.Request]]:
    """What has changed since the hello frame: rooms that were joined or left, and the name.

    Yields:
        Functions that make a request from its ref.
    """
    requested = {request.room for request in hello.rooms}
    for room in requested - rooms.keys():
        yield partial(commands.Leave, room)
    for room, cursor in rooms.items():
        if room not in requested:
            yield partial(commands.Join, room, last=cursor.last)
    if name != hello.name:
        yield partial(commands.Rename, name)
