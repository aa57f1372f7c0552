"""Reading behind the cursors: which range of a log a request means, and the page that answers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.codec import message_of

if TYPE_CHECKING:
    from broadcast_tui.core.hub.peer import Peer

PAGE_BYTES = 262_144
"""Most text in one page; what does not fit is asked for again by the client."""


class LogIndex(Protocol):
    """What the hub must know of the engine at once, without waiting."""

    @property
    def epoch(self) -> str: ...

    def first_seq(self, room: str) -> int:
        """Oldest seq kept; `last_seq + 1` when none is."""
        ...

    def last_seq(self, room: str) -> int:
        """Newest seq; 0 for a room without posts."""
        ...

    def topic(self, room: str) -> str:
        """What the room is about; empty while nobody said."""
        ...

    def room_names(self) -> list[str]:
        """Rooms that have posts or a topic, sorted."""
        ...


class BackfillRead(msgspec.Struct, frozen=True):
    """The `limit` posts before seq `before`, for a room's ring."""

    room: str
    before: int
    limit: int


class HistoryRead(msgspec.Struct, frozen=True):
    """Posts with `after` < seq < `before` for a client: the `limit` oldest, or newest if `from_end`."""

    peer: Peer
    ref: str
    room: str
    after: int
    before: int | None
    limit: int
    from_end: bool


class SearchRead(msgspec.Struct, frozen=True):
    """The newest `limit` posts with seq < `before` that have all words of `query`, for a client."""

    peer: Peer
    ref: str
    room: str
    query: str
    before: int | None
    limit: int


Read = BackfillRead | HistoryRead | SearchRead


def plan_page(
    peer: Peer, command: commands.FetchHistory, room: str, index: LogIndex, page_max: int
) -> HistoryRead:
    """The range that a history command means.

    Raises:
        Refused: BAD_POSITION, when the id given is none of this log's.
    """
    limit = max(1, min(command.limit, page_max))
    if command.after:
        return HistoryRead(peer, command.ref, room, _seq(command.after, index), None, limit, False)
    if command.around:
        middle = _seq(command.around, index)
        return HistoryRead(peer, command.ref, room, max(0, middle - limit // 2 - 1), None, limit, False)
    before = _seq(command.before, index) if command.before else None
    return HistoryRead(peer, command.ref, room, 0, before, limit, True)


def plan_search(
    peer: Peer, command: commands.Search, room: str, index: LogIndex, page_max: int
) -> SearchRead:
    """What a search command means. Raises Refused: BAD_POSITION, as `plan_page`."""
    before = _seq(command.before, index) if command.before else None
    limit = max(1, min(command.limit, page_max))
    return SearchRead(peer, command.ref, room, command.query, before, limit)


def _seq(text: str, index: LogIndex) -> int:
    position = Position.parse(text)
    if position is None or position.epoch != index.epoch:
        raise RequestError(ErrorCode.BAD_POSITION, "This post id is not from this log; ask for the latest.")
    return position.seq


def fitting(posts: Sequence[Post], *, from_end: bool) -> list[Post]:
    """As many of `posts` (ascending) as fit into a page, from the new end or the old one; at least one."""
    kept: list[Post] = []
    size = 0
    for post in reversed(posts) if from_end else posts:
        size += len(post.text.encode()) + 200
        if kept and size > PAGE_BYTES:
            break
        kept.append(post)
    return kept[::-1] if from_end else kept


def found_of(read: SearchRead, posts: Sequence[Post]) -> events.Found:
    """The answer to a search; `more` if older posts may match too."""
    kept = fitting(posts, from_end=True)
    more = len(kept) < len(posts) or len(posts) >= read.limit
    return events.Found(read.ref, read.room, tuple(message_of(post) for post in kept), more)


def page_of(read: HistoryRead, posts: Sequence[Post], first_seq: int, last_seq: int) -> events.History:
    """The answer to `read`: `posts` as far as they fit, cut at the end away from where the client stands."""
    kept = fitting(posts, from_end=read.from_end)
    if read.from_end:
        more = bool(kept) and kept[0].position.seq > first_seq
    else:
        more = bool(kept) and kept[-1].position.seq < last_seq
    return events.History(read.ref, read.room, tuple(message_of(post) for post in kept), more)


def answer_to(read: HistoryRead | SearchRead, posts: Sequence[Post], index: LogIndex) -> events.Event:
    """The event that answers `read` with what the engine found."""
    if isinstance(read, SearchRead):
        return found_of(read, posts)
    return page_of(read, posts, index.first_seq(read.room), index.last_seq(read.room))
