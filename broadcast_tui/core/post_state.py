"""The state of a post: what people have done with it since it was sent.

The server stores the whole state, with all names. Clients get a view of it, with the first names only.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class NoteKind(StrEnum):
    """What a note does to a post. Each kind changes its own part of the state."""

    EDIT = "edit"
    DELETE = "delete"
    PIN = "pin"
    REACT = "react"
    ANSWER = "answer"


COALESCED = frozenset((NoteKind.REACT, NoteKind.ANSWER))
"""Kinds of which many people send one at once: a single note summarizes the changes of a second."""


class Deletion(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who deleted a post, the time, and the reason if one was given."""

    by: str
    at: str
    """Timestamp."""
    reason: str = ""


class Pin(msgspec.Struct, frozen=True):
    """Who pinned a post, and the time."""

    by: str
    at: str
    """Timestamp."""


class Votes(msgspec.Struct, frozen=True):
    """The people who chose one reaction or answer: their number and names, in the order of their votes.

    In a view, only the first names.
    """

    count: int
    names: tuple[str, ...]


class Ask(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question with counted answers. An announcement is a question with the single choice `ok`."""

    choices: tuple[str, ...]
    until: str
    """Timestamp at which it closes."""
    of: int
    """Number of people asked."""
    to: tuple[str, ...] = ()
    """Their names; empty if everyone in the room may answer."""


class PostState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything about a post that can change, except its text. The default is a post without notes."""

    folded: int = 0
    """Seq of the last note that is part of this state."""
    edited: str = ""
    """Timestamp of the last edit."""
    deleted: Deletion | None = None
    pinned: Pin | None = None
    reactions: dict[str, Votes] = {}
    """Votes by emoji, in the order of their first use."""
    ask: Ask | None = None
    tally: dict[str, Votes] = {}
    """Votes by choice."""
    waiting: tuple[str, ...] = ()
    """For clients: the first names of the people asked who have not answered. Empty in servers."""
    asked: int = 0
    """For clients: number of people asked, in the state of a note. 0 in servers."""
    closed: str = ""
    """Timestamp at which the question was closed."""
    pending: tuple[NoteKind, ...] = ()
    """For servers: kinds with changes that no note has announced yet. Empty in clients."""
    applied: dict[NoteKind, int] = {}
    """For clients: seq of the last note of each kind that was applied to this state. Empty in servers."""


NO_STATE = PostState()
"""The state of a post without notes."""


def waiting_names(state: PostState) -> tuple[str, ...]:
    """The names of the people asked who have not answered; empty if the question is to everyone."""
    if state.ask is None:
        return ()
    answered = {name for votes in state.tally.values() for name in votes.names}
    return tuple(name for name in state.ask.to if name not in answered)


def answer_count(state: PostState) -> int:
    """Number of people who have answered a question."""
    return sum(votes.count for votes in state.tally.values())
