"""Posts, and what happens to them, as lines of plain text with the numbers of the posts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import assert_never

from broadcast_tui.core.notes import Note
from broadcast_tui.core.post import ACTION_PREFIX, Position, Post
from broadcast_tui.core.post_state import NoteKind, PostState, answer_count
from broadcast_tui.core.session.updates import NoteRejected
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.post_target import target_of_line
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.room_notes import was_asked
from broadcast_tui.tui.model.server_search import format_date
from broadcast_tui.tui.model.text.wrapping import clip
from broadcast_tui.tui.model.transcript.chunks import Line, LineKind
from broadcast_tui.tui.model.transcript.log_options import TimeFormat
from broadcast_tui.tui.model.transcript.navigation import position_of
from broadcast_tui.tui.model.transcript.post_details import (
    PostDetails,
    clean_state,
    deletion_text,
    details_of,
)
from broadcast_tui.tui.model.transcript.post_rows import ACKNOWLEDGE
from broadcast_tui.tui.model.transcript.records import StoredPost

NAMES_SHOWN = 10
LISTED_CELLS = 200
"""Most cells of the text of a post in a list of posts."""


def numbered_lines(
    room: RoomModel, count: int, zone: tzinfo | None = None, time_format: TimeFormat = TimeFormat.H24
) -> list[str]:
    """A heading, and the last `count` loaded posts of a room, oldest first, each after its number.

    Long texts are cut, since the list is there to find the numbers.
    """
    lines: list[str] = []
    transcript = room.transcript
    for line_id in range(transcript.next_id - 1, transcript.first_id - 1, -1):
        target = target_of_line(room, line_id)
        line = transcript.line(line_id)
        if target is None or line is None:
            continue
        who = f"* {line.sender} " if line.kind is LineKind.ACTION else f"{line.sender}: "
        marks = f" {line.details.marks}" if line.details and line.details.marks else ""
        time = time_format.show(datetime.fromtimestamp(line.at, zone))
        text = clip(visible_line(line.text[: 4 * LISTED_CELLS]), LISTED_CELLS)
        lines.append(
            f"  {target.number} {f'{time} ' if time else ''}{who}{reply_prefix(line, room)}{text}{marks}"
        )
        if len(lines) == count:
            break
    return [f"Last messages in {room.label}:", *lines[::-1]] if lines else ["No messages here yet."]


def post_line(post: Post, now: datetime, time_format: TimeFormat = TimeFormat.H24) -> str:
    """A post as one line: its number, its time in the zone of `now`, sender and text."""
    details = details_of(post) or PostDetails()
    deleted = details.state.deleted
    text = deletion_text(deleted) if deleted is not None else visible_line(post.text)
    who = f"{visible_line(post.sender)}: "
    if deleted is None and text.startswith(ACTION_PREFIX):
        who, text = f"* {visible_line(post.sender)} ", text.removeprefix(ACTION_PREFIX)
    marks = f" {details.marks}" if details.marks else ""
    at = format_date(post.at.astimezone(now.tzinfo), now, time_format)
    return f"  {post.position.seq} {at} {who}{text}{marks}"


def reply_prefix(line: Line, room: RoomModel) -> str:
    """What to write before the text of a reply; empty for other posts."""
    details = line.details
    if details is None or not details.re:
        return ""
    own = position_of(room.transcript, line.id)
    target = None if own is None else room.notes.post(str(Position(own.epoch, details.re)))
    sender = "" if target is None else target.post.sender
    return f"(to {sender}) " if sender else "(a reply) "


def question_line(line: Line, room: RoomModel, own_name: str) -> str:
    """What to write below an open question that the user was asked; empty for other posts."""
    state, position = line.details and line.details.state, position_of(room.transcript, line.id)
    if not state or state.ask is None or state.closed or position is None:
        return ""
    if not was_asked(state.ask, own_name):
        return ""
    choices = state.ask.choices
    if len(choices) == 1:
        return f"Acknowledge with /answer {position.seq}"
    return f"Answer with /answer {position.seq} and one of: {', '.join(choices)}"


_FAILED = {
    NoteKind.EDIT: "Not edited",
    NoteKind.DELETE: "Not deleted",
    NoteKind.PIN: "Not pinned",
    NoteKind.REACT: "Reaction not sent",
    NoteKind.ANSWER: "Answer not sent",
}


def rejection_text(rejected: NoteRejected) -> str:
    """Why a change of the user was rejected."""
    return f"{_FAILED[rejected.kind]}: {visible_line(rejected.reason)}"


def note_line(note: Note, after: StoredPost | None, own_name: str) -> str:
    """What a note did, as a line; empty if there is nothing to say.

    Args:
        note: The note.
        after: The post after the note; None if it is not loaded.
        own_name: Name of the user.
    """
    if note.post is None:
        return ""
    state = clean_state(note.post.state if after is None else after.post.state)
    by = "You" if own_name and note.by == own_name else visible_line(note.by) or "Somebody"
    sender = "" if after is None else after.post.sender
    number = f"message {note.re}"
    if not sender:
        what = number
    elif sender == visible_line(note.by):
        what = f"{'your' if by == 'You' else 'their'} {number}"
    else:
        what = f"your {number}" if sender == own_name else f"{number} from {sender}"
    if state.deleted is not None:
        return f"{by} deleted {what}{f': {state.deleted.reason}' if state.deleted.reason else ''}"
    match note.kind:
        case NoteKind.EDIT:
            return f"{by} edited {what}: {visible_line(note.post.text)}"
        case NoteKind.DELETE:
            return ""
        case NoteKind.PIN:
            return f"{by} {'pinned' if state.pinned is not None else 'unpinned'} {what}"
        case NoteKind.REACT:
            reactions = " ".join(f"{emoji} {votes.count:,}" for emoji, votes in state.reactions.items())
            return f"Reactions to {what}: {reactions or 'none'}"
        case NoteKind.ANSWER:
            return f"Answers to {what}: {_tally(state)}"
        case _:
            assert_never(note.kind)


def _tally(state: PostState) -> str:
    is_announcement = state.ask is not None and state.ask.choices == ACKNOWLEDGE
    tally = () if is_announcement else state.tally.items()
    votes = ", ".join(f"{choice} {each.count:,}" for choice, each in tally)
    parts = [votes or "none"]
    if state.ask is not None and state.ask.of:
        parts = [f"{answer_count(state):,} of {state.ask.of:,}", *filter(None, [votes])]
    if state.closed:
        parts.append("closed")
    elif state.waiting:
        parts.append(f"waiting for {_names(state.waiting)}")
    return "; ".join(parts)


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - NAMES_SHOWN
    return " ".join(listed[:NAMES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
