"""General commands: actions, search, screen, export, themes, help and quitting."""

from __future__ import annotations

import os
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from broadcast_tui.tui.commands.context import CommandHandler
from broadcast_tui.tui.commands.parser import help_lines
from broadcast_tui.tui.model.transcript.export import Snapshot, format_of, lines_of

SHRUG = r"¯\_(ツ)_/¯"


class GeneralCommands(CommandHandler):
    """Commands that are not about a room, a user or the connection."""

    def me(self, action: str) -> bool:
        self._context.say(f"/me {action}")
        return True

    def shrug(self, text: str) -> bool:
        self._context.say(f"{text} {SHRUG}".strip())
        return True

    def search(self, words: str) -> bool:
        self._context.open_search(words)
        return True

    def clear(self, _argument: str) -> bool:
        self._state.rooms.shown.transcript.clear()
        self._context.refresh_views()
        return True

    def export(self, file: str) -> bool:
        path = Path(os.path.expanduser(file))
        if path.exists():
            return self.fail(f"{path} already exists; choose another name.")
        if not path.parent.is_dir():
            return self.fail(f"No such directory: {path.parent}")
        snapshot = self._state.rooms.shown.transcript.snapshot()
        self._context.run_in_thread(partial(write_export, path, snapshot, self._state.rooms.shown_name))
        return True

    def theme(self, name: str) -> bool:
        host = self._context.theme_host
        themes = sorted(host.available_themes)
        if not themes:
            return self.fail("Themes are not available in plain mode.")
        if not name:
            return self.print(f"Current theme: {host.theme}. Available: {', '.join(themes)}")
        if name not in themes:
            close = get_close_matches(name.casefold(), themes, n=1)
            suggestion = f"Did you mean {close[0]}?" if close else "/theme lists the themes."
            return self.fail(f"No such theme: {name}. {suggestion}")
        host.theme = name
        return True

    def help(self, word: str) -> bool:
        return self.print(*help_lines(word, self._state.help_key, kiosk=self._state.is_kiosk))

    def quit(self, reason: str) -> bool:
        self._context.quit_chat(reason)
        return True


def write_export(path: Path, snapshot: Snapshot, room: str) -> str:
    """Write a room's lines to a new file readable only by the user; returns the result as a line of text."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            count = 0
            for line in lines_of(snapshot, format_of(path.suffix), room):
                file.write(line + "\n")
                count += 1
    except OSError as error:
        return f"Cannot write {path}: {error.strerror or error}"
    return f"Exported {count:,} line{'s' * (count != 1)} to {path}"
