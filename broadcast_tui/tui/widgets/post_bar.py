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
        bind("pick.move-older", "ask('older')"),
        bind("pick.move-newer", "ask('newer')"),
        bind("pick.page-older", "ask('page-up')"),
        bind("pick.page-newer", "ask('page-down')"),
        bind("pick.go-first", "ask('first')"),
        bind("pick.go-last", "ask('last')"),
        bind("pick.match-older", "ask('match-older')"),
        bind("pick.match-newer", "ask('match-newer')"),
        bind("pick.copy-text", "ask('copy')"),
        bind("pick.copy-stamped", "ask('copy-stamped')"),
        bind("pick.open-link", "ask('open')"),
        bind("pick.answer-sender", "ask('answer')"),
        bind("pick.inspect-post", "ask('inspect')"),
        bind("pick.leave-picking", "ask('leave')"),
    ]

    @dataclass
    class Asked(Message):
        """A key asks for `wish`."""

        wish: PostAction

    @dataclass
    class Left(Message):
        """Something else than `bar` has the focus now."""

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

    def tell(self, count: str) -> None:
        """Say which of how many matches is picked."""
        if count != self._count:
            self._count = count
            self.refresh()

    def close(self) -> None:
        self.display = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._matches or not str(parameters).startswith("('match-")

    def action_ask(self, wish: str) -> None:
        self._leaving = wish in (PostAction.ANSWER, PostAction.LEAVE)
        self.post_message(self.Asked(PostAction(wish)))

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
            self.post_message(self.Left(self))

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
