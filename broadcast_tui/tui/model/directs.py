"""Direct messages in the chat: which room belongs to which person, and what happens when one is opened.

Rooms that another person opens are joined without showing them. Those of ignored people, and those whose
messages have all been read, stay closed.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from broadcast_tui.core.post import ROOM_BEGIN, Bookmark, is_newer
from broadcast_tui.core.session.updates import DirectOpened
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.rooms import RoomSet

REQUESTS_MAX = 100
"""Maximum number of pending requests; the earliest ones are dropped first."""


class DirectRequest(msgspec.Struct, frozen=True):
    """What to do with a room for direct messages once it is open."""

    name: str = ""
    """The other person, as typed."""
    texts: tuple[str, ...] = ()
    """Messages to send."""
    show: bool = False
    """Whether to show the room."""

    @property
    def typed(self) -> str:
        """The line that returns to the input if the request fails; empty if there are no messages."""
        return f"/msg {self.name} " + "\n".join(self.texts) if self.texts else ""


class DirectOpening(msgspec.Struct, frozen=True):
    """A room for direct messages that has to be joined, unless `is_joined`."""

    room: str
    is_joined: bool
    request: DirectRequest = DirectRequest()


class Directs(msgspec.Struct):
    """Requests for direct messages, and who wrote last."""

    last_room: str = ""
    """Room of the last direct message from another person; empty if there is none."""
    _requests: dict[str, DirectRequest] = msgspec.field(default_factory=dict)
    _has_warned: bool = False

    @property
    def is_waiting(self) -> bool:
        """Whether a request has no reply yet."""
        return bool(self._requests)

    def hold(self, text: str) -> bool:
        """Keep a message for the room that is about to be shown; returns false if there is none.

        What is typed while it opens is meant for it, not for the shown room.
        """
        for ref, request in reversed(self._requests.items()):
            if request.show:
                self._requests[ref] = msgspec.structs.replace(request, texts=(*request.texts, text))
                return True
        return False

    def expect(self, ref: str, request: DirectRequest) -> None:
        """Store what to do with the answer to the request with this ref."""
        self._requests[ref] = request
        if len(self._requests) > REQUESTS_MAX:
            del self._requests[next(iter(self._requests))]

    def failed(self, ref: str) -> str:
        """Drop the request with this ref, if there is one; returns the line that the user typed."""
        request = self._requests.pop(ref, None)
        return request.typed if request is not None else ""

    def opened(self, update: DirectOpened, rooms: RoomSet, at: datetime) -> list[DirectOpening]:
        """Add a room that was opened; returns what to do about it, if anything."""
        request = self._requests.pop(update.ref, None) if update.ref else None
        other = visible_line(update.other)
        known = rooms.joined.get(update.room)
        if request is None:
            if known is not None:
                known.other = other
                return []
            if rooms.ignored.has(other) or _is_read(update, rooms):
                return []
        previous = rooms.direct_with(other)
        is_new = known is None and update.room not in rooms.left
        room = rooms.enter(update.room)
        room.other = other
        if is_new:
            self._greet(room, previous, update, at)
            if request is None and room.reading.bookmark(at) is None:
                room.reading.resume(Bookmark(ROOM_BEGIN, at))
        room.alerts_of_replay = request is None
        if update.note and request is not None:
            room.transcript.add_system(visible_line(update.note), at)
        return [DirectOpening(room.name, known is not None, request or DirectRequest())]

    def _greet(self, room: RoomModel, previous: RoomModel | None, update: DirectOpened, at: datetime) -> None:
        """Print what the user should know about the other person."""
        if previous is not None and previous is not room:
            previous.is_replaced = True
            text = f"Another client uses the name {room.other} now. It may be a different person."
            room.transcript.add_system(text, at)
        if not update.durable and not self._has_warned:
            self._has_warned = True
            text = (
                f"Names prove nothing on this server: {room.other} may be anyone. "
                "Direct messages end with the server and are not stored."
            )
            room.transcript.add_system(text, at)


def ended_line(room: RoomModel) -> str:
    """The line about direct messages that the server has ended."""
    return (
        f"The direct messages with {room.other or 'this person'} have ended: the server restarted "
        "and did not store them. /msg starts new ones."
    )


def _is_read(update: DirectOpened, rooms: RoomSet) -> bool:
    """Whether the bookmark of a room is at its end."""
    bookmark = rooms.bookmarks.get(update.room)
    return bookmark is not None and update.head is not None and not is_newer(update.head, bookmark.position)
