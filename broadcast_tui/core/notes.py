"""Notes: entries of a room's log that change how an earlier post looks.

`fold` is the only definition of what a note does and who may write it. Every engine calls it in the atomic
step that appends the note. `apply_note` and `merged` are the client's side: pages, replays and live notes may
arrive in any order and more than once, and the same posts result.

Reactions and answers are written and acknowledged one by one, but announced together: `NewNote` changes the
state and marks it as pending, and a `NewSummary` appends the note that announces it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import ClassVar, TypeVar, assert_never

import msgspec

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.names import name_key
from broadcast_tui.core.post import Fork, NewPost, Position, Post
from broadcast_tui.core.post_state import (
    COALESCED,
    NO_STATE,
    Ask,
    Deletion,
    NoteKind,
    Pin,
    PostState,
    Votes,
    answer_count,
)

PINS_MAX = 20
"""Maximum number of pinned posts per room."""
REACTION_KEYS_MAX = 20
"""Maximum number of different reactions to a post."""
VOTES_MAX = 10_000
"""Maximum number of reactions to a post, and of answers."""


VIEW_NAMES_MAX = 20
"""Names that clients get of a list of votes, and of people who have not answered."""


class NewNote(msgspec.Struct, frozen=True):
    """A change to a post: sanitized and validated, not yet authorized."""

    room: str
    re: int
    """Seq of the post that it changes."""
    kind: NoteKind
    by: str
    """Name of its sender."""
    at: datetime
    author: str = ""
    """Identifies its sender as the author of posts (see `author_key`)."""
    client_id: str = ""
    nonce: str = ""
    is_admin: bool = False
    text: str = ""
    """The new text of an edit, the reason of a deletion, a reaction, or the choice of an answer."""
    on: bool = True
    """False removes a pin or reaction."""


class NewSummary(msgspec.Struct, frozen=True):
    """A note that announces the pending reactions or answers of a post; with `close`, ends the question.

    Nothing is appended if there are none.
    """

    room: str
    re: int
    kind: NoteKind
    at: datetime
    close: bool = False
    text: ClassVar[str] = ""
    nonce: ClassVar[str] = ""


class Note(msgspec.Struct, frozen=True, gc=False):
    """A note in a room's log."""

    room: str
    position: Position
    kind: NoteKind
    re: int
    """Seq of the post that it changes."""
    by: str
    """Name of its sender; empty if it summarizes the reactions or answers of several people."""
    at: datetime
    post: Post | None = None
    """The post with all notes so far; None if it is no longer stored.

    In a client, only the part of its state that this kind of note changes.
    """
    nonce: str = ""
    """Set by a client session in its own notes."""


Entry = Post | Note
"""An entry of a room's log."""
NewEntry = NewPost | NewNote | NewSummary
LogEvent = Entry | Fork
"""What the tail of a log yields: its new entries, and changes of its epoch."""


E = TypeVar("E", Post, Entry)
"""Posts, or any entries."""


K = TypeVar("K", bound=Entry)
"""Entries of one kind."""


def in_epoch(entry: K, epoch: str) -> K:
    """The entry under its id of another epoch."""
    position = Position(epoch, entry.position.seq)
    if isinstance(entry, Note) and entry.post is not None:
        return msgspec.structs.replace(entry, position=position, post=in_epoch(entry.post, epoch))
    return msgspec.structs.replace(entry, position=position)


def author_key(token_key: str, client_id: str) -> str:
    """The identity of an author: that of a token's name, or else of a client id; empty without either.

    Args:
        token_key: Skeleton of the name of the token; empty without a token.
    """
    if token_key:
        return f"token {token_key}"
    return f"client {client_id}" if client_id else ""


def text_bytes(entry: Entry) -> int:
    """Length of the text of an entry in bytes of UTF-8, as it is sent, with the names of votes."""
    post = entry.post if isinstance(entry, Note) else entry
    if post is None:
        return 0
    size_bytes = len(post.text.encode())
    if post.state is not NO_STATE:
        for by_choice in (post.state.reactions, post.state.tally):
            for choice, votes in by_choice.items():
                size_bytes += len(choice.encode()) + sum(
                    len(name.encode()) for name in votes.names[:VIEW_NAMES_MAX]
                )
    return size_bytes


