"""Which of the palettes suits a widget: its background, and how many colours the terminal has."""

from __future__ import annotations

from textual.widget import Widget

from broadcast_tui.tui.model.colour import palette

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def name_colours(widget: Widget) -> tuple[str, ...]:
    """The colours of names on the background of `widget`, by `colour_index`."""
    app, background = widget.app, widget.background_colors[1]
    # How the terminal's own background looks, only the theme made for it can tell.
    own = _BLACK if app.current_theme.dark else _WHITE
    rgb = background.rgb if background.ansi is None else own
    return palette(rgb, sixteen=app.console.color_system == "standard")
