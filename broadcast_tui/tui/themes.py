"""The themes of broadcast-tui: for dark and for light terminals, and both with high contrast.

Text and name colors have a contrast of at least 4.5:1 on every background they are drawn on (WCAG AA), and
of at least 7:1 in the themes with high contrast (AAA).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.app import App
from textual.theme import BUILTIN_THEMES, Theme

_MUTED = {"text-disabled": "auto 60%"}
"""Placeholders must be readable too; Textual makes them weaker."""
_HIGH_CONTRAST_MUTED = {"text-muted": "auto 85%", "text-disabled": "auto 85%"}

MUTED_SHARE = 0.78
"""Share of the text color in less important text."""
MUTED = f"$foreground {MUTED_SHARE:.0%}"
"""Less important text in a `Content`, where Textual 8.2 draws `$text-muted` at full strength."""


def _selection(foreground: str, background: str) -> dict[str, str]:
    """Two colors for text selected with the mouse; in Textual, it keeps its color on a translucent tint."""
    return {"screen-selection-foreground": foreground, "screen-selection-background": background}


DARK = Theme(
    name="broadcast-dark",
    primary="#58b4e8",
    secondary="#9aa5f0",
    accent="#e8ab5c",
    foreground="#d9dee6",
    background="#12161b",
    surface="#1a2027",
    panel="#232b34",
    success="#6fcb8f",
    warning="#ecb84e",
    error="#f2827f",
    dark=True,
    variables={**_MUTED, **_selection("#d9dee6", "#245272")},
)

LIGHT = Theme(
    name="broadcast-light",
    primary="#12618f",
    secondary="#4a52a3",
    accent="#875300",
    foreground="#20242b",
    background="#fcfbf8",
    surface="#f2f0ea",
    panel="#e6e3da",
    success="#1b7340",
    warning="#835400",
    error="#aa2b2a",
    dark=False,
    variables={**_MUTED, **_selection("#20242b", "#93b8cd")},
)

HIGH_CONTRAST_DARK = Theme(
    name="broadcast-contrast",
    primary="#7fd0ff",
    secondary="#c3caff",
    accent="#ffcf80",
    foreground="#ffffff",
    background="#000000",
    surface="#0b0b0b",
    panel="#161616",
    success="#8df0ac",
    warning="#ffd45c",
    error="#ffaaa6",
    dark=True,
    variables={
        **_HIGH_CONTRAST_MUTED,
        **_selection("#ffffff", "#005187"),
        "input-selection-background": "#00406b",
    },
)

HIGH_CONTRAST_LIGHT = Theme(
    name="broadcast-contrast-light",
    primary="#00406b",
    secondary="#2b3285",
    accent="#5c3800",
    foreground="#000000",
    background="#ffffff",
    surface="#f7f7f7",
    panel="#ededed",
    success="#00501f",
    warning="#5c3900",
    error="#8a0b0a",
    dark=False,
    variables={**_HIGH_CONTRAST_MUTED, **_selection("#000000", "#8fb8d6")},
)

HIGH_CONTRAST_THEMES = (HIGH_CONTRAST_DARK, HIGH_CONTRAST_LIGHT)
HIGH_CONTRAST = frozenset(theme.name for theme in HIGH_CONTRAST_THEMES)
OWN_THEMES = (DARK, LIGHT, *HIGH_CONTRAST_THEMES)


def theme_names() -> tuple[str, ...]:
    """The names of all themes: those of broadcast-tui first, then Textual's."""
    return (*(theme.name for theme in OWN_THEMES), *BUILTIN_THEMES)


def default_theme(environ: Mapping[str, str]) -> str:
    """The default theme for a terminal: dark unless the variable COLORFGBG indicates a light background.

    COLORFGBG (rxvt, Konsole, iTerm2) ends with the color number of the background: 7 and 15 are light.
    """
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if background in ("7", "15") else DARK.name


def set_first_theme(app: App[None], wanted: Sequence[str]) -> None:
    """Set the first of the wanted themes that the app has, before the app runs.

    Textual parses all style sheets again when the theme of a running app changes, which would take a tenth of
    the time to the first screen.
    """
    name = next(theme for theme in wanted if theme in app.available_themes)
    app.set_reactive(App.theme, name)
    is_dark = app.current_theme.dark
    classes = {"-dark-mode": is_dark, "-light-mode": not is_dark, f"-theme-{name}": True}
    app.update_classes(classes, update=False)
    app._refresh_truecolor_filter(app.ansi_theme)
    app.stylesheet.set_variables(app.get_css_variables())
