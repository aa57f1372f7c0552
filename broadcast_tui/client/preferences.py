"""What the client remembers between runs: the last name, the theme, notices, an id for this installation.

One small JSON file in the user's state directory, for the user alone (mode 600), written whole or not
at all. One that cannot be read is ignored, with a notice.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from broadcast_tui.client.state_file import read_object, write_json

FILE_NAME = "state.json"
_ROOMS_MAX = 500


def state_dir() -> Path:
    """Where this program keeps what it remembers, and its crash reports; may not exist yet."""
    import platformdirs

    return Path(platformdirs.user_state_dir("broadcast-tui", appauthor=False))


@dataclass(slots=True)
class Preferences:
    """`client_id` tells the server which connections and resends are of one installation."""

    path: Path
    name: str = ""
    theme: str = ""
    client_id: str = field(default_factory=lambda: secrets.token_hex(16))
    levels: dict[str, str] = field(default_factory=dict)
    """What notices are wanted, by `server #room`, where that is not the default."""
    notice: str = ""
    """One sentence about what could not be read or written; empty if all is well."""

    @classmethod
    def load(cls, directory: Path | None = None) -> Preferences:
        """What was saved last, or fresh values. The id is saved at once when it is new."""
        preferences = cls((directory or state_dir()) / FILE_NAME)
        saved, preferences.notice = read_object(preferences.path)
        preferences.name = _text(saved.get("name"), 64)
        preferences.theme = _text(saved.get("theme"), 64)
        levels = saved.get("levels")
        for room, level in list(levels.items())[-_ROOMS_MAX:] if isinstance(levels, dict) else ():
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

    def save(self) -> bool:
        """Write everything; false, with a `notice`, if the directory cannot be written."""
        content = {"name": self.name, "theme": self.theme, "client_id": self.client_id, "levels": self.levels}
        try:
            write_json(self.path, content)
        except (OSError, UnicodeError) as error:
            self.notice = f"{self.path} cannot be written: {error}"
            return False
        return True


def _text(value: object, limit: int) -> str:
    """`value` if it is text of one printable line, else empty."""
    return value if isinstance(value, str) and len(value) <= limit and value.isprintable() else ""
