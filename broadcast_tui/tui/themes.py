"""The two themes of broadcast-tui: one for dark and one for light terminals.

Text and name colors have a contrast of at least 4.5:1 on every background they are drawn on (WCAG AA).
"""

from __future__ import annotations

from collections.abc import Mapping

from textual.theme import BUILTIN_THEMES, Theme

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
)

OWN_THEMES = (DARK, LIGHT)


def theme_names() -> tuple[str, ...]:
    """The names of all themes: those of broadcast-tui first, then Textual's."""
    return (*(theme.name for theme in OWN_THEMES), *BUILTIN_THEMES)


def default_theme(environ: Mapping[str, str]) -> str:
    """The default theme for a terminal: dark unless the variable COLORFGBG indicates a light background.

    COLORFGBG (rxvt, Konsole, iTerm2) ends with the color number of the background: 7 and 15 are light.
    """
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if background in ("7", "15") else DARK.name
