"""One layout for a new size of the terminal.

In Textual 8.2, each widget requests another layout and another repaint when a layout changes its virtual
size, which no layout depends on. So the screen was laid out and painted three times for a new size.

This uses private parts of Textual: the options of a reactive attribute.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from textual.widget import Widget


@contextmanager
def one_layout() -> Iterator[None]:
    """Lay out a screen in this context, without an `await`, and then paint all of it.

    Scrollbars that appear or disappear still request another layout.
    """
    virtual_size = Widget.virtual_size
    options = virtual_size._layout, virtual_size._repaint
    virtual_size._layout = virtual_size._repaint = False
    try:
        yield
    finally:
        virtual_size._layout, virtual_size._repaint = options
