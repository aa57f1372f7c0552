"""Read position of a room: unread posts, the unread line, and the summary on return.

Invariants:

- a post is *seen* if it arrives live while its room is shown, the terminal has the focus and the log is at
  its end. All other posts of others are unread until those three conditions hold;
- the unread line is above the first post that arrived while the user was away from the room or offline. It is
  removed when the user leaves again after seeing everything, or by command;
- the backlog of a first visit is not unread; on later visits, posts after the bookmark are;
- unread posts that are not loaded yet are counted by their sequence numbers. They are above all loaded posts
  and arrive as pages of history; until then, the unread line is above the oldest loaded line.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from broadcast_tui.core.clock import format_duration
from broadcast_tui.core.post import ROOM_BEGIN, Bookmark, Position, is_newer
from broadcast_tui.core.session.updates import EpochChanged
from broadcast_tui.tui.model.transcript.navigation import first_newer, line_of
from broadcast_tui.tui.model.transcript.transcript import Transcript

NOTABLE_FROM_S = 60.0
NOTABLE_FROM_POSTS = 5


class CatchUpSummary(NamedTuple):
    """Posts that arrived in a room while the user was away or offline (`cause`)."""

    cause: str
    seconds: float
    posts: int
    mentions: int

    @property
    def is_notable(self) -> bool:
        """Whether to print it: many posts; after being offline, a single mention suffices."""
        if self.cause == "offline":
            return self.posts >= NOTABLE_FROM_POSTS or self.mentions > 0
        return self.seconds >= NOTABLE_FROM_S and self.posts >= NOTABLE_FROM_POSTS

    def line(self, key: str) -> str:
        """`away 14 min · 212 posts · 2 mention you · Alt+U`; the key scrolls to the first of them."""
        parts = [
            f"{self.cause} {format_duration(self.seconds)}",
            f"{self.posts:,} post{'s' * (self.posts != 1)}",
        ]
        if self.mentions:
            parts.append(f"{self.mentions:,} mention{'s' * (self.mentions == 1)} you")
        return " · ".join([*parts, key] if key else parts)


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A post that was added: `line_id` in the transcript, `position` in the room's log."""

    line_id: int
    position: Position
    own: bool
    """Sent by the user, or by an ignored user: never unread."""
    mention: bool
    live: bool


class OlderPost(NamedTuple):
    """A post of a history page; `own` as in `Arrival`."""

    position: Position
    own: bool
    mention: bool


