"""What the client remembers between runs: name, looks, an id for itself; rooms, notices, people by server.

One small JSON file in the user's state directory, for the user alone (mode 600), written whole or not
at all. One that cannot be read is ignored, with a notice.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.limits import DEFAULT_ROOM
from broadcast_tui.core.names import check_room
from broadcast_tui.private_file import write_private

FILE_NAME = "state.json"


ROOMS_MAX = 32
"""Rooms remembered of a server; by default a server takes no more."""


SERVERS_MAX = 50


TIME_MAX = 1e12
"""No time in seconds since 1970 is later."""


LEVELS_MAX = 500


IGNORED_MAX = 500
"""People remembered as ignored on a server."""


def state_dir() -> Path:
    """Where this program keeps what it remembers, and its crash reports; may not exist yet."""
    import platformdirs

    return Path(platformdirs.user_state_dir("broadcast-tui", appauthor=False))


@dataclass(frozen=True, slots=True)
class RoomsOf:
    """The rooms we were in on a server, in the order joined, and the one shown; it is one of them."""

    joined: tuple[str, ...]
    shown: str


@dataclass(slots=True)
class Preferences:
    """`client_id` tells the server which connections and resends are of one installation."""

    path: Path
    name: str = ""
    theme: str = ""
    rooms: dict[str, RoomsOf] = field(default_factory=dict)
    """By the server's address, the one used last being last."""
    client_id: str = field(default_factory=lambda: secrets.token_hex(16))
    levels: dict[str, str] = field(default_factory=dict)
    """What notices are wanted, by `server #room`, where that is not the default."""
    presence: str = ""
    """Which lines of comings and goings are shown; empty: not chosen."""
    ignored: dict[str, dict[str, float | None]] = field(default_factory=dict)
    """By the server's address, until when each name is ignored: seconds since 1970, None for good."""
    notice: str = ""
    """One sentence about what could not be read or written; empty if all is well."""

    @classmethod
    def load(cls, directory: Path | None = None) -> Preferences:
        """What was saved last, or fresh values. The id is saved at once when it is new."""
        preferences = cls((directory or state_dir()) / FILE_NAME)
        saved, preferences.notice = read_object(preferences.path)
        preferences.name = _text(saved.get("name"), 64)
        preferences.theme = _text(saved.get("theme"), 64)
        preferences.rooms = _rooms(saved.get("rooms"))
        preferences.presence = _text(saved.get("presence"), 16)
        preferences.ignored = _ignored(saved.get("ignored"))
        levels = saved.get("levels")
        for room, level in list(levels.items())[-LEVELS_MAX:] if isinstance(levels, dict) else ():
            if _text(room, 300) and _text(level, 16):
                preferences.levels[room] = level
        if client_id := _text(saved.get("client_id"), 64):
            preferences.client_id = client_id
        else:
            preferences.save()
        return preferences

    def levels_at(self, server: str) -> dict[str, str]:
        """What notices are wanted of the rooms of a server, by room."""
        begin = f"{server} #"
        return {
            room.removeprefix(begin): level for room, level in self.levels.items() if room.startswith(begin)
        }

    def set_level(self, server: str, room: str, level: str) -> None:
        self.levels.pop(f"{server} #{room}", None)
        self.levels[f"{server} #{room}"] = level

    def remember_ignored(self, url: str, ends: Mapping[str, float | None]) -> None:
        """Keep until when who is ignored on a server; `save` writes it."""
        self.ignored.pop(url, None)
        if ends:
            self.ignored[url] = dict(list(ends.items())[-IGNORED_MAX:])

    def save(self) -> bool:
        """Write everything; false, with a `notice`, if the directory cannot be written."""
        content = {
            "name": self.name,
            "theme": self.theme,
            "client_id": self.client_id,
            "rooms": {
                url: {"joined": known.joined, "shown": known.shown} for url, known in self.rooms.items()
            },
            "levels": self.levels,
            "presence": self.presence,
            "ignored": self.ignored,
        }
        try:
            write_json(self.path, content)
        except (OSError, UnicodeError) as error:
            self.notice = f"{self.path} cannot be written: {error}"
            return False
        return True

    def rooms_on(self, url: str, wanted: str = "") -> RoomsOf:
        """The rooms to enter on a server: those of last time, and `wanted`, which is then shown.

        Without either, the default room.
        """
        known = self.rooms.get(url) or RoomsOf((wanted or DEFAULT_ROOM,), wanted or DEFAULT_ROOM)
        if not wanted or wanted == known.shown:
            return known
        joined = known.joined if wanted in known.joined else (*known.joined[: ROOMS_MAX - 1], wanted)
        return RoomsOf(joined, wanted)

    def remember_rooms(self, url: str, joined: tuple[str, ...], shown: str) -> None:
        """Keep the rooms of a server for next time; `save` writes them."""
        self.rooms.pop(url, None)
        self.rooms[url] = RoomsOf(joined[:ROOMS_MAX], shown if shown in joined[:ROOMS_MAX] else joined[0])
        while len(self.rooms) > SERVERS_MAX:
            del self.rooms[next(iter(self.rooms))]


def _rooms(saved: object) -> dict[str, RoomsOf]:
    """What a file says of rooms, as far as it makes sense."""
    rooms: dict[str, RoomsOf] = {}
    for url, known in saved.items() if isinstance(saved, dict) else ():
        named = known.get("joined") if isinstance(known, dict) else None
        joined: list[str] = []
        for name in named if isinstance(named, list) else ():
            with contextlib.suppress(RequestError):
                joined.append(check_room(_text(name, 64)))
        joined = list(dict.fromkeys(joined))[:ROOMS_MAX]
        if joined and (url := _text(url, 512)):
            shown = known.get("shown")
            rooms[url] = RoomsOf(tuple(joined), shown if shown in joined else joined[0])
    return dict(list(rooms.items())[-SERVERS_MAX:])


def _ignored(saved: object) -> dict[str, dict[str, float | None]]:
    """What a file says of people who are ignored, as far as it makes sense."""
    ignored: dict[str, dict[str, float | None]] = {}
    for url, ends in saved.items() if isinstance(saved, dict) else ():
        known = {
            name: end
            for name, end in (ends.items() if isinstance(ends, dict) else ())
            if _text(name, 64) and (end is None or (type(end) in (int, float) and 0 <= end < TIME_MAX))
        }
        if known and _text(url, 512):
            ignored[url] = dict(list(known.items())[-IGNORED_MAX:])
    return dict(list(ignored.items())[-SERVERS_MAX:])


def _text(value: object, limit: int) -> str:
    """`value` if it is text of one printable line, else empty."""
    return value if isinstance(value, str) and len(value) <= limit and value.isprintable() else ""


def write_json(path: Path, value: object) -> None:
    """Replace what `path` holds by JSON, without waiting for the disk.

    Raises:
        OSError: the directory cannot be written; what was there is as it was.
    """
    write_private(path, json.dumps(value, indent=2) + "\n", sync=False)


def read_object(path: Path) -> tuple[dict[str, object], str]:
    """The JSON object that `path` holds, empty if there is none, and one sentence if it is not as written."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, RecursionError) as error:
        return {}, f"Ignoring {path}, which cannot be read: {error}"
    if not isinstance(value, dict):
        return {}, f"Ignoring {path}, which is not what this program writes"
    return value, ""
