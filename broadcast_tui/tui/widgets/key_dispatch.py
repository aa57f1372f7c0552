"""Handles the keys of an input in the order typed.

Textual 8.2 inserts letters at once but runs bindings only after the key event has bubbled up to the app. If
`Ctrl+U a n a` arrives in one read (slow connection, paste by the terminal), Ctrl+U would delete the letters.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from textual import events
from textual.widget import Widget


@runtime_checkable
class KeyReceiver(Protocol):
    """A screen that accepts keys typed after the key that opened it, but before it was mounted."""

    def take_key(self, event: events.Key) -> None: ...


def forward_to_screen(widget: Widget, event: events.Key) -> bool:
    """Forward `event` to a `KeyReceiver` on top; true if it was meant for that screen."""
    top = widget.app.screen
    if top is widget.screen or not isinstance(top, KeyReceiver):
        return False
    event.prevent_default().stop()
    top.take_key(event)
    return True


def forward_to_focus(widget: Widget, event: events.Key) -> bool:
    """Forward `event` to the focused widget if an earlier key has moved the focus from `widget`."""
    focused = widget.screen.focused
    if focused is None or focused is widget:
        return False
    event.prevent_default().stop()
    focused.post_message(events.Key(event.key, event.character))
    return True


async def run_binding(widget: Widget, event: events.Key) -> None:
    """Run the binding of `event`, a key that inserts nothing, of the focused `widget` or an ancestor now.

    If an earlier key has opened another screen, `event` is for that screen, once it is mounted: one that is
    closed while it mounts its widgets does not find them.
    """
    event.prevent_default().stop()
    if (top := widget.app.screen) is not widget.screen:
        top.post_message(events.Key(event.key, event.character))
    else:
        await widget.app._check_bindings(event.key)