class ReadState(msgspec.Struct):
    """Read position of the room shown by `transcript`."""

    transcript: Transcript
    count: int = 0
    """Unseen posts of others."""
    mentions: int = 0
    """Unseen posts that mention the user."""
    first_id: int | None = None
    """Line id of the first unseen post."""
    _read: Position | None = None
    """The last post seen; None on a first visit, before it is known."""
    _newest: Position | None = None
    _left_at: datetime | None = None
    """When the user left the room; None while viewing it."""
    _disconnected_at: datetime | None = None
    """When the connection was lost."""
    _resuming: bool = False
    """The first replay after the bookmark is pending."""
    _counts_on_leaving: tuple[int, int] = (0, 0)
    """`count` and `mentions` when the user left."""
    _missed_count: int = 0
    """Number of unread posts of this replay."""
    _missed_mentions: int = 0
    """Number of them that mention the user."""
    _first_replayed: Arrival | None = None
    """The first post of this replay."""
    _unloaded_from: Position | None = None
    """The last post read, while unread posts after it are not loaded."""
    _counts_unloaded: bool = False
    """Whether the unloaded posts are included in `count`; false once the end was seen."""
    _recalled: set[Position] = msgspec.field(default_factory=set)
    """Posts that had been read and count as unread again, because an edit mentions the user."""
    _lost_count: int = 0
    """Missed posts that the server reported as lost."""

    @property
    def is_resuming(self) -> bool:
        """Whether the first replay since the last run is pending."""
        return self._resuming

    @property
    def begins_above(self) -> bool:
        """Whether there are unread posts above all loaded posts."""
        return self.above_count > 0 and self.transcript.unread_line_id is not None

    @property
    def above_count(self) -> int:
        """Number of posts above all loaded posts that were unread on arrival."""
        return self.transcript.unloaded_count

    def resume(self, bookmark: Bookmark) -> None:
        """Restore the position of the last run; call it before the first post."""
        self._read, self._left_at = bookmark
        self._resuming = True

    def bookmark(self, at: datetime) -> Bookmark | None:
        """The bookmark to save; None if no position is known."""
        return None if self._read is None else Bookmark(self._read, self._left_at or at)

    # -- posts

    def arrived(self, arrival: Arrival, *, there: bool, at_end: bool) -> None:
        """Record an added post.

        Args:
            there: The user is viewing the room.
            at_end: The end of its log is visible.
        """
        position, live = arrival.position, arrival.live
        is_new = live or (self._read is not None and is_newer(position, self._read))
        if position.epoch:
            self._newest = position
            if not live and self._first_replayed is None:
                self._first_replayed = arrival
        if not is_new:
            return
        if arrival.own:
            is_next = not self._resuming or not _between(self._read, position)
            if self.count == 0 and self._read is not None and is_next:
                self._read = self._newest
            return
        if live and there and at_end:
            self._read = self._newest or self._read
            return
        if not live:
            self._missed_count += 1
            self._missed_mentions += arrival.mention
        if not (live and there) and (self.count == 0 or self.transcript.unread_line_id is None):
            self.transcript.unread_line_id = arrival.line_id
        if self.first_id is None:
            self.first_id = arrival.line_id
        self.count += 1
        self.mentions += arrival.mention

    # -- notes

    def note_arrived(self, position: Position, *, live: bool) -> None:
        """Record a note: it takes a position in the log, but is never unread."""
        arrival = Arrival(self.transcript.next_id, position, True, False, live)
        self.arrived(arrival, there=False, at_end=False)

    def post_deleted(self, line_id: int, position: Position, *, mention: bool) -> None:
        """Record that a post of another user was deleted: it is no longer unread."""
        if self._is_unread(line_id, position):
            self._recalled.discard(position)
            self.count -= 1
            self.mentions -= mention

    def mention_added(self, line_id: int, position: Position, *, seen: bool) -> None:
        """Record that an edit newly mentions the user; the post becomes unread unless it is `seen`."""
        if seen:
            return
        if not self._is_unread(line_id, position):
            self._recalled.add(position)
            self.count += 1
        self.mentions += 1

    def mention_removed(self, line_id: int, position: Position) -> None:
        """Record that an edit no longer mentions the user."""
        if position in self._recalled:
            self.post_deleted(line_id, position, mention=True)
        elif self._is_unread(line_id, position):
            self.mentions -= 1

    def _is_unread(self, line_id: int, position: Position) -> bool:
        if not self.count:
            return False
        return position in self._recalled or (self.first_id is not None and line_id >= self.first_id)

    def prepended(self, page: Sequence[OlderPost], *, ended: bool) -> None:
        """Record an added history page, the oldest if `ended`: the unread line moves up."""
        read, unread_line_id = self._unloaded_from, self.transcript.unread_line_id
        if read is None or unread_line_id is None:
            return
        unread = [post for post in page if is_newer(post.position, read)]
        above = 0 if ended else _between(read, Position.parse(self.transcript.first_post_id))
        if self._counts_unloaded:
            gone = self.above_count - above - len(unread)
            self.count -= sum(post.own for post in unread) + gone
            self.mentions += sum(post.mention and not post.own for post in unread)
        self._set_above(above)
        found = first_newer(self.transcript, read)
        if found is not None and found < unread_line_id:
            if self.first_id == unread_line_id:
                self.first_id = found
            self.transcript.unread_line_id = found

    # -- new epochs of the log

    def follow(self, change: EpochChanged) -> None:
        """Give the positions the ids of a new epoch. Those that are lost become its last common one."""

        def followed(position: Position | None) -> Position | None:
            if position is None:
                return None
            return change.follow(position) or Position(change.epoch, change.seq)

        self._read, self._newest = followed(self._read), followed(self._newest)
        self._unloaded_from = followed(self._unloaded_from)
        if self._first_replayed is not None:
            position = followed(self._first_replayed.position) or self._first_replayed.position
            self._first_replayed = msgspec.structs.replace(self._first_replayed, position=position)
        # The lost ones are still to be removed by `post_lost`.
        self._recalled = {change.follow(position) or position for position in self._recalled}

    def post_lost(self, line_id: int, position: Position, *, own: bool, mention: bool) -> None:
        """Record that the server has lost a post, which is removed."""
        if not own:
            self.post_deleted(line_id, position, mention=mention)

    # -- viewing and leaving

    def left(self, at: datetime) -> None:
        """Record that the room is no longer viewed: another one is shown, or the focus is lost."""
        if self._left_at is None:
            self._left_at = at
            self._counts_on_leaving = (self.count, self.mentions)
            self._lost_count = 0
        if self.count == 0:
            self.drop_unread_line()

    def returned(self, at: datetime) -> CatchUpSummary | None:
        """Record that the room is viewed again; returns what arrived meanwhile."""
        if self._left_at is None or self._resuming:
            return None
        seconds = (at - self._left_at).total_seconds()
        posts, mentions = self.count - self._counts_on_leaving[0], self.mentions - self._counts_on_leaving[1]
        self._left_at = None
        posts, self._lost_count = posts + self._lost_count, 0
        return CatchUpSummary("away", seconds, posts, mentions)

    def disconnected(self, at: datetime) -> None:
        """Record the loss of the connection."""
        if self._disconnected_at is None:
            self._disconnected_at = at

    def entered(self, at: datetime, *, there: bool) -> None:
        """Record that the room was entered; a replay follows until `caught_up`."""
        self._missed_count = self._missed_mentions = 0
        self._first_replayed = None
        if there:
            self._lost_count = 0
        elif self._left_at is None:
            self._left_at = at

    def add_lost(self, count: int | None) -> None:
        """Record that this many posts (None: unknown) are lost."""
        self._lost_count += count or 0

    def caught_up(self, at: datetime, *, there: bool) -> CatchUpSummary | None:
        """Record the end of the replay; returns what it brought, if the user is viewing the room."""
        missed, mentions = self._missed_count, self._missed_mentions
        self._missed_count = self._missed_mentions = 0
        disconnected_at, self._disconnected_at = self._disconnected_at, None
        resuming, self._resuming = self._resuming, False
        above = self._count_unloaded() if resuming else 0
        if self._read is None:
            self._read = self._newest or ROOM_BEGIN
        if not there:
            return None
        posts, self._lost_count = self._lost_count + above + missed, 0
        if resuming:
            left_at, self._left_at = self._left_at or at, None
            return CatchUpSummary("away", (at - left_at).total_seconds(), posts, mentions)
        if disconnected_at is None:
            return None
        return CatchUpSummary("offline", (at - disconnected_at).total_seconds(), posts, mentions)

    def _count_unloaded(self) -> int:
        """Count the posts between the last one read and the first one replayed; returns their number."""
        first = self._first_replayed
        if first is None:
            return 0
        self._unloaded_from = self._read
        above = _between(self._read, first.position)
        self._set_above(above)
        if above:
            self.count += above
            self._counts_unloaded = True
            # The line may be further down, below own posts.
            self.transcript.unread_line_id = self.first_id = first.line_id
        return above

    def _set_above(self, count: int) -> None:
        self.transcript.unloaded_count = count
        if not count:
            self._unloaded_from, self._counts_unloaded = None, False

    def seen(self) -> None:
        """Record that all loaded posts have been seen."""
        self.count = self.mentions = 0
        self.first_id = None
        self._recalled.clear()
        self._counts_unloaded = False
        self._counts_on_leaving = (0, 0)
        if self._read is not None:
            self._read = self._newest or self._read

    def drop_unread_line(self) -> None:
        """Remove the unread line."""
        self.transcript.unread_line_id = None
        self._set_above(0)

    @property
    def target_id(self) -> int | None:
        """Line id of the first unread post; if there is none, of the line below the unread line."""
        if self.first_id is None and self._recalled:
            return line_of(self.transcript, str(min(self._recalled)))
        return self.transcript.unread_line_id if self.first_id is None else self.first_id


def _between(read: Position | None, position: Position | None) -> int:
    """Number of posts between two positions; 0 if one is unknown."""
    if read is None or position is None:
        return 0
    read_seq = read.seq if position.epoch == read.epoch else 0
    return max(0, position.seq - read_seq - 1)
