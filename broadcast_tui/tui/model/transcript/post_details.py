"""Details of a post: what it replies to, and what people have done with it.

Most posts have none. Everything in them comes from the server, so it is sanitized and bounded here, once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import msgspec

from broadcast_tui.core.notes import without_lost_notes
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NO_STATE, Ask, Deletion, Pin, PostState, Votes
from broadcast_tui.core.text import visible_line

KEY_CHARS = 32
"""Maximum number of characters of a reaction."""
CHOICE_CHARS = 100
REASON_CHARS = 1_024
NAME_CHARS = 128
KEYS_MAX = 40
"""Maximum number of reactions to a post, and of choices. Servers allow fewer."""
NAMES_MAX = 100
UNKNOWN_TARGET = -1
"""`PostDetails.re` of a reply to a post whose position is not known."""


class PostDetails(msgspec.Struct, frozen=True):
    """What a transcript stores about a post in addition to its line."""

    re: int = 0
    """Seq of the post that it replies to; 0: none."""
    root: int = 0
    """Seq of the first post of its thread; 0 if it is not a reply."""
    state: PostState = NO_STATE
    reactions: dict[str, Votes] = {}
    """The reactions to display: those of `state`, without ignored people."""

    @property
    def marks(self) -> str:
        """Words about the post to display after its text; empty if there are none."""
        words = [word for word, on in (("edited", self.state.edited), ("pinned", self.state.pinned)) if on]
        return f"({', '.join(words)})" if words else ""

    def without(self, is_ignored: Callable[[str], bool] | None) -> PostDetails:
        """The details to display while some people are ignored."""
        reactions = self.state.reactions
        if is_ignored is not None:
            reactions = {
                key: left for key, votes in reactions.items() if (left := _without(votes, is_ignored)).count
            }
        return msgspec.structs.replace(self, reactions=reactions)

    def until(self, seq: int) -> PostDetails:
        """The details, of which the notes above `seq` are lost."""
        state = without_lost_notes(self.state, seq)
        return self if state is self.state else msgspec.structs.replace(self, state=state)


def details_of(post: Post, is_ignored: Callable[[str], bool] | None = None) -> PostDetails | None:
    """The sanitized details of a post; None if it has none."""
    if post.state is NO_STATE and not post.re:  # most posts
        return None
    return PostDetails(post.re, post.root, clean_state(post.state)).without(is_ignored)


def reply_details(re: str) -> PostDetails | None:
    """The details of an own reply to the post with the id or nonce `re`; None if `re` is empty."""
    target = Position.parse(re)
    return PostDetails(UNKNOWN_TARGET if target is None else target.seq) if re else None


def clean_state(state: PostState) -> PostState:
    """`state` with sanitized, bounded text."""
    deleted, pinned, ask = state.deleted, state.pinned, state.ask
    return msgspec.structs.replace(
        state,
        edited=_name(state.edited),
        deleted=deleted
        and Deletion(_name(deleted.by), _name(deleted.at), _line(deleted.reason, REASON_CHARS)),
        pinned=pinned and Pin(_name(pinned.by), _name(pinned.at)),
        reactions=_clean_votes(state.reactions, KEY_CHARS),
        ask=ask and clean_ask(ask),
        tally=_clean_votes(state.tally, CHOICE_CHARS),
        waiting=_names(state.waiting),
        closed=_name(state.closed),
    )


def clean_ask(ask: Ask) -> Ask:
    """`ask` with sanitized, bounded text."""
    choices = tuple(_line(choice, CHOICE_CHARS) for choice in ask.choices[:KEYS_MAX])
    return Ask(choices, _name(ask.until), max(0, ask.of), _names(ask.to))


def deletion_text(deletion: Deletion) -> str:
    """The line to display in place of a deleted post."""
    by = f"deleted by {deletion.by}" if deletion.by else "deleted"
    return f"{by}: {deletion.reason}" if deletion.reason else by


def _without(votes: Votes, is_ignored: Callable[[str], bool]) -> Votes:
    names = tuple(name for name in votes.names if not is_ignored(name))
    return Votes(votes.count - len(votes.names) + len(names), names)


def _clean_votes(votes: dict[str, Votes], chars: int) -> dict[str, Votes]:
    clean: dict[str, Votes] = {}
    for key, each in list(votes.items())[:KEYS_MAX]:
        names = _names(each.names)
        if (shown := _line(key, chars)) and each.count > 0:
            clean.setdefault(shown, Votes(max(each.count, len(names)), names))
    return clean


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_name, names[:NAMES_MAX]))


@lru_cache(maxsize=1024)
def _name(name: str) -> str:
    """A name or timestamp."""
    return visible_line(name[:NAME_CHARS])


def _line(text: str, chars: int) -> str:
    return visible_line(text[:chars])
