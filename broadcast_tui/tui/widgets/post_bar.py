"""The post bar: one row with the keys for the selected post. It has the focus while a post is selected.

Other keys than its own go to the rest of the screen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import ClassVar

import msgspec
from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from broadcast_tui.tui.keymap import active_key, bind
from broadcast_tui.tui.model.post_target import PostTarget
from broadcast_tui.tui.widgets.key_dispatch import forward_to_focus, forward_to_screen, run_binding


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
    REPLY = "reply"
    THREAD = "thread"
    REACT = "react"
    ANSWER = "answer"
    EDIT = "edit"
    DELETE = "delete"
    PIN = "pin"
    INSPECT = "inspect"
    LEAVE = "leave"


_LEAVING = frozenset((PostAction.REPLY, PostAction.EDIT, PostAction.LEAVE))
"""Actions after which the keys go to the composer."""


class Selected(msgspec.Struct, frozen=True):
    """The selected post, as far as it decides which actions are possible."""

    target: PostTarget | None
    """None for a post that was rejected."""
    has_thread: bool = False
    has_link: bool = False
    can_answer: bool = False
    """Whether it is an open question that the user was asked."""

    def hints(self) -> list[tuple[str, str]]:
        """The ids of the possible key bindings, the most useful first, with their labels."""
        target = self.target
        is_post = target is not None and not target.is_deleted
        is_own = is_post and target is not None and target.own
        is_pinned = target is not None and target.state.pinned is not None
        hints = (
            ("pick.answer-question", "answer", self.can_answer),
            ("pick.reply-post", "reply", is_post),
            ("pick.react-post", "react", is_post),
            ("pick.edit-post", "edit", is_own),
            ("pick.show-thread", "thread", self.has_thread),
            ("pick.delete-post", "delete", is_own),
            ("pick.pin-post", "unpin" if is_pinned else "pin", is_post),
            ("pick.copy-text", "copy", True),
            ("pick.open-link", "open link", self.has_link),
            ("pick.inspect-post", "inspect", True),
            ("pick.copy-stamped", "copy with time", True),
        )
        return [(id, label) for id, label, is_possible in hints if is_possible]


class PostBar(Widget, can_focus=True):
    """The bar is hidden while no post is selected.

    Args:
        selected: Returns the selected post.
        perform: Carries out an action. Called at once, so that the keys after it go to the dialog it opens.
    """

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
        bind("pick.reply-post", "post_action('reply')"),
        bind("pick.show-thread", "post_action('thread')"),
        bind("pick.react-post", "post_action('react')"),
        bind("pick.answer-question", "post_action('answer')"),
        bind("pick.edit-post", "post_action('edit')"),
        bind("pick.delete-post", "post_action('delete')"),
        bind("pick.pin-post", "post_action('pin')"),
        bind("pick.inspect-post", "post_action('inspect')"),
        bind("pick.leave-picking", "post_action('leave')"),
    ]

    class Blurred(Message):
        """`bar` has lost the focus to another widget."""

        def __init__(self, bar: PostBar) -> None:
            super().__init__()
            self.bar = bar

    def __init__(
        self,
        selected: Callable[[], Selected | None],
        perform: Callable[[PostAction], None],
        type_key: Callable[[events.Key], Awaitable[None]],
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._selected = selected
        self._perform = perform
        self._type_key = type_key
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

    def stay(self) -> None:
        """Accept keys again: an action that would have moved the focus was not possible."""
        self._leaving = False

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
        self._leaving = action in _LEAVING
        self._perform(PostAction(action))

    async def on_key(self, event: events.Key) -> None:
        if forward_to_screen(self, event):
            return
        if self.app.screen is not self.screen:
            # A dialog was opened. It must not be answered by a key that was typed before it was visible.
            event.prevent_default().stop()
            return
        if forward_to_focus(self, event):
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
        elif event.is_printable:
            # At once: on its way up, the next key could overtake it, which goes to the new focus directly.
            self._leaving = True
            event.prevent_default()
            await self._type_key(event)

    def on_blur(self) -> None:
        # When the terminal loses the focus, no widget has it; the bar gets it back afterwards.
        if self.screen.focused is not None and self.screen.focused is not self:
            self.post_message(self.Blurred(self))

    def render(self) -> Content:
        selected = self._selected()
        if selected is None:
            return Content("")
        pieces = [Content(self._count)] if self._count else []
        back = self._hint("pick.leave-picking", "back")
        room = self.content_size.width - len(self._count) - back.cell_length - (2 if pieces else 0)
        hints = selected.hints()
        if self._matches:
            hints.insert(0, ("pick.match-older", "next"))
        for id, label in hints:
            piece = self._hint(id, label)
            room -= piece.cell_length + 2
            if room < 0:
                break
            pieces.append(piece)
        return Content("  ").join([*pieces, back])

    def _hint(self, id: str, label: str) -> Content:
        return Content.assemble((active_key(self.app, id), "bold"), " ", label)
