"""Export as JSON lines: a header, then the events of the protocol in the order of the log.

Each line of a post is a `message` event with its current state, as `broadcast-tui tail --json` prints it, and
`local`, its time in the time zone of the export. Each line of a note is a `note` event without the state: it
says when somebody changed a post.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from json import dumps

import msgspec

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.export.describe import Source
from broadcast_tui.core.notes import Entry, Note
from broadcast_tui.core.post import Post
from broadcast_tui.core.protocol.entries import message_of, note_event_of

VERSION = 1


class Header(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="export"):
    """The first line of an export. Times are timestamps in UTC; no `since` or `until` means no limit."""

    version: int
    room: str
    server: str = ""
    at: str = ""
    since: str = ""
    until: str = ""


def json_lines(
    source: Source, posts: Sequence[Post], notes: Sequence[Note], zone: tzinfo | None = None
) -> Iterator[str]:
    """Yield the lines of a JSON Lines file."""
    since, until = (timestamp(_utc(at)) if at else "" for at in (source.since, source.until))
    header = Header(VERSION, source.room, source.server, timestamp(_utc(source.at)), since, until)
    yield json_line(header)
    entries: Iterator[Entry] = heapq.merge(posts, notes, key=_seq_of)
    for entry in entries:
        event = (
            msgspec.structs.replace(note_event_of(entry), now=None)
            if isinstance(entry, Note)
            else message_of(entry)
        )
        local = entry.at.astimezone(zone).isoformat(timespec="microseconds")
        yield json_line({**msgspec.to_builtins(event), "local": local})


def _seq_of(entry: Entry) -> int:
    return entry.position.seq


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


def json_line(value: object) -> str:
    """A value as one line of JSON, with unprintable characters escaped."""
    line = msgspec.json.encode(value).decode()
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else dumps(char)[1:-1] for char in line)
