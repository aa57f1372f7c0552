"""Conversion between the entries of a log and the events that carry them."""

from __future__ import annotations

from typing import assert_never

from broadcast_tui.core.clock import Instant, parse_time, timestamp
from broadcast_tui.core.notes import VIEW_NAMES_MAX, Entry, Note
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NO_STATE, NoteKind, PostState, Votes, answer_count, waiting_names
from broadcast_tui.core.protocol import events


def event_of(entry: Entry) -> events.Message | events.Note:
    """The event of an entry for everyone but its author: without the nonce."""
    return note_event_of(entry) if isinstance(entry, Note) else message_of(entry)


def message_of(post: Post) -> events.Message:
    """The `message` event of a post for everyone but its author: without the nonce."""
    state = post.state
    if state is NO_STATE and not post.re:  # most posts
        return events.Message(post.text, post.sender, timestamp(post.at), str(post.position), post.room)
    return events.Message(
        post.text,
        post.sender,
        timestamp(post.at),
        str(post.position),
        post.room,
        re=_id_of(post, post.re),
        root=_id_of(post, post.root),
        edited=state.edited,
        deleted=state.deleted,
        pinned=state.pinned,
        reactions=_view_of(state.reactions),
        ask=state.ask,
        tally=_view_of(state.tally),
        waiting=_waiting(state),
        closed=state.closed,
        folded=state.folded,
    )


def note_event_of(note: Note) -> events.Note:
    """The `note` event of a note for everyone but its author: without the nonce."""
    target = str(Position(note.position.epoch, note.re))
    now = note_state(note.post, note.kind) if note.post is not None else None
    return events.Note(str(note.position), note.room, note.kind, target, note.by, timestamp(note.at), now)


def note_state(post: Post, kind: NoteKind) -> events.NoteState:
    """The state of a post after a note, in the part that this kind of note changes."""
    state = post.state
    if state.deleted is not None:
        return events.NoteState(deleted=state.deleted)
    match kind:
        case NoteKind.EDIT:
            return events.NoteState(message=post.text, edited=state.edited)
        case NoteKind.DELETE:
            return events.NoteState()
        case NoteKind.PIN:
            return events.NoteState(pinned=state.pinned)
        case NoteKind.REACT:
            return events.NoteState(reactions=_view_of(state.reactions))
        case NoteKind.ANSWER:
            return events.NoteState(
                tally=_view_of(state.tally),
                of=state.ask.of if state.ask is not None else state.asked or answer_count(state),
                waiting=_waiting(state),
                closed=state.closed,
            )
        case _:
            assert_never(kind)


def _view_of(votes: dict[str, Votes]) -> dict[str, Votes]:
    return {key: Votes(each.count, each.names[:VIEW_NAMES_MAX]) for key, each in votes.items()}


def _waiting(state: PostState) -> tuple[str, ...]:
    if state.closed:
        return ()
    return state.waiting or waiting_names(state)[:VIEW_NAMES_MAX]


def _id_of(post: Post, seq: int) -> str:
    return str(Position(post.position.epoch, seq)) if seq else ""


# -- on the client


def entry_of(event: events.Message | events.Note, when: Instant) -> Entry:
    """The entry in an event."""
    return note_of(event, when) if isinstance(event, events.Note) else post_of(event, when)


def post_of(event: events.Message, when: Instant) -> Post:
    """The post in a `message` event; without a valid id, its position is `("", 0)`."""
    position, at = _position_of(event.id), parse_time(event.timestamp, when)
    if not (event.re or event.root or event.folded or event.reactions or event.ask):  # most posts
        return Post(event.room, position, event.sender, event.message, at, event.nonce)
    return Post(
        event.room,
        position,
        event.sender,
        event.message,
        at,
        event.nonce,
        re=_position_of(event.re).seq if event.re else 0,
        root=_position_of(event.root).seq if event.root else 0,
        state=_state_of(event),
    )


def note_of(event: events.Note, when: Instant) -> Note:
    """The note in a `note` event. Its post has only the part that the note changes."""
    position, re = _position_of(event.id), _position_of(event.re)
    at = parse_time(event.timestamp, when)
    post, now = None, event.now
    if now is not None and re.epoch == position.epoch:
        state = PostState(
            edited=now.edited,
            deleted=now.deleted,
            pinned=now.pinned,
            reactions=now.reactions,
            tally=now.tally,
            waiting=now.waiting,
            asked=now.of,
            closed=now.closed,
        )
        post = Post(event.room, re, "", now.message, at, state=state)
    return Note(event.room, position, event.note, re.seq, event.by, at, post, event.nonce)


def _state_of(event: events.Message) -> PostState:
    if not (event.folded or event.reactions or event.ask):  # most posts
        return NO_STATE
    return PostState(
        folded=event.folded,
        edited=event.edited,
        deleted=event.deleted,
        pinned=event.pinned,
        reactions=event.reactions,
        ask=event.ask,
        tally=event.tally,
        waiting=event.waiting,
        closed=event.closed,
    )


def _position_of(text: str) -> Position:
    """The position in an id; `("", 0)` if it is invalid."""
    return Position.parse(text) or Position("", 0)