def first_fitting(entries: Iterable[E], max_bytes: int | None, *, overhead_bytes: int = 0) -> list[E]:
    """The first of `entries`, at least one, whose texts have at most `max_bytes` bytes in UTF-8.

    Each entry counts `overhead_bytes` more. It consumes no more of `entries` than needed. None: no limit.
    """
    if max_bytes is None:
        return list(entries)
    fitting: list[E] = []
    size_bytes = 0
    for entry in entries:
        if isinstance(entry, Post) and entry.state is NO_STATE:  # most entries
            size_bytes += len(entry.text.encode()) + overhead_bytes
        else:
            size_bytes += text_bytes(entry) + overhead_bytes
        if fitting and size_bytes > max_bytes:
            break
        fitting.append(entry)
        if size_bytes >= max_bytes:
            break
    return fitting


# -- folding, on the server

_key = lru_cache(VOTES_MAX)(name_key)
"""`name_key` of voters, of which each vote compares all."""


def fold(post: Post, change: NewNote | NewSummary, seq: int, pin_count: int = 0) -> Post:
    """The post after a change; the same object if there is nothing to change.

    Args:
        post: The post, with its author and whole state.
        seq: Seq that the note gets.
        pin_count: Number of pinned posts of the room.

    Raises:
        RequestError: The change is not allowed, or not possible.
    """
    if post.state.deleted is not None:
        raise RequestError(ErrorCode.NO_SUCH_POST, "This message was deleted.")
    if isinstance(change, NewSummary):
        return _summarize(post, change, seq)
    state = post.state
    match change.kind:
        case NoteKind.EDIT:
            _check_author(post, change, "edit")
            if change.text == post.text:
                return post
            edited = msgspec.structs.replace(state, folded=seq, edited=timestamp(change.at))
            return msgspec.structs.replace(post, text=change.text, state=edited)
        case NoteKind.DELETE:
            if not change.is_admin:
                _check_author(post, change, "delete")
            deletion = Deletion(change.by, timestamp(change.at), change.text)
            return msgspec.structs.replace(post, text="", state=PostState(folded=seq, deleted=deletion))
        case NoteKind.PIN:
            if change.on == (state.pinned is not None):
                return post
            if change.on and pin_count >= PINS_MAX:
                text = f"A room can have at most {PINS_MAX} pinned messages. Unpin one first."
                raise RequestError(ErrorCode.TOO_MANY_NOTES, text)
            pin = Pin(change.by, timestamp(change.at)) if change.on else None
            new_state = msgspec.structs.replace(state, folded=seq, pinned=pin)
        case NoteKind.REACT:
            new_state = _react(state, change)
        case NoteKind.ANSWER:
            new_state = _answer(state, change)
        case _:
            assert_never(change.kind)
    return post if new_state is state else msgspec.structs.replace(post, state=new_state)


def _check_author(post: Post, change: NewNote, verb: str) -> None:
    if not change.author or change.author != post.author:
        raise RequestError(ErrorCode.FORBIDDEN, f"You can only {verb} your own messages.")


def _react(state: PostState, change: NewNote) -> PostState:
    voted = _is_voter(state.reactions.get(change.text), change.by)
    if change.on == voted:
        return state
    if change.on:
        if change.text not in state.reactions and len(state.reactions) >= REACTION_KEYS_MAX:
            text = f"A message can have at most {REACTION_KEYS_MAX} different reactions."
            raise RequestError(ErrorCode.TOO_MANY_NOTES, text)
        _check_vote_count(sum(votes.count for votes in state.reactions.values()))
        reactions = _with_vote(state.reactions, change.text, change.by)
    else:
        reactions = _without_vote(state.reactions, change.text, change.by)
    return msgspec.structs.replace(state, reactions=reactions, pending=_pending(state, NoteKind.REACT))


def _answer(state: PostState, change: NewNote) -> PostState:
    ask = state.ask
    if ask is None:
        raise RequestError(ErrorCode.NO_SUCH_POST, "This message is not a question.")
    if state.closed or timestamp(change.at) >= ask.until:
        raise RequestError(ErrorCode.ASK_CLOSED, "This question is closed.")
    if change.text not in ask.choices:
        choices = ", ".join(ask.choices)
        raise RequestError(ErrorCode.BAD_FRAME, f"This is not one of the choices. Choose from: {choices}.")
    name = _asked_name(ask, change.by)
    if name is None:
        raise RequestError(ErrorCode.FORBIDDEN, "You were not asked this question.")
    if _is_voter(state.tally.get(change.text), name):
        return state
    tally = state.tally
    for choice in state.tally:
        if _is_voter(state.tally[choice], name):
            tally = _without_vote(tally, choice, name)
    _check_vote_count(sum(votes.count for votes in tally.values()))
    tally = _with_vote(tally, change.text, name)
    return msgspec.structs.replace(state, tally=tally, pending=_pending(state, NoteKind.ANSWER))


