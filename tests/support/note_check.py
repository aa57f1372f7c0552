"""What edits, reactions and answers must lead to: each carried out once, in order, and on its own post."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NoteKind, Votes

Voters = tuple[tuple[str, tuple[str, ...]], ...]
"""Reactions or choices, and the sorted names of those who chose them."""


@dataclass(frozen=True)
class View:
    """A post as people see it."""

    text: str
    reactions: Voters = ()
    answers: Voters = ()


@dataclass(frozen=True)
class Change:
    """A note as a client sent it. `re` is the id of its post, or the nonce of an own post."""

    nonce: str
    room: str
    re: str
    kind: NoteKind
    text: str
    on: bool = True


def view_of(post: Post) -> View:
    return View(post.text, _voters(post.state.reactions), _voters(post.state.tally))


def _voters(by_choice: dict[str, Votes]) -> Voters:
    return tuple(sorted((choice, tuple(sorted(votes.names))) for choice, votes in by_choice.items()))


@dataclass
class Expected:
    """The expected state of a post."""

    text: str
    reactions: set[tuple[str, str]] = field(default_factory=set)
    """Reaction and name."""
    answers: dict[str, str] = field(default_factory=dict)
    """Choice by name."""

    def apply(self, change: Change, name: str) -> None:
        match change.kind:
            case NoteKind.EDIT:
                self.text = change.text
            case NoteKind.REACT if change.on:
                self.reactions.add((change.text, name))
            case NoteKind.REACT:
                self.reactions.discard((change.text, name))
            case NoteKind.ANSWER:
                self.answers[name] = change.text
            case _:
                raise AssertionError(change)

    @property
    def view(self) -> View:
        answers = {(choice, name) for name, choice in self.answers.items()}
        return View(self.text, _grouped(self.reactions), _grouped(answers))


def _grouped(votes: set[tuple[str, str]]) -> Voters:
    choices = sorted({choice for choice, _ in votes})
    return tuple((choice, tuple(sorted(name for key, name in votes if key == choice))) for choice in choices)


def expected_views(
    posted: dict[Position, str],
    changes: Iterable[tuple[str, list[Change]]],
    position_of: Callable[[str], Position | None],
) -> dict[Position, View]:
    """The views of the posts of a room after all changes.

    Args:
        posted: Their texts as they were sent.
        changes: The changes of each person in the order sent, by name.
        position_of: The position of a post by its id or nonce.
    """
    states = {position: Expected(text) for position, text in posted.items()}
    for name, sent in changes:
        for change in sent:
            position = position_of(change.re)
            if position in states:
                states[position].apply(change, name)
    return {position: state.view for position, state in states.items()}
