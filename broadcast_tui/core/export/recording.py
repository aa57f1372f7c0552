"""Reads an export in JSON lines, or the output of `tail --json`, back into the entries of a log.

An export has each post as it was in the end, and the times of its changes. A recording begins with the posts
before their changes, as far as they are known: a text that was edited is always the last one, and that of a
deleted post is lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import accumulate

import msgspec

from broadcast_tui.core.clock import Instant, parse_time
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.export.json_lines import VERSION, Header
from broadcast_tui.core.notes import VIEW_NAMES_MAX, Entry
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NoteKind, PostState
from broadcast_tui.core.protocol import events
from broadcast_tui.core.protocol.entries import note_of, post_of
from broadcast_tui.core.session.bounds import bounded

_UNKNOWN_TIME = Instant(0.0, datetime(1970, 1, 1, tzinfo=UTC))


class RecordingError(BroadcastError):
    """A file is not an export; the text says why, with the number of the line (0: the whole file)."""

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {text}" if line else text)
        self.line = line


class Recording(msgspec.Struct, frozen=True):
    """The history of a room as it happened. It is never empty."""

    room: str
    entries: tuple[Entry, ...]
    """In ascending order, without those before the first post."""
    times_s: tuple[float, ...]
    """Time of each entry in seconds after the first one, in ascending order."""
    people: tuple[str, ...]
    """Names of the senders, sorted."""

    @property
    def start(self) -> datetime:
        """UTC time of the first entry."""
        return self.entries[0].at

    @property
    def end(self) -> datetime:
        """UTC time of the last entry."""
        return self.start + timedelta(seconds=self.duration_s)

    @property
    def duration_s(self) -> float:
        return self.times_s[-1]


def read_recording(lines: Iterable[bytes]) -> Recording:
    """Read a recording from the lines of a file.

    Raises:
        RecordingError: The file is not an export of one room, or contains no post.
    """
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        if text := line.strip():
            try:
                reader.add(text)
            except ValueError as error:
                raise RecordingError(str(error), number) from error
    return reader.recording()


class _Reader:
    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(Header | events.Message | events.Note)
        self._events: list[events.Message | events.Note] = []
        self._last: Position | None = None
        self._room = ""

    def add(self, line: bytes) -> None:
        """Add a line. Raises ValueError with a short description of what is wrong with it."""
        try:
            event = self._decoder.decode(line)
        except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
            is_json = isinstance(error, msgspec.ValidationError)
            raise ValueError(f"{'not a line of an export' if is_json else 'not JSON'}: {error}") from error
        if isinstance(event, Header):
            if event.version > VERSION:
                raise ValueError(f"made by a newer version of this program (format {event.version})")
            self._check_room(event.room)
            return
        event = bounded(event)
        self._check_room(event.room)
        position = Position.parse(event.id)
        if position is None or not position.seq:
            raise ValueError(f"invalid id: {event.id!r}")
        if self._last is not None and (position.epoch != self._last.epoch or position.seq <= self._last.seq):
            raise ValueError(f"the id {event.id} does not follow {self._last}")
        if parse_time(event.timestamp, _UNKNOWN_TIME) is _UNKNOWN_TIME.at:
            raise ValueError(f"invalid timestamp: {event.timestamp!r}")
        self._last = position
        self._events.append(event)

    def _check_room(self, room: str) -> None:
        if self._room and room != self._room:
            raise ValueError(f"a line about another room: {room!r}")
        self._room = room

    def recording(self) -> Recording:
        """Everything that was added. Raises RecordingError if there is no post."""
        posts, silent = self._posts(), self._silent_notes()
        entries: list[Entry] = []
        for event in self._events:
            position = Position.parse(event.id)
            assert position is not None
            if isinstance(event, events.Message):
                entries.append(_before(posts[position.seq], silent[position.seq]))
            elif entries:
                note = note_of(event, _UNKNOWN_TIME)
                entries.append(
                    note if note.post is not None else msgspec.structs.replace(note, post=posts.get(note.re))
                )
        if not entries:
            raise RecordingError("there are no messages in this file")
        start = entries[0].at
        times_s = accumulate(((entry.at - start).total_seconds() for entry in entries), max)
        people = sorted({post.sender for post in posts.values()}, key=str.casefold)
        return Recording(self._room, tuple(entries), tuple(times_s), tuple(people))

    def _posts(self) -> dict[int, Post]:
        """The posts as in the file, by seq."""
        found = (post_of(each, _UNKNOWN_TIME) for each in self._events if isinstance(each, events.Message))
        return {post.position.seq: post for post in found}

    def _silent_notes(self) -> dict[int, set[NoteKind]]:
        """The kinds of notes that say only when a post was changed, by the seq of the post."""
        kinds: dict[int, set[NoteKind]] = defaultdict(set)
        for event in self._events:
            if not isinstance(event, events.Note) or event.now is not None:
                continue
            if (target := Position.parse(event.re)) is not None:
                kinds[target.seq].add(event.note)
        return kinds


def _before(post: Post, kinds: set[NoteKind]) -> Post:
    """A post before the notes of some kinds, all of which follow."""
    state = post.state
    if not kinds or state.deleted is not None:
        return post
    ask = state.ask
    return msgspec.structs.replace(
        post,
        state=PostState(
            edited="" if NoteKind.EDIT in kinds else state.edited,
            pinned=None if NoteKind.PIN in kinds else state.pinned,
            reactions={} if NoteKind.REACT in kinds else state.reactions,
            ask=ask,
            tally={} if NoteKind.ANSWER in kinds else state.tally,
            waiting=(ask.to[:VIEW_NAMES_MAX] if ask else ()) if NoteKind.ANSWER in kinds else state.waiting,
            closed="" if NoteKind.ANSWER in kinds else state.closed,
        ),
    )
