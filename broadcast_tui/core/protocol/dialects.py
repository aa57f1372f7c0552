"""Entries of a log for clients that do not understand notes.

v1 clients that do not announce `notes` get each note as a post that describes it, since they expect a post
for each seq. Plain clients get a line from the server about edits, deletions and pins, and nothing about
reactions and answers.
"""

from __future__ import annotations

from enum import Enum
from typing import assert_never

import msgspec

from broadcast_tui.core.post_state import NoteKind, Votes
from broadcast_tui.core.protocol import events

NOBODY = "server"
"""Sender of a post that describes the votes of several people. Nobody can use this name."""
DELETED_TEXT = "This message was deleted."
"""Text of a deleted post for these clients."""


class Dialect(Enum):
    """The form in which a connection gets the entries of a log."""

    NOTES = "notes"
    """v1 clients that understand notes."""
    LEGACY = "legacy"
    """Other v1 clients."""
    PLAIN = "plain"


def translate(
    event: events.Message | events.Note, dialect: Dialect, sender: str
) -> events.Message | events.Note | events.System | None:
    """The event of an entry in a dialect; None if the client gets nothing.

    Args:
        sender: Sender of the post that a note is about; empty if it is no longer stored.
    """
    if dialect is Dialect.NOTES:
        return event
    if isinstance(event, events.Message):
        return event if event.deleted is None else msgspec.structs.replace(event, message=DELETED_TEXT)
    if dialect is Dialect.LEGACY:
        text = describe(event, sender)
        return events.Message(text, event.by or NOBODY, event.timestamp, event.id, event.room)
    if not _is_shown_to_plain(event):
        return None
    return events.System("note", describe(event, sender), event.timestamp, event.room, event.by)


def describe(note: events.Note, sender: str) -> str:
    """A sentence about a note; with the text of an edit, if that is still the text of the post."""
    now = note.now
    from_sender = f" from {sender}" if sender else ""
    match note.note:
        case NoteKind.EDIT:
            text = now.message if now is not None else ""
            return f"{note.by} edited a message: {text}" if text else f"{note.by} edited a message."
        case NoteKind.DELETE:
            return f"A message{from_sender} was deleted."
        case NoteKind.PIN:
            verb = "pinned" if now is not None and now.pinned is not None else "unpinned"
            return f"{note.by} {verb} a message{from_sender}."
        case NoteKind.REACT:
            reactions = _counts(now.reactions) if now is not None else ""
            return f"Reactions to a message{from_sender}: {reactions or 'none'}"
        case NoteKind.ANSWER:
            tally = _counts(now.tally) if now is not None else ""
            closed = " (closed)" if now is not None and now.closed else ""
            return f"Answers to a question{from_sender}: {tally or 'none'}{closed}"
        case _:
            assert_never(note.note)


def _counts(votes: dict[str, Votes]) -> str:
    return ", ".join(f"{choice} {each.count}" for choice, each in votes.items())


def _is_shown_to_plain(note: events.Note) -> bool:
    """Whether plain clients get a line; not about an edit that a later note has replaced."""
    if note.note is NoteKind.EDIT:
        return note.now is not None and bool(note.now.message)
    return note.note in (NoteKind.DELETE, NoteKind.PIN)
