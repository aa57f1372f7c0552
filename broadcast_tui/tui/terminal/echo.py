"""Paints an input right after a key, before everything else that the key causes.

In Textual 8.2, a changed widget is painted after its own messages about the change, a message to the screen
and a timer, and with it all widgets beside and behind it are rendered. None of that changes the cells of an
input that keeps its size and that nothing covers. So `echoing` renders only that widget. The messages follow
as usual; if they change something else, the next frame shows it.

This uses private parts of Textual, as `TerminalRenderer` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from textual._compositor import LayoutUpdate
from textual.geometry import NULL_REGION, Region
from textual.widget import Widget
from textual.widgets import TextArea


@contextmanager
def echoing(widget: TextArea) -> Iterator[None]:
    """Handle a key of `widget` in this context; at its end, `widget` is painted if the key has changed it.

    If other messages are waiting, such as more keys, Textual paints what all of them cause.
    """
    # A repaint that is pending may be due to new styles, which only `TextArea.render_lines` applies.
    is_ready = not widget.message_queue_size and not widget._repaint_regions
    yield
    if is_ready and widget._repaint_regions and widget.is_attached:
        _paint(widget)


def _paint(widget: TextArea) -> None:
    """Paint `widget` unless its layout changes, too, or a part of it is hidden."""
    app, screen = widget.app, widget.screen
    if screen is not app.screen or app._batch_count or widget._layout_required:
        return
    if widget.virtual_size.height != widget.content_size.height:  # Textual will change its layout
        return
    if (region := _visible_region(widget)) is None:
        return
    widget._repaint_required = False
    widget._repaint_regions.clear()
    # A key does not change the padding.
    top, bottom = widget.gutter.top, widget.gutter.bottom
    crop = Region(0, top, region.width, region.height - top - bottom)
    # `TextArea.render_lines` would compute its styles first, which takes longer than all the rest.
    strips = Widget.render_lines(widget, crop)
    app._display(screen, LayoutUpdate([[strip] for strip in strips], crop.translate(region.offset)))


def _visible_region(widget: Widget) -> Region | None:
    """The region of `widget` on the screen; None if a part of it is hidden."""
    places = widget.screen._compositor.visible_widgets
    region, clip = places.get(widget, (NULL_REGION, NULL_REGION))
    for other, (its_region, its_clip) in places.items():  # from front to back
        if other is widget:
            return region if clip.contains_region(region) else None
        if its_region.overlaps(region) and its_clip.overlaps(region):
            return None
    return None
