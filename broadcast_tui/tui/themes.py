"""The colors of our own: one theme for dark terminals and one for light ones.

Text and the colors of names stand at 4.5 : 1 or more on every surface they are drawn on.
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

OURS = (DARK, LIGHT)


def theme_names() -> tuple[str, ...]:
    """All themes there are to choose from: ours and Textual's."""
    return (*(theme.name for theme in OURS), *BUILTIN_THEMES)


def fitting(environ: Mapping[str, str]) -> str:
    """The name of our theme for a terminal as `environ` describes it: dark unless COLORFGBG says light.

    COLORFGBG (rxvt, Konsole, iTerm2) ends with the number of the background: 7 and 15 are light.
    """
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if background in ("7", "15") else DARK.name
