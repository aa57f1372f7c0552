"""Unsent texts by server and room, saved in a small file in the state directory (mode 600).

A damaged entry is ignored; the others are loaded. Several clients can share the file: each writes only the
drafts that it has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from broadcast_tui.client.storage.preferences import LOCK_TIMEOUT_S, read_object, state_dir, write_json
from broadcast_tui.private_file import sole_writer

FILE_NAME = "drafts.json"
SERVERS_MAX = 50
ROOMS_MAX = 50
"""Maximum number of drafts per server; those saved first are dropped first."""
TEXT_MAX = 100_000
"""Longest draft that is saved, in characters."""
_NAME_MAX = 300


class DraftFile:
    """Loads and saves the drafts for the rooms of the server at `url`."""

    def __init__(self, url: str, directory: Path | None = None) -> None:
        self.url = url
        self.path = (directory or state_dir()) / FILE_NAME
        self._loaded: dict[str, str] = {}

    def load(self) -> dict[str, str]:
        """The saved drafts by room, without unreadable ones. The texts may contain any characters."""
        self._loaded = _valid(read_object(self.path)[0].get(self.url))
        return dict(self._loaded)

    def save(self, drafts: Mapping[str, str]) -> bool:
        """Save the drafts that differ from the loaded ones; false if the file cannot be written."""
        drafts = _valid(drafts)
        rooms = [*self._loaded, *(room for room in drafts if room not in self._loaded)]
        changed = [room for room in rooms if drafts.get(room) != self._loaded.get(room)]
        if not changed:
            return True
        try:
            with sole_writer(self.path, timeout_s=LOCK_TIMEOUT_S):
                servers = {url: _valid(rooms) for url, rooms in read_object(self.path)[0].items()}
                saved = servers.pop(self.url, {})
                for room in changed:
                    saved.pop(room, None)
                    if room in drafts:
                        saved[room] = drafts[room]
                servers[self.url] = dict(list(saved.items())[-ROOMS_MAX:])
                known = [(url, rooms) for url, rooms in servers.items() if rooms]
                write_json(self.path, dict(known[-SERVERS_MAX:]))
        except (OSError, UnicodeError):
            return False
        self._loaded = dict(drafts)
        return True


def _valid(rooms: object) -> dict[str, str]:
    """The drafts that can be saved or restored."""
    return {
        room: text
        for room, text in (rooms.items() if isinstance(rooms, Mapping) else ())
        if isinstance(text, str) and text.strip() and len(text) <= TEXT_MAX and len(room) <= _NAME_MAX
    }
