"""NO_COLOR as it is meant: the terminal's own two colors, and nothing but bold, dim, reverse and lines.

Textual would send greys, which paint a light terminal dark. What stands out by its background (the
cursor, a selection, the row of a list) is reversed here; what is weak by its color is dim.
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

STANDS_OUT = 1.6
"""Contrast to the background of the theme from which on a background is meant to be seen."""
WEAK = 5.8
"""Contrast up to which text is weaker than text is; that of our themes is 60 % of it."""


class NoColorFilter(LineFilter):
    """Takes the colors from all that `app` draws."""

    def __init__(self, app: App[None]) -> None:
        super().__init__()
        self._app = app

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        base = Color.parse(self._app.current_theme.background or "#000000")
        ground = base.rgb if base.ansi is None else None
        return [
            Segment(text, None if style is None else _without_colors(style, ground), control)
            for text, style, control in segments
        ]


def drop_colors(app: App[None]) -> None:
    """Let `app` draw without colors if it is to, that is, if NO_COLOR is set."""
    if app.no_color:
        app._filters = [old for old in app._filters if not isinstance(old, Monochrome | NoColor)]
        app._filters.append(NoColorFilter(app))


@lru_cache(2_048)
def _without_colors(style: Style, ground: Rgb | None) -> Style:
    """`style` without its colors; `ground` is what all stands on, None if that is the terminal's own."""
    front, back = _rgb(style.color), _rgb(style.bgcolor)
    if style.reverse:
        front, back = back, front
    stands_out = back is not None and (ground is None or contrast(back, ground) >= STANDS_OUT)
    weak = False
    if front is not None and ground is not None and not stands_out:
        weak = contrast(front, back or ground) < WEAK
    return style + Style(
        color="default",
        bgcolor="default",
        reverse=stands_out or bool(style.reverse),
        dim=weak or bool(style.dim),
    )


def _rgb(color: RichColor | None) -> Rgb | None:
    return None if color is None or color.is_default else color.get_truecolor()
