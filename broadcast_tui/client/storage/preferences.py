"""Client state saved between runs: name, theme, servers; rooms, levels and ignored people by server.

It is a small JSON file in the user's state directory with mode 600, replaced atomically. An unreadable file
is ignored, with a notice. Several chats can share it: each writes only its own changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from broadcast_tui.client.storage.merge import merged
from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.names import DEFAULT_ROOM, check_room
from broadcast_tui.private_file import sole_writer, write_private

FILE_NAME = "state.json"
ROOMS_MAX = 32
"""Maximum number of saved rooms per server; the default limit of a server is the same."""
SERVERS_MAX = 50
TIME_MAX = 1e12
"""Unix times at or after this are invalid."""
EMOJI_MAX, EMOJI_CHARS = 20, 32
"""Maximum number of saved emoji, and of their characters."""
LEVELS_MAX = 500
SETTINGS_MAX = 100
IGNORED_MAX = 500
"""Maximum number of saved ignored people per server."""
LOCK_TIMEOUT_S = 0.5
"""Longest wait for another chat that writes the file."""


def state_dir() -> Path:
    """Directory of saved state and crash reports; may not exist yet."""
    import platformdirs

    return Path(platformdirs.user_state_dir("broadcast-tui", appauthor=False))


def kiosk_dir(name: str) -> Path:
    """Directory of the saved state of `name`, where several people share one user of the system."""
    return state_dir() / "kiosk" / hashlib.sha256(name.encode()).hexdigest()[:32]


class SavedRooms(msgspec.Struct, frozen=True):
    """The rooms joined on a server, in order, and the one shown, which is one of them."""

    joined: tuple[str, ...]
    shown: str


class Preferences(msgspec.Struct):
    """Saved state."""

    path: Path
    name: str = ""
    theme: str = ""
    rooms: dict[str, SavedRooms] = msgspec.field(default_factory=dict)
    """By server URL, the last used one last."""
    client_id: str = msgspec.field(default_factory=lambda: secrets.token_hex(16))
    """The id that version 0.1 sends to servers; later versions only save it, for a return to 0.1."""
    levels: dict[str, str] = msgspec.field(default_factory=dict)
    """Notification levels other than the default, by `server #room`."""
    presence: str = ""
    """Which join and leave lines are shown; empty if not chosen."""
    reactions: bool = True
    """Whether reactions to posts are shown."""
    settings: dict[str, str] = msgspec.field(default_factory=dict)
    """Settings chosen in the chat, by name."""
    emoji: tuple[str, ...] = ()
    """The emoji last used for reactions, the most recent first."""
    ignored: dict[str, dict[str, float | None]] = msgspec.field(default_factory=dict)
    """By server URL, the Unix time until which each name is ignored; None for permanently."""
    servers: tuple[str, ...] = ()
    """URLs of the servers of the last chat that had several, in the order connected; empty if there was none.
    A chat without an address connects to them again."""
    shown_server: str = ""
    """URL of the one that was displayed at the end; empty if there was none."""
    notice: str = ""
    """Sentence about a failed read or write; empty if there was none."""
    _base: dict[str, object] = msgspec.field(default_factory=dict)
    """The content when this object last read or wrote the file."""

    @classmethod
    def load(cls, directory: Path | None = None) -> Preferences:
        """Load the saved state, or defaults. A new client id is saved at once."""
        preferences = cls((directory or state_dir()) / FILE_NAME)
        saved, preferences.notice = read_object(preferences.path)
        preferences.name = _text(saved.get("name"), 64)
        preferences.theme = _text(saved.get("theme"), 64)
        preferences.rooms = _rooms(saved.get("rooms"))
        preferences.presence = _text(saved.get("presence"), 16)
        preferences.reactions = saved.get("reactions") is not False
        settings = saved.get("settings")
        for name, value in list(settings.items())[:SETTINGS_MAX] if isinstance(settings, dict) else ():
            if _text(name, 64) and _text(value, 64):
                preferences.settings[name] = value
        emoji = saved.get("emoji")
        known = [_text(each, EMOJI_CHARS) for each in emoji] if isinstance(emoji, list) else []
        preferences.emoji = tuple(filter(None, known))[:EMOJI_MAX]
        preferences.ignored = _ignored(saved.get("ignored"))
        servers = saved.get("servers")
        urls = [_text(each, 512) for each in servers] if isinstance(servers, list) else []
        preferences.servers = tuple(dict.fromkeys(filter(None, urls)))[:SERVERS_MAX]
        preferences.shown_server = _text(saved.get("shown_server"), 512)
        levels = saved.get("levels")
        for room, level in list(levels.items())[-LEVELS_MAX:] if isinstance(levels, dict) else ():
            if _text(room, 300) and _text(level, 16):
                preferences.levels[room] = level
        if client_id := _text(saved.get("client_id"), 64):
            preferences.client_id = client_id
            preferences._base = preferences._content()
        else:
            preferences._base = preferences._content()
            preferences.save()
        return preferences

    def levels_at(self, server: str) -> dict[str, str]:
        """Notification levels of the rooms of a server, by room."""
        begin = f"{server} #"
        return {
            room.removeprefix(begin): level for room, level in self.levels.items() if room.startswith(begin)
        }

    def set_level(self, server: str, room: str, level: str) -> None:
        self.levels.pop(f"{server} #{room}", None)
        self.levels[f"{server} #{room}"] = level

    def set_ignored(self, url: str, ends: Mapping[str, float | None]) -> None:
        """Set the ignored people of a server and when that ends; `save` writes it."""
        self.ignored.pop(url, None)
        if ends:
            self.ignored[url] = dict(list(ends.items())[-IGNORED_MAX:])

    def save(self) -> bool:
        """Write the changes since the last load or save; on failure set `notice` and return false."""
        content = self._content()
        try:
            with sole_writer(self.path, timeout_s=LOCK_TIMEOUT_S):
                theirs, _ = read_object(self.path)
                changed = content
                if theirs:
                    self.client_id = _text(theirs.get("client_id"), 64) or self.client_id
                    changed = merged(self._base, content, theirs) | {"client_id": self.client_id}
                write_json(self.path, _trimmed(changed))
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            self.notice = f"Nothing is saved: cannot write {self.path}: {reason}."
            return False
        self._base = content
        return True

    def _content(self) -> dict[str, object]:
        """The content of the file, except for what other chats have written."""
        content: dict[str, object] = {
            "name": self.name,
            "theme": self.theme,
            "client_id": self.client_id,
            "rooms": {
                url: {"joined": list(known.joined), "shown": known.shown} for url, known in self.rooms.items()
            },
            "levels": dict(self.levels),
            "presence": self.presence,
            "ignored": {url: dict(ends) for url, ends in self.ignored.items()},
        }
        if self.settings:
            content["settings"] = dict(self.settings)
        if self.emoji:
            content["emoji"] = list(self.emoji[:EMOJI_MAX])
        if self.servers:
            content["servers"] = list(self.servers[:SERVERS_MAX])
        if self.shown_server:
            content["shown_server"] = self.shown_server
        return content if self.reactions else content | {"reactions": False}

    def rooms_on(self, url: str, requested: str = "") -> SavedRooms:
        """The rooms to join on a server: the saved ones, plus `requested`, which is then shown.

        The default room if there is neither.
        """
        known = self.rooms.get(url) or SavedRooms((requested or DEFAULT_ROOM,), requested or DEFAULT_ROOM)
        if not requested or requested == known.shown:
            return known
        joined = known.joined if requested in known.joined else (*known.joined[: ROOMS_MAX - 1], requested)
        return SavedRooms(joined, requested)

    def set_rooms(self, url: str, joined: tuple[str, ...], shown: str) -> None:
        """Set the rooms of a server; `save` writes them."""
        self.rooms.pop(url, None)
        self.rooms[url] = SavedRooms(joined[:ROOMS_MAX], shown if shown in joined[:ROOMS_MAX] else joined[0])
        while len(self.rooms) > SERVERS_MAX:
            del self.rooms[next(iter(self.rooms))]


def _trimmed(content: dict[str, object]) -> dict[str, object]:
    """The content within the limits: of each object, the most recently changed entries."""
    limits = {"rooms": SERVERS_MAX, "ignored": SERVERS_MAX, "levels": LEVELS_MAX}
    return {
        key: dict(list(value.items())[-limits[key] :]) if key in limits and isinstance(value, dict) else value
        for key, value in content.items()
    }


def _rooms(saved: object) -> dict[str, SavedRooms]:
    """Parse the saved rooms; invalid entries are skipped."""
    rooms: dict[str, SavedRooms] = {}
    for url, known in saved.items() if isinstance(saved, dict) else ():
        named = known.get("joined") if isinstance(known, dict) else None
        joined: list[str] = []
        for name in named if isinstance(named, list) else ():
            with contextlib.suppress(RequestError):
                joined.append(check_room(_text(name, 64)))
        joined = list(dict.fromkeys(joined))[:ROOMS_MAX]
        if joined and (url := _text(url, 512)):
            shown = known.get("shown")
            rooms[url] = SavedRooms(tuple(joined), shown if shown in joined else joined[0])
    return dict(list(rooms.items())[-SERVERS_MAX:])


def _ignored(saved: object) -> dict[str, dict[str, float | None]]:
    """Parse the saved ignored people; invalid entries are skipped."""
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
    """`value` if it is one printable line, else empty."""
    return value if isinstance(value, str) and len(value) <= limit and value.isprintable() else ""


def write_json(path: Path, value: object) -> None:
    """Replace the file at `path` with JSON, without syncing to disk.

    Raises:
        OSError: The directory cannot be written; the old file is unchanged.
    """
    write_private(path, json.dumps(value, indent=2) + "\n", sync=False)


def read_object(path: Path) -> tuple[dict[str, object], str]:
    """Read a JSON object; empty if there is no file. The second value is an error sentence or empty."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}, ""
    except (OSError, ValueError, RecursionError) as error:
        return {}, f"Ignored unreadable file {path}: {error}"
    if not isinstance(value, dict):
        return {}, f"Ignored {path}: not written by this program"
    return value, ""