def _asked_name(ask: Ask, by: str) -> str | None:
    """The name under which a person was asked; None if the question was not put to them."""
    if not ask.to or by in ask.to:
        return by
    key = _key(by)
    return next((name for name in ask.to if _key(name) == key), None)


def _summarize(post: Post, summary: NewSummary, seq: int) -> Post:
    state = post.state
    is_closing = False
    if summary.kind is NoteKind.ANSWER and state.ask is not None and not state.closed:
        is_closing = summary.close or bool(state.ask.to and answer_count(state) >= len(state.ask.to))
    if not is_closing and summary.kind not in state.pending:
        return post
    new_state = msgspec.structs.replace(
        state,
        folded=seq,
        closed=timestamp(summary.at) if is_closing else state.closed,
        pending=tuple(kind for kind in state.pending if kind is not summary.kind),
    )
    return msgspec.structs.replace(post, state=new_state)


def _pending(state: PostState, kind: NoteKind) -> tuple[NoteKind, ...]:
    return state.pending if kind in state.pending else (*state.pending, kind)


def _is_voter(votes: Votes | None, name: str) -> bool:
    """Whether a person is among the voters, by the appearance of the name."""
    if votes is None or name in votes.names:
        return votes is not None
    key = _key(name)
    return any(_key(other) == key for other in votes.names)


def _check_vote_count(count: int) -> None:
    if count >= VOTES_MAX:
        text = f"A message can have at most {VOTES_MAX:,} reactions or answers."
        raise RequestError(ErrorCode.TOO_MANY_NOTES, text)


def _with_vote(by_choice: dict[str, Votes], choice: str, name: str) -> dict[str, Votes]:
    votes = by_choice.get(choice, Votes(0, ()))
    return {**by_choice, choice: Votes(votes.count + 1, (*votes.names, name))}


def _without_vote(by_choice: dict[str, Votes], choice: str, name: str) -> dict[str, Votes]:
    key = _key(name)
    names = tuple(other for other in by_choice[choice].names if _key(other) != key)
    left = {**by_choice, choice: Votes(len(names), names)}
    if not names:
        del left[choice]
    return left


def is_coalesced(change: NewNote | NewSummary) -> bool:
    """Whether a change is announced by a later summary, and appends no entry itself."""
    return isinstance(change, NewNote) and change.kind in COALESCED


# -- applying, on the client


def apply_note(post: Post, note: Note) -> Post:
    """A client's post after a note about it; the same object if the post already includes it."""
    if note.post is None:
        return post
    known, seq = post.state, note.position.seq
    if seq <= _known_seq(known, note.kind):
        return post
    return _with_part(post, note.post, note.kind, seq)


def merged(post: Post, read: Post) -> Post:
    """A client's post together with the same post from a page or replay: of each part, the newer one."""
    result = post
    for kind in NoteKind:
        seq = _known_seq(read.state, kind)
        if seq > _known_seq(post.state, kind):
            result = _with_part(result, read, kind, seq)
    return result


def without_lost_notes(state: PostState, seq: int) -> PostState:
    """A client's state after a fork: the notes above `seq` are lost, and others can take their places.

    What they had changed stays until the post is read again.
    """
    if state.folded <= seq and all(at <= seq for at in state.applied.values()):
        return state
    applied = {kind: min(at, seq) for kind, at in state.applied.items()}
    return msgspec.structs.replace(state, folded=min(state.folded, seq), applied=applied)


def _known_seq(state: PostState, kind: NoteKind) -> int:
    """Seq of the last note of a kind that is part of a client's state."""
    return max(state.folded, state.applied.get(kind, 0))


def _with_part(post: Post, source: Post, kind: NoteKind, seq: int) -> Post:
    """The post with the part that notes of a kind change, taken from `source`."""
    new, replace = source.state, msgspec.structs.replace
    state = replace(post.state, applied={**post.state.applied, kind: seq})
    text = post.text
    if new.deleted is not None or state.deleted is not None:
        # Nothing can follow a deletion, whatever the order in which notes arrive.
        deleted = new.deleted or state.deleted
        return replace(
            post, text="", state=PostState(folded=state.folded, deleted=deleted, applied=state.applied)
        )
    match kind:
        case NoteKind.EDIT:
            text, state = source.text, replace(state, edited=new.edited)
        case NoteKind.DELETE:
            pass
        case NoteKind.PIN:
            state = replace(state, pinned=new.pinned)
        case NoteKind.REACT:
            state = replace(state, reactions=new.reactions)
        case NoteKind.ANSWER:
            state = replace(
                state, ask=new.ask or state.ask, tally=new.tally, waiting=new.waiting, closed=new.closed
            )
        case _:
            assert_never(kind)
    return replace(post, text=text, state=state)
