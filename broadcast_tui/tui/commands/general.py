"""General commands: actions, search, screen, themes, help and quitting."""

from __future__ import annotations

from difflib import get_close_matches

from broadcast_tui.tui.commands.context import CommandHandler
from broadcast_tui.tui.commands.parser import help_lines

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
