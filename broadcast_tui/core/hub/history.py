"""History and search requests: the range of the log to read, and the page to reply with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.notes import E, Entry, first_fitting
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.entries import event_of, message_of

if TYPE_CHECKING:
    from broadcast_tui.core.hub.peer import Peer

PAGE_BYTES = 262_144
"""Maximum size of a page, in bytes of text. The client requests the rest in further pages."""


class LogIndex(Protocol):
    """The part of an engine that the hub queries without waiting."""

    @property
    def epoch(self) -> str: ...

    def first_seq(self, room: str) -> int:
        """Seq of the oldest stored post; `last_seq + 1` if there are none."""
        ...

    def last_seq(self, room: str) -> int:
        """Seq of the newest post; in a room without posts, the one before its next post."""
        ...

    def topic(self, room: str) -> str:
        """The room's topic, or an empty string."""
        ...

    def room_names(self) -> Sequence[str]:
        """Rooms that have posts or a topic, sorted. Do not modify it."""
        ...


class BackfillRead(msgspec.Struct, frozen=True):
    """A read of the `limit` posts before seq `before`, of about `max_bytes` at most, for a room's ring."""

    room: str
    before: int
    limit: int
    max_bytes: int | None = None


class HistoryRead(msgspec.Struct, frozen=True):
    """A read for a client: posts with `after` < seq < `before`, the `limit` oldest or (`from_end`) newest."""

    peer: Peer
    ref: str
    room: str
    after: int
    before: int | None
    limit: int
    from_end: bool


class SearchRead(msgspec.Struct, frozen=True):
    """A search for a client: the newest `limit` posts with seq < `before` that match all words of `query`."""

    peer: Peer
    ref: str
    room: str
    query: str
    before: int | None
    limit: int


Read = BackfillRead | HistoryRead | SearchRead


def plan_history(
    peer: Peer, command: commands.FetchHistory, room: str, index: LogIndex, page_max: int
) -> HistoryRead:
    """Translate a history command into a read of the log.

    Raises:
        RequestError: BAD_POSITION if a post id in it is not from this log.
    """
    limit = max(1, min(command.limit, page_max))
    if command.after:
        return HistoryRead(peer, command.ref, room, _parse_seq(command.after, index), None, limit, False)
    if command.around:
        middle = _parse_seq(command.around, index)
        return HistoryRead(peer, command.ref, room, max(0, middle - limit // 2 - 1), None, limit, False)
    before = _parse_seq(command.before, index) if command.before else None
    return HistoryRead(peer, command.ref, room, 0, before, limit, True)


def plan_search(
    peer: Peer, command: commands.Search, room: str, index: LogIndex, page_max: int
) -> SearchRead:
    """Translate a search command into a search of the log.

    Raises:
        RequestError: BAD_POSITION, as `plan_history`.
    """
    before = _parse_seq(command.before, index) if command.before else None
    limit = max(1, min(command.limit, page_max))
    return SearchRead(peer, command.ref, room, command.query, before, limit)


def response_to(read: HistoryRead | SearchRead, entries: Sequence[Entry], index: LogIndex) -> events.Event:
    """The event that answers a client's read; `entries` are in ascending order."""
    if isinstance(read, SearchRead):
        return search_page(read, [entry for entry in entries if isinstance(entry, Post)])
    return history_page(read, entries, index.first_seq(read.room), index.last_seq(read.room))


def search_page(read: SearchRead, posts: Sequence[Post]) -> events.Found:
    """The reply to a search; `more` is set if older posts may match too."""
    page = fit_page(posts, from_end=True)
    more = len(page) < len(posts) or len(posts) >= read.limit
    return events.Found(read.ref, read.room, tuple(message_of(post) for post in page), more)


def history_page(
    read: HistoryRead, entries: Sequence[Entry], first_seq: int, last_seq: int
) -> events.History:
    """The reply to a history request, cut to `PAGE_BYTES` at the end farther from the client's position."""
    page = fit_page(entries, from_end=read.from_end)
    if read.from_end:
        more = bool(page) and page[0].position.seq > first_seq
    else:
        more = bool(page) and page[-1].position.seq < last_seq
    return events.History(read.ref, read.room, tuple(map(event_of, page)), more)


def fit_page(entries: Sequence[E], *, from_end: bool) -> list[E]:
    """The newest (`from_end`) or oldest of `entries` that fit into a page, at least one.

    All in ascending order.
    """
    page = first_fitting(reversed(entries) if from_end else entries, PAGE_BYTES, overhead_bytes=200)
    return page[::-1] if from_end else page


def _parse_seq(text: str, index: LogIndex) -> int:
    position = Position.parse(text)
    if position is None or position.epoch != index.epoch:
        raise RequestError(
            ErrorCode.BAD_POSITION,
            "Unknown post id: it is not from this log. Request the latest posts instead.",
        )
    return position.seq
