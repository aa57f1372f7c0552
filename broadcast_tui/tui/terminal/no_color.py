"""NO_COLOR support: only the terminal's default colors, with bold, dim, reverse and underline.

Textual replaces colors with grays, which turn a light terminal dark. Here a cell with a distinct background
(cursor, selection, list row) is reversed, and text with a weak color is dim.
"""

from __future__ import annotations

from functools import lru_cache

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter, Monochrome, NoColor

from broadcast_tui.tui.model.text.colors import Rgb, contrast

DISTINCT_MIN = 1.45
"""Lowest contrast to the theme's background that makes a background distinct."""
DIM_MAX = 9.0
"""Highest contrast of gray text that counts as dim; muted text in our themes is below it."""
GRAY_MAX = 48
"""Largest difference of the parts of a color that counts as gray; those of names are larger."""


class NoColorFilter(LineFilter):
    """Removes the colors from everything that `app` draws."""

    def __init__(self, app: App[None]) -> None:
        super().__init__()
        self._app = app

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        color = Color.parse(self._app.current_theme.background or "#000000")
        base = color.rgb if color.ansi is None else None
        return [
            Segment(text, None if style is None else _without_colors(style, base), control)
            for text, style, control in segments
        ]


def drop_colors(app: App[None]) -> None:
    """Install the filter in `app` if NO_COLOR is set."""
    if app.no_color:
        app._filters = [item for item in app._filters if not isinstance(item, Monochrome | NoColor)]
        app._filters.append(NoColorFilter(app))


@lru_cache(2_048)
def _without_colors(style: Style, base: Rgb | None) -> Style:
    """`style` without colors. `base` is the theme's background, None for the terminal's default."""
    foreground, background = _rgb(style.color), _rgb(style.bgcolor)
    if style.reverse:
        foreground, background = background, foreground
    is_distinct = background is not None and (base is None or contrast(background, base) >= DISTINCT_MIN)
    is_dim = False
    if foreground is not None and base is not None and not is_distinct:
        is_gray = max(foreground) - min(foreground) <= GRAY_MAX
        is_dim = is_gray and contrast(foreground, background or base) < DIM_MAX
    return style + Style(
        color="default",
        bgcolor="default",
        reverse=is_distinct or bool(style.reverse),
        dim=is_dim or bool(style.dim),
    )


def _rgb(color: RichColor | None) -> Rgb | None:
    return None if color is None or color.is_default else color.get_truecolor()
