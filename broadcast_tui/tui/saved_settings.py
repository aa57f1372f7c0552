"""Settings in the preferences file: choices made in the chat, beside the user's configuration file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.tui.model.settings import Fixed, Settings


def load_settings(
    preferences: Preferences | None, fixed: Mapping[str, Fixed], themes: Sequence[str] = ()
) -> Settings:
    """The settings of a chat; without preferences nothing was chosen."""
    if preferences is None:
        return Settings({}, fixed, themes)
    # These have entries of their own, which earlier releases read too.
    older = {
        "theme": preferences.theme,
        "joins": preferences.presence,
        "reactions": "on" if preferences.reactions else "off",
    }
    return Settings({**preferences.settings, **older}, fixed, themes)


def save_setting(preferences: Preferences, settings: Settings, name: str) -> None:
    """Save a setting that the user has changed."""
    match name:
        case "theme":
            preferences.theme = settings[name]
        case "joins":
            preferences.presence = settings[name]
        case "reactions":
            preferences.reactions = settings.is_on(name)
        case _:
            preferences.settings[name] = settings[name]
    preferences.save()
