"""Read positions by server and room, saved in a small file in the state directory.

A damaged entry is ignored; the others are loaded. Several clients can share the file: each updates only its
own server, and the later of two positions in a room wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from broadcast_tui.client.storage.preferences import LOCK_TIMEOUT_S, read_object, state_dir, write_json
from broadcast_tui.core.post import ROOM_BEGIN, Bookmark, Position
from broadcast_tui.private_file import sole_writer

FILE_NAME = "read.json"
SERVERS_MAX = 50
ROOMS_MAX = 500
"""Maximum number of rooms per server; those left longest ago are dropped first."""
_NAME_MAX = 300
_LATEST_S = 250_000_000_000


class Bookmarks:
    """Loads and saves the bookmarks of the server at `url`."""

    def __init__(self, url: str, directory: Path | None = None) -> None:
        self.url = url
        self.path = (directory or state_dir()) / FILE_NAME
        self._saved: dict[str, Bookmark] = {}

    def load(self) -> dict[str, Bookmark]:
        """The saved bookmarks by room, without unreadable ones."""
        content, _ = read_object(self.path)
        self._saved = _from_json(content.get(self.url))
        return dict(self._saved)

    def save(self, marks: Mapping[str, Bookmark]) -> bool:
        """Save `marks` if a position changed; false if the file cannot be written."""
        if all(room in self._saved and self._saved[room].position == marks[room].position for room in marks):
            return True
        return self.close(marks)

    def close(self, marks: Mapping[str, Bookmark]) -> bool:
        """Save `marks` with their times, changed or not; false if the file cannot be written."""
        if not marks:
            return True
        try:
            with sole_writer(self.path, timeout_s=LOCK_TIMEOUT_S):
                self._write(marks)
        except (OSError, UnicodeError):
            return False
        self._saved = dict(marks)
        return True

    def _write(self, marks: Mapping[str, Bookmark]) -> None:
        servers = {url: _from_json(rooms) for url, rooms in read_object(self.path)[0].items()}
        saved = servers.pop(self.url, {})
        for room, mark in marks.items():
            saved[room] = _later(saved.get(room), mark)
        others = sorted(servers, key=lambda url: _latest_at(servers[url]))[-SERVERS_MAX + 1 :]
        rooms = sorted(saved, key=lambda room: saved[room].at)[-ROOMS_MAX:]
        content = {url: _to_json(servers[url]) for url in others if servers[url]}
        write_json(self.path, {**content, self.url: _to_json({room: saved[room] for room in rooms})})


def _later(known: Bookmark | None, mark: Bookmark) -> Bookmark:
    """The bookmark further on in the log; `mark` if their epochs differ and cannot be compared."""
    if known is not None and known.position.epoch == mark.position.epoch:
        return max(known, mark, key=lambda each: (each.position.seq, each.at))
    return mark


def _latest_at(marks: Mapping[str, Bookmark]) -> float:
    return max((mark.at.timestamp() for mark in marks.values()), default=0.0)


def _to_json(marks: Mapping[str, Bookmark]) -> dict[str, list[object]]:
    """Per room the id of the post (may be empty) and Unix time."""
    return {
        room: [str(mark.position) if mark.position.epoch else "", round(mark.at.timestamp())]
        for room, mark in marks.items()
    }


def _from_json(rooms: object) -> dict[str, Bookmark]:
    """Parse the saved rooms of a server; invalid entries are skipped."""
    marks = {}
    for room, value in rooms.items() if isinstance(rooms, dict) else ():
        match value:
            case [str(post_id), int(seconds)] if len(room) <= _NAME_MAX and 0 <= seconds < _LATEST_S:
                position = Position.parse(post_id) if post_id else ROOM_BEGIN
                if position is not None:
                    marks[room] = Bookmark(position, datetime.fromtimestamp(seconds, UTC))
    return marks
