"""What the composer writes instead of a new post: a reply, or another text for a post."""

from __future__ import annotations

from enum import Enum

import msgspec

from broadcast_tui.core.post import ACTION_PREFIX
from broadcast_tui.tui.model.post_target import PostTarget


class ComposeKind(Enum):
    """What happens to the text at Enter."""

    REPLY = "reply"
    EDIT = "edit"


class ComposeMode(msgspec.Struct, frozen=True):
    """A reply to `target`, or an edit of it."""

    kind: ComposeKind
    target: PostTarget

    @property
    def label(self) -> str:
        """What the composer is doing, in a few words."""
        if self.kind is ComposeKind.EDIT:
            return "Editing"
        return "Replying to yourself" if self.target.own else f"Replying to {self.target.sender or 'a guest'}"

    @property
    def initial_text(self) -> str:
        """The text to begin with, as it is typed."""
        return typed_text(self.target.text) if self.kind is ComposeKind.EDIT else ""


def typed_text(text: str) -> str:
    """What to type to post `text`: a slash that does not begin a command is doubled."""
    return f"/{text}" if text.startswith("/") and not text.startswith(ACTION_PREFIX) else text
