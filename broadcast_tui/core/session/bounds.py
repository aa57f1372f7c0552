"""Limits on strings and lists in events: longer ones are cut before the session processes an event.

Servers have limits of their own, but a hostile or broken server can send any frame up to the maximum size.
Events are cut rather than rejected, so that a future server with higher limits still works. The text of a
post is not cut: scripts need all of it, and the screen shortens it itself.
"""

from __future__ import annotations

from itertools import islice
from operator import is_not
from typing import TypeVar

import msgspec

from broadcast_tui.core.notes import Entry, Note
from broadcast_tui.core.post_state import Votes
from broadcast_tui.core.protocol import events

NAME_CHARS = 128
"""Names of people and rooms, ids, refs and codes. Servers allow 64 characters."""
LINE_CHARS = 1_024
"""Topics, away messages, reasons, notices and error messages."""
NAMES_MAX = 500
"""Names in one line about joins and leaves. Servers send them for rooms of up to 100 people."""
LIST_MAX = 500
"""Members, rooms, bans, and posts in a page. Servers send no more."""
ADDRESSES_MAX = 100
VOTER_NAMES_MAX = 100
"""Names of people who chose a reaction or answer, or who have not answered. Servers send 20."""
KEYS_MAX = 50
"""Different reactions to a post, and choices of a question. Servers allow 20."""
DELAY_MAX_S = 300.0
"""Longest delay that a server can ask for."""

S = TypeVar("S", bound=msgspec.Struct)

_LINES = frozenset({"message", "topic", "text", "reason", "away", "note"})
"""Fields that contain a line of text, not a name."""
_LISTS = {
    "names": NAMES_MAX,
    "addresses": ADDRESSES_MAX,
    "choices": KEYS_MAX,
    "waiting": VOTER_NAMES_MAX,
    "pinned": KEYS_MAX,
    "asks": KEYS_MAX,
}
"""Maximum length of the lists other than `LIST_MAX`, by field."""


def bounded(event: S) -> S:
    """The event with its strings, lists and votes cut to their limits; the same object if all are within.

    A shortened list of members, rooms or bans is marked as `truncated`.
    """
    if isinstance(event, events.Message) and _has_short_fields(event):
        return event  # most events
    changes: dict[str, object] = {}
    for field in event.__struct_fields__:
        value = getattr(event, field)
        if isinstance(value, str):
            if len(value) > NAME_CHARS and (cut := _bounded_text(event, field, value)) != value:
                changes[field] = cut
        elif isinstance(value, tuple) and value:
            items = tuple(map(_bounded_item, value[: _LISTS.get(field, LIST_MAX)]))
            if len(items) < len(value) and "truncated" in event.__struct_fields__:
                changes["truncated"] = True
            if len(items) < len(value) or any(map(is_not, items, value)):
                changes[field] = items
        elif isinstance(value, dict) and value:
            if (votes := _bounded_votes(value)) != value:
                changes[field] = votes
        elif isinstance(value, msgspec.Struct) and (part := bounded(value)) is not value:
            changes[field] = part
    return msgspec.structs.replace(event, **changes) if changes else event


def bounded_delay_s(seconds: float | None, default_s: float = 1.0) -> float:
    """A delay that the server asked for, in seconds: 0.1 to `DELAY_MAX_S`, `default_s` if there is none."""
    return min(max(0.1, default_s if seconds is None else seconds), DELAY_MAX_S)


def _has_short_fields(post: events.Message) -> bool:
    return (
        len(post.sender) <= NAME_CHARS
        and len(post.id) <= NAME_CHARS
        and len(post.timestamp) <= NAME_CHARS
        and len(post.nonce) <= NAME_CHARS
        and len(post.room) <= NAME_CHARS
        and not (post.re or post.root or post.edited or post.deleted or post.pinned or post.reactions)
        and not (post.ask or post.tally or post.waiting or post.closed)
    )


def _bounded_votes(by_choice: dict[str, Votes]) -> dict[str, Votes]:
    """Cut the number of choices, their length, and the names of each."""
    return {
        choice[:NAME_CHARS]: Votes(
            votes.count, tuple(name[:NAME_CHARS] for name in votes.names[:VOTER_NAMES_MAX])
        )
        for choice, votes in islice(by_choice.items(), KEYS_MAX)
    }


def _bounded_text(event: msgspec.Struct, field: str, value: str) -> str:
    if field not in _LINES:
        return value[:NAME_CHARS]
    is_post = isinstance(event, events.Message | events.NoteState) and field == "message"
    return value if is_post else value[:LINE_CHARS]


def _bounded_item(item: object) -> object:
    match item:
        case msgspec.Struct():
            return bounded(item)
        case str():
            return item[:NAME_CHARS]
        case _:
            return item


def entry_chars(entry: Entry) -> int:
    """Number of characters in the text and the lists of an entry."""
    post = entry.post if isinstance(entry, Note) else entry
    if post is None:
        return 0
    count, state = len(post.text), post.state
    for by_choice in (state.reactions, state.tally):
        for choice, votes in by_choice.items():
            count += len(choice) + sum(map(len, votes.names))
    if state.ask is not None:
        count += sum(map(len, state.ask.choices)) + sum(map(len, state.ask.to))
    return count + sum(map(len, state.waiting))
