"""The post bar: one row with the keys for the selected post. It has the focus while a post is selected.

It only posts the actions; other keys go to the rest of the screen.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from broadcast_tui.tui.keymap import active_key, bind
from broadcast_tui.tui.widgets.key_dispatch import forward_to_screen, run_binding


class PostAction(StrEnum):
    """What to do with the selected post."""

    OLDER = "older"
    NEWER = "newer"
    PAGE_UP = "page-up"
    PAGE_DOWN = "page-down"
    FIRST = "first"
    LAST = "last"
    MATCH_OLDER = "match-older"
    MATCH_NEWER = "match-newer"
    COPY = "copy"
    COPY_STAMPED = "copy-stamped"
    OPEN = "open"
    ANSWER = "answer"
    INSPECT = "inspect"
    LEAVE = "leave"


_HINTS = (
    ("pick.match-older", "next"),
    ("pick.copy-text", "copy"),
    ("pick.answer-sender", "answer"),
    ("pick.open-link", "open link"),
    ("pick.inspect-post", "inspect"),
    ("pick.leave-picking", "back"),
    ("pick.copy-stamped", "copy with time"),
)
"""Key bindings shown in the row, the most useful first, with their labels."""


class PostBar(Widget, can_focus=True):
    """The bar is hidden while no post is selected."""

    DEFAULT_CSS = """
    PostBar {
        display: none;
        height: 1;
        padding: 0 1;
        background: $panel;
        color: $foreground;
    }
    """
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("pick.move-older", "post_action('older')"),
        bind("pick.move-newer", "post_action('newer')"),
        bind("pick.page-older", "post_action('page-up')"),
        bind("pick.page-newer", "post_action('page-down')"),
        bind("pick.go-first", "post_action('first')"),
        bind("pick.go-last", "post_action('last')"),
        bind("pick.match-older", "post_action('match-older')"),
        bind("pick.match-newer", "post_action('match-newer')"),
        bind("pick.copy-text", "post_action('copy')"),
        bind("pick.copy-stamped", "post_action('copy-stamped')"),
        bind("pick.open-link", "post_action('open')"),
        bind("pick.answer-sender", "post_action('answer')"),
        bind("pick.inspect-post", "post_action('inspect')"),
        bind("pick.leave-picking", "post_action('leave')"),
    ]

    @dataclass
    class ActionRequested(Message):
        """The user has pressed the key of `action`."""

        action: PostAction

    @dataclass
    class Blurred(Message):
        """`bar` has lost the focus to another widget."""

        bar: PostBar

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._matches = False
        self._count = ""
        self._leaving = False
        """Whether the focus is about to move: keys typed from now on are not for the bar."""

    def open(self, *, matches: bool) -> None:
        """Show and focus the bar. With `matches`, the keys for other matches of a search work too."""
        self._matches = matches
        self._count = ""
        self._leaving = False
        self.display = True
        self.screen.set_focus(self, scroll_visible=False)
        self.refresh()

    def show_count(self, count: str) -> None:
        """Show the position among the matches of a search, such as `3/17`."""
        if count != self._count:
            self._count = count
            self.refresh()

    def close(self) -> None:
        self.display = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._matches or not str(parameters).startswith("('match-")

    def action_post_action(self, action: str) -> None:
        self._leaving = action in (PostAction.ANSWER, PostAction.LEAVE)
        self.post_message(self.ActionRequested(PostAction(action)))

    async def on_key(self, event: events.Key) -> None:
        if forward_to_screen(self, event):
            return
        binding = self.screen.active_bindings.get(event.key)
        is_own = binding is not None and binding.node is self
        if not self._leaving and is_own:
            await run_binding(self, event)
        elif not self._leaving and not event.is_printable:
            event.prevent_default()
            # A key without a binding may be an editing key of the composer.
            if await self.app._check_bindings(event.key):
                event.stop()
        else:
            self._leaving = self._leaving or event.is_printable

    def on_blur(self) -> None:
        # When the terminal loses the focus, no widget has it; the bar gets it back afterwards.
        if self.screen.focused is not None and self.screen.focused is not self:
            self.post_message(self.Blurred(self))

    def render(self) -> Content:
        pieces = [Content(self._count)] if self._count else []
        room = self.content_size.width - len(self._count)
        for id, label in _HINTS:
            if id == "pick.match-older" and not self._matches:
                continue
            piece = Content.assemble((active_key(self.app, id), "bold"), " ", label)
            room -= piece.cell_length + (2 if pieces else 0)
            if room < 0:
                break
            pieces.append(piece)
        return Content("  ").join(pieces)
