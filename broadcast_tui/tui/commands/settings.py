"""Commands that show and change settings."""

from __future__ import annotations

from broadcast_tui.tui.commands.context import CommandHandler
from broadcast_tui.tui.model.settings import SettingError, check_setting


class SettingsCommands(CommandHandler):
    """Handlers of /settings and /set."""

    def settings(self, _argument: str) -> bool:
        self._context.theme_host.action_open_settings()
        self._context.refresh_views()
        return True

    def set(self, argument: str) -> bool:
        """Change a setting, show one, or list all."""
        settings = self._state.settings
        lines = settings.lines(plain=not settings.themes)
        name, _, value = argument.partition(" ")
        name = name.rstrip("=")
        if not name:
            return self.print(*lines)
        try:
            if not value.strip():
                name, _ = check_setting(name, settings[name.casefold()], settings.themes)
                return self.print(next((line for line in lines if line.startswith(f"{name} ")), lines[0]))
            name, value = check_setting(name, value.strip(" ="), settings.themes)
            settings.set(name, value)
        except SettingError as error:
            return self.fail(str(error))
        note = settings.note(name)
        return self.print(f"{name} = {settings[name]}{f'. {note}' if note else ''}")
