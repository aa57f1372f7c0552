"""The contrast of what is on the screen: each cell's color against its background, as WCAG 2.2 defines it."""

from __future__ import annotations

from rich.color import Color
from textual.app import App
from textual.geometry import Region

from broadcast_tui.tui.model.text.colors import Rgb, contrast


def weak_texts(app: App[None], minimum: float, region: Region | None = None) -> list[str]:
    """Texts on the screen, or in a part of it, that have less contrast than `minimum`.

    Borders, lines and blocks are no text. Dim text counts as weak: how much weaker it is, is the terminal's.
    """
    shown = region or Region(0, 0, *app.screen.size)
    found: dict[str, None] = {}
    for strip in app.screen._compositor.render_strips()[shown.y : shown.bottom]:
        for text, style, _ in strip.crop(shown.x, shown.right):
            words = "".join(char for char in text if not "\u2500" <= char <= "\u259f").strip()
            if not words or style is None:
                continue
            color, background = _rgb(style.color), _rgb(style.bgcolor)
            if style.reverse:
                color, background = background, color
            if style.dim:
                found[f"{words!r} is dim"] = None
            elif color is None or background is None:
                found[f"{words!r} has no color"] = None
            elif (ratio := contrast(color, background)) < minimum:
                found[f"{words!r} has {ratio:.2f} ({_hex(color)} on {_hex(background)})"] = None
    return list(found)


def _rgb(color: Color | None) -> Rgb | None:
    if color is None or color.is_default:
        return None
    red, green, blue = color.get_truecolor()
    return red, green, blue


def _hex(color: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
