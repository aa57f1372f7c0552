"""Which events a client session accepts from its server."""

from __future__ import annotations

from collections.abc import Container

from broadcast_tui.core.protocol import events
from broadcast_tui.core.session.updates import is_presence


def is_expected(
    event: events.Event,
    rooms: Container[str],
    refs: Container[str],
    fills: Container[str],
    *,
    welcomed: bool,
) -> bool:
    """Whether an event answers a pending request, or is about a room of the client.

    Nothing else may reach the user: a server could create any number of rooms and lines with it.

    Args:
        rooms: Rooms that the client is in.
        refs: Refs of pending requests.
        fills: Refs of pending history requests that fill gaps.
        welcomed: Whether the server has accepted the client.
    """
    match event:
        case events.Message() | events.Note() | events.Typing():
            return event.room in rooms
        case events.Welcome():
            return not welcomed
        case events.Found() | events.Moderated() | events.BanList() | events.RoomList() | events.Renamed():
            return event.ref in refs
        case events.Presence() | events.Joined():
            return event.ref in refs and event.room in rooms
        case events.History():
            return event.ref in refs or event.ref in fills
        case events.Left():
            return event.ref in refs or event.room in rooms
        case events.Synced() | events.Gap() | events.Epoch() | events.Topic():
            return event.room in rooms
        case events.System():
            return event.room in rooms or not (event.room or is_presence(event))
        case _:
            return True
