"""How far each room of each server was read, kept between runs in a small file in the state directory.

Damage costs the bookmarks that are damaged, no more. Two chats at once share the file: each writes what it
knows of its own server, and of two places in one room the later one stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from broadcast_tui.client.storage.preferences import read_object, state_dir, write_json
from broadcast_tui.core.post import ROOM_BEGIN, Bookmark, Position

FILE_NAME = "read.json"
SERVERS_MAX = 50
ROOMS_MAX = 500
"""Rooms kept of one server; those left longest ago go first."""
_NAME_MAX = 300
_LATEST_S = 250_000_000_000


class Bookmarks:
    """The bookmarks of the server at `url`, as they are in the file and as they are to be there."""

    def __init__(self, url: str, directory: Path | None = None) -> None:
        self.url = url
        self.path = (directory or state_dir()) / FILE_NAME
        self._saved: dict[str, Bookmark] = {}

    def load(self) -> dict[str, Bookmark]:
        """What was kept last, by room; what cannot be read is left out."""
        content, _ = read_object(self.path)
        self._saved = _marks(content.get(self.url))
        return dict(self._saved)

    def save(self, marks: Mapping[str, Bookmark]) -> bool:
        """Keep `marks`, if there is anything new in them; false if the file cannot be written."""
        if all(room in self._saved and self._saved[room].position == marks[room].position for room in marks):
            return True
        return self.close(marks)

    def close(self, marks: Mapping[str, Bookmark]) -> bool:
        """Keep `marks` and when they were made; false if the file cannot be written."""
        if not marks:
            return True
        servers = {url: _marks(rooms) for url, rooms in read_object(self.path)[0].items()}
        kept = servers.pop(self.url, {})
        for room, mark in marks.items():
            kept[room] = _later(kept.get(room), mark)
        others = sorted(servers, key=lambda url: _left_last(servers[url]))[-SERVERS_MAX + 1 :]
        rooms = sorted(kept, key=lambda room: kept[room].at)[-ROOMS_MAX:]
        content = {url: _written(servers[url]) for url in others if servers[url]}
        try:
            write_json(self.path, {**content, self.url: _written({room: kept[room] for room in rooms})})
        except (OSError, UnicodeError):
            return False
        self._saved = dict(marks)
        return True


def _later(known: Bookmark | None, mark: Bookmark) -> Bookmark:
    """The one further on in the room's log; of two epochs, nobody knows, `mark`."""
    if known is not None and known.position.epoch == mark.position.epoch:
        return max(known, mark, key=lambda each: (each.position.seq, each.at))
    return mark


def _left_last(marks: Mapping[str, Bookmark]) -> float:
    return max((mark.at.timestamp() for mark in marks.values()), default=0.0)


def _written(marks: Mapping[str, Bookmark]) -> dict[str, list[object]]:
    """For each room the id of the post, empty for none, and seconds since 1970."""
    return {
        room: [str(mark.position) if mark.position.epoch else "", round(mark.at.timestamp())]
        for room, mark in marks.items()
    }


def _marks(rooms: object) -> dict[str, Bookmark]:
    """The bookmarks among what a file has for a server."""
    marks = {}
    for room, value in rooms.items() if isinstance(rooms, dict) else ():
        match value:
            case [str(post_id), int(seconds)] if len(room) <= _NAME_MAX and 0 <= seconds < _LATEST_S:
                position = Position.parse(post_id) if post_id else ROOM_BEGIN
                if position is not None:
                    marks[room] = Bookmark(position, datetime.fromtimestamp(seconds, UTC))
    return marks
