"""Keys of an input in the order typed, however fast they come.

Textual 8.2 puts letters in at once, but does what other keys are bound to only after they have bubbled up: of
`Ctrl+U a n a` that arrive together (a slow line, a paste by a terminal), the letters would be deleted.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from textual import events
from textual.widget import Widget


@runtime_checkable
class KeyReceiver(Protocol):
    """A screen that wants what was typed after the key that opened it, before it was there."""

    def take_key(self, event: events.Key) -> None: ...


def forward_to_screen(widget: Widget, event: events.Key) -> bool:
    """Give `event` to the screen on top, if it came to `widget` only because that was not there yet."""
    top = widget.app.screen
    if top is widget.screen or not isinstance(top, KeyReceiver):
        return False
    event.prevent_default().stop()
    top.take_key(event)
    return True


def forward_to_focus(widget: Widget, event: events.Key) -> bool:
    """Give `event` to what has the focus by now, if a key typed before took it from `widget`."""
    focused = widget.screen.focused
    if focused is None or focused is widget:
        return False
    event.prevent_default().stop()
    focused.post_message(events.Key(event.key, event.character))
    return True


async def run_binding(widget: Widget, event: events.Key) -> None:
    """Do what `event`, a key that writes nothing, is bound to for the focused `widget` or further up."""
    event.prevent_default().stop()
    await widget.app._check_bindings(event.key)
