"""The keys that act on a picked post: one row that says which, and has the focus while a post is picked.

Whatever else is typed is left to others; so is what the keys do.
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

from broadcast_tui.tui.keymap import bind, key_in_force
from broadcast_tui.tui.widgets.key_dispatch import forward_to_screen, run_binding


class PostAction(StrEnum):
    """What a key asks for."""

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


_TOLD = (
    ("pick.match-older", "next"),
    ("pick.copy-text", "copy"),
    ("pick.answer-sender", "answer"),
    ("pick.open-link", "open link"),
    ("pick.inspect-post", "inspect"),
    ("pick.leave-picking", "back"),
    ("pick.copy-stamped", "copy with time"),
)
"""What the row says of some keys, the most useful first."""


class PostBar(Widget, can_focus=True):
    """Hidden while no post is picked."""

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
        """Whether the focus is about to go elsewhere: what is typed from now on is not for us."""

    def open(self, *, matches: bool) -> None:
        """Take the focus; `matches`: other matches of a search can be gone to."""
        self._matches = matches
        self._count = ""
        self._leaving = False
        self.display = True
        self.screen.set_focus(self, scroll_visible=False)
        self.refresh()

    def show_count(self, count: str) -> None:
        """Say which of how many matches is picked."""
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
        ours = binding is not None and binding.node is self
        if not self._leaving and ours:
            await run_binding(self, event)
        elif not self._leaving and not event.is_printable:
            event.prevent_default()
            # What nothing here is bound to may be for the input.
            if await self.app._check_bindings(event.key):
                event.stop()
        else:
            self._leaving = self._leaving or event.is_printable

    def on_blur(self) -> None:
        # The terminal that loses the focus takes it from everything; it comes back to here.
        if self.screen.focused is not None and self.screen.focused is not self:
            self.post_message(self.Blurred(self))

    def render(self) -> Content:
        pieces = [Content(self._count)] if self._count else []
        room = self.content_size.width - len(self._count)
        for id, does in _TOLD:
            if id == "pick.match-older" and not self._matches:
                continue
            piece = Content.assemble((key_in_force(self.app, id), "bold"), " ", does)
            room -= piece.cell_length + (2 if pieces else 0)
            if room < 0:
                break
            pieces.append(piece)
        return Content("  ").join(pieces)
