"""Reading behind the cursors: which range of a log a request means, and the page that answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from broadcast_tui.core import commands, events
from broadcast_tui.core.errors import ErrorCode, Refused
from broadcast_tui.core.message import message_of
from broadcast_tui.core.post import Position, Post

if TYPE_CHECKING:
    from broadcast_tui.core.peer import Peer

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


@dataclass(frozen=True, slots=True)
class WarmRead:
    """The `limit` posts before seq `before`, for a room's ring."""

    room: str
    before: int
    limit: int


@dataclass(frozen=True, slots=True)
class HistoryRead:
    """Posts with `after` < seq < `before` for a client: the `limit` oldest, or newest if `from_end`."""

    peer: Peer
    ref: str
    room: str
    after: int
    before: int | None
    limit: int
    from_end: bool


def plan_page(
    peer: Peer, command: commands.FetchHistory, room: str, index: LogIndex, page_max: int
) -> HistoryRead:
    """The range that a history command means.

    Raises:
        Refused: BAD_POSITION, when the id given is none of this log's.
    """
    limit = max(1, min(command.limit, page_max))

    def seq(text: str) -> int:
        position = Position.parse(text)
        if position is None or position.epoch != index.epoch:
            raise Refused(ErrorCode.BAD_POSITION, "This post id is not from this log; ask for the latest.")
        return position.seq

    if command.after:
        return HistoryRead(peer, command.ref, room, seq(command.after), None, limit, False)
    if command.around:
        middle = seq(command.around)
        return HistoryRead(peer, command.ref, room, max(0, middle - limit // 2 - 1), None, limit, False)
    before = seq(command.before) if command.before else None
    return HistoryRead(peer, command.ref, room, 0, before, limit, True)


def page_of(read: HistoryRead, posts: Sequence[Post], first_seq: int, last_seq: int) -> events.History:
    """The answer to `read`: `posts` as far as they fit, cut at the end away from where the client stands."""
    kept: list[Post] = []
    size = 0
    for post in reversed(posts) if read.from_end else posts:
        size += len(post.text.encode()) + 200
        if kept and size > PAGE_BYTES:
            break
        kept.append(post)
    if read.from_end:
        kept.reverse()
        more = bool(kept) and kept[0].position.seq > first_seq
    else:
        more = bool(kept) and kept[-1].position.seq < last_seq
    return events.History(read.ref, read.room, tuple(message_of(post) for post in kept), more)
