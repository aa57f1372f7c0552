"""What the client remembers between runs: the last name, the theme, and an id for this installation.

One small JSON file in the user's state directory, for the user alone (mode 600), written whole or not
at all. One that cannot be read is ignored, with a notice.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from broadcast_tui.private_file import write_private

FILE_NAME = "state.json"


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
    notice: str = ""
    """One sentence about what could not be read or written; empty if all is well."""

    @classmethod
    def load(cls, directory: Path | None = None) -> Preferences:
        """What was saved last, or fresh values. The id is saved at once when it is new."""
        preferences = cls((directory or state_dir()) / FILE_NAME)
        try:
            saved = json.loads(preferences.path.read_text("utf-8"))
        except FileNotFoundError:
            saved = {}
        except (OSError, ValueError, RecursionError) as error:
            saved = {}
            preferences.notice = f"Ignoring {preferences.path}, which cannot be read: {error}"
        if not isinstance(saved, dict):
            saved = {}
            preferences.notice = f"Ignoring {preferences.path}, which is not what this program writes"
        preferences.name = _text(saved.get("name"), 64)
        preferences.theme = _text(saved.get("theme"), 64)
        if client_id := _text(saved.get("client_id"), 64):
            preferences.client_id = client_id
        else:
            preferences.save()
        return preferences

    def save(self) -> bool:
        """Write everything; false, with a `notice`, if the directory cannot be written."""
        content = json.dumps({"name": self.name, "theme": self.theme, "client_id": self.client_id}, indent=2)
        try:
            write_private(self.path, content + "\n")
        except (OSError, UnicodeError) as error:
            self.notice = f"{self.path} cannot be written: {error}"
            return False
        return True


def _text(value: object, limit: int) -> str:
    """`value` if it is text of one printable line, else empty."""
    return value if isinstance(value, str) and len(value) <= limit and value.isprintable() else ""
