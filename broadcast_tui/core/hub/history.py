"""History and search requests: the range of the log to read, and the page to reply with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.hub.log_index import LogIndex, current_seq
from broadcast_tui.core.notes import E, Entry, Note, first_fitting
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.dialects import Dialect, translate
from broadcast_tui.core.protocol.entries import event_of, message_of

if TYPE_CHECKING:
    from broadcast_tui.core.hub.peer import Peer

PAGE_BYTES = 262_144
"""Maximum size of a page, in bytes of text. The client requests the rest in further pages."""


class BackfillRead(msgspec.Struct, frozen=True):
    """A read of the `limit` posts before seq `before`, of about `max_bytes` at most, for a room's ring."""

    room: str
    epoch: str
    before: int
    limit: int
    max_bytes: int | None = None


class HistoryRead(msgspec.Struct, frozen=True):
    """A read for a client: posts with `after` < seq < `before`, the `limit` oldest or (`from_end`) newest."""

    peer: Peer
    ref: str
    room: str
    epoch: str
    after: int
    before: int | None
    limit: int
    from_end: bool
    root: int = 0
    """Seq of the first post of a thread to which the page is limited; 0: the whole log."""
    pinned: bool = False
    """Whether the page is limited to the pinned posts."""


class SearchRead(msgspec.Struct, frozen=True):
    """A search for a client: the newest `limit` posts with seq < `before` that match all words of `query`."""

    peer: Peer
    ref: str
    room: str
    epoch: str
    query: str
    before: int | None
    limit: int
    root: int = 0
    """Seq of the first post of a thread to which the search is limited; 0: the whole log."""


Read = BackfillRead | HistoryRead | SearchRead
"""A read of the log of a room, whose seqs are those of an epoch."""


def plan_history(
    peer: Peer, command: commands.FetchHistory, room: str, index: LogIndex, page_max: int
) -> HistoryRead:
    """Translate a history command into a read of the log.

    Raises:
        RequestError: BAD_POSITION if a post id in it is not from this log.
    """
    limit = max(1, min(command.limit, page_max))
    after, before, from_end = 0, None, False
    if command.after:
        after = _parse_seq(command.after, room, index)
    elif command.around:
        after = max(0, _parse_seq(command.around, room, index) - limit // 2 - 1)
    else:
        before = _parse_seq(command.before, room, index) if command.before else None
        from_end = True
    root = _parse_seq(command.root, room, index) if command.root else 0
    epoch = index.epoch_of(room)
    return HistoryRead(
        peer, command.ref, room, epoch, after, before, limit, from_end, root, command.pinned and not root
    )


def plan_search(
    peer: Peer, command: commands.Search, room: str, index: LogIndex, page_max: int
) -> SearchRead:
    """Translate a search command into a search of the log.

    Raises:
        RequestError: BAD_POSITION, as `plan_history`.
    """
    before = _parse_seq(command.before, room, index) if command.before else None
    limit = max(1, min(command.limit, page_max))
    root = _parse_seq(command.root, room, index) if command.root else 0
    return SearchRead(peer, command.ref, room, index.epoch_of(room), command.query, before, limit, root)


def renewed(read: HistoryRead | SearchRead, index: LogIndex) -> HistoryRead | SearchRead | None:
    """The read of a client in the current epoch of its room; None if its thread is lost."""
    epoch, fork = index.epoch_of(read.room), index.fork_of(read.room, read.epoch) or 0
    if read.root > fork:
        return None
    before = None if read.before is None else min(read.before, fork + 1)
    if isinstance(read, SearchRead):
        return msgspec.structs.replace(read, epoch=epoch, before=before)
    return msgspec.structs.replace(read, epoch=epoch, after=min(read.after, fork), before=before)


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
    if read.pinned:
        more = len(page) < len(entries)
    elif read.from_end:
        more = bool(page) and page[0].position.seq > max(first_seq, read.root)
    else:
        more = bool(page) and page[-1].position.seq < last_seq
    return events.History(read.ref, read.room, _items(page, read.peer.dialect), more)


def _items(page: Sequence[Entry], dialect: Dialect) -> tuple[events.Message | events.Note, ...]:
    """The events of a page in the dialect of a v1 client."""
    if dialect is Dialect.NOTES:
        return tuple(map(event_of, page))
    items = []
    for entry in page:
        post = entry.post if isinstance(entry, Note) else entry
        event = translate(event_of(entry), dialect, post.sender if post is not None else "")
        if isinstance(event, events.Message | events.Note):
            items.append(event)
    return tuple(items)


def fit_page(entries: Sequence[E], *, from_end: bool) -> list[E]:
    """The newest (`from_end`) or oldest of `entries` that fit into a page, at least one.

    All in ascending order.
    """
    page = first_fitting(reversed(entries) if from_end else entries, PAGE_BYTES, overhead_bytes=200)
    return page[::-1] if from_end else page


def _parse_seq(text: str, room: str, index: LogIndex) -> int:
    position = Position.parse(text)
    seq = current_seq(position, room, index) if position is not None else None
    if seq is None:
        raise RequestError(
            ErrorCode.BAD_POSITION,
            "Unknown post id: it is not from this log. Request the latest posts instead.",
        )
    return seq
