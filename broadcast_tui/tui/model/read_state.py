"""How far a room has been read: what is unread, where the unread line stands, what is told on return.

Invariants:

- a post is *seen* when it arrives live while its room is on the screen, the terminal has the focus and the
  log stands at its end; whatever else arrives from others is unread until those three hold;
- the unread line stands above the first post that came while we were away from the room or cut off. It goes
  when we leave again having seen everything, and when the user says so;
- the backlog of a first visit is not unread; that of a later one is, from the bookmark on;
- unread posts that are not held yet are counted by their numbers. They lie above all that is held, and come
  as pages of history; until then the unread line stands above the oldest line held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import msgspec

from broadcast_tui.core.clock import format_duration
from broadcast_tui.core.post import ROOM_BEGIN, Bookmark, Position, is_newer
from broadcast_tui.tui.model.transcript.navigation import first_newer
from broadcast_tui.tui.model.transcript.transcript import Transcript

TOLD_FROM_S = 60.0
TOLD_FROM_POSTS = 5


class CatchUpSummary(NamedTuple):
    """What came to a room while we were `how`: away, or offline."""

    how: str
    seconds: float
    posts: int
    mentions: int

    @property
    def is_notable(self) -> bool:
        """Whether it is worth a line: much came; being cut off is told for a single mention, too."""
        if self.how == "offline":
            return self.posts >= TOLD_FROM_POSTS or self.mentions > 0
        return self.seconds >= TOLD_FROM_S and self.posts >= TOLD_FROM_POSTS

    def line(self, key: str) -> str:
        """`away 14 min · 212 posts · 2 mention you · Alt+U`; `key` goes to the first of them, if any does."""
        parts = [
            f"{self.how} {format_duration(self.seconds)}",
            f"{self.posts:,} post{'s' * (self.posts != 1)}",
        ]
        if self.mentions:
            parts.append(f"{self.mentions:,} mention{'s' * (self.mentions == 1)} you")
        return " · ".join([*parts, key] if key else parts)


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A post that came to its place: `line_id` in the transcript, `position` in the room's log."""

    line_id: int
    position: Position
    own: bool
    """Ours, or of somebody who is ignored: never unread."""
    mention: bool
    live: bool


class OlderPost(NamedTuple):
    """A post of a page of history; `own` as in an `Arrival`."""

    position: Position
    own: bool
    mention: bool


@dataclass(slots=True)
class ReadState:
    """The reading of the room that `transcript` shows."""

    transcript: Transcript
    count: int = 0
    """Posts of others not seen yet."""
    mentions: int = 0
    """Those of them that mention us."""
    first_id: int | None = None
    """Line id of the first of them."""
    _read: Position | None = None
    """The last post seen; None: not known, this is the first visit."""
    _newest: Position | None = None
    _left_at: datetime | None = None
    """Since when we are away from the room; None while we are there."""
    _cut_at: datetime | None = None
    """Since when the connection is lost."""
    _resuming: bool = False
    """The first replay since the bookmark is still to come."""
    _counts_left: tuple[int, int] = (0, 0)
    """`count` and `mentions` when we left."""
    _missed: list[Arrival] = field(default_factory=list)
    """What this replay brought and is unread."""
    _first_replayed: Arrival | None = None
    """The first post of this replay."""
    _unheld: Position | None = None
    """The last post read, while unread ones after it are not held."""
    _counts_unheld: bool = False
    """Whether those are among `count`; no longer once the end was seen."""
    _lost_count: int = 0
    """Posts missed that the server says are lost."""

    @property
    def is_resuming(self) -> bool:
        """Whether the first replay since an earlier run is still to come."""
        return self._resuming

    @property
    def begins_above(self) -> bool:
        """Whether there are unread posts above all that are held."""
        return self.above_count > 0 and self.transcript.unread_line_id is not None

    @property
    def above_count(self) -> int:
        """How many posts lie above all that are held and were unread when we came."""
        return self.transcript.unloaded_count

    def resume(self, bookmark: Bookmark) -> None:
        """Go on from where an earlier run was; before anything arrives."""
        self._read, self._left_at = bookmark
        self._resuming = True

    def bookmark(self, at: datetime) -> Bookmark | None:
        """What to keep for the next run; None if nothing is known yet."""
        return None if self._read is None else Bookmark(self._read, self._left_at or at)

    # Posts

    def arrived(self, arrival: Arrival, *, there: bool, at_end: bool) -> None:
        """A post came; `there`: we look at its room, `at_end`: the log's end is on the screen."""
        position, live = arrival.position, arrival.live
        is_news = live or (self._read is not None and is_newer(position, self._read))
        if position.epoch:
            self._newest = position
            if not live and self._first_replayed is None:
                self._first_replayed = arrival
        if not is_news:
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
            self._missed.append(arrival)
        if not (live and there) and (self.count == 0 or self.transcript.unread_line_id is None):
            self.transcript.unread_line_id = arrival.line_id
        if self.first_id is None:
            self.first_id = arrival.line_id
        self.count += 1
        self.mentions += arrival.mention

    def prepended(self, page: Sequence[OlderPost], *, ended: bool) -> None:
        """A page of history is on top, the oldest of all if `ended`: the unread line moves up."""
        read, unread_line_id = self._unheld, self.transcript.unread_line_id
        if read is None or unread_line_id is None:
            return
        unread = [post for post in page if is_newer(post.position, read)]
        above = 0 if ended else _between(read, Position.parse(self.transcript.first_post_id))
        if self._counts_unheld:
            gone = self.above_count - above - len(unread)
            self.count -= sum(post.own for post in unread) + gone
            self.mentions += sum(post.mention and not post.own for post in unread)
        self._set_above(above)
        found = first_newer(self.transcript, read)
        if found is not None and found < unread_line_id:
            if self.first_id == unread_line_id:
                self.first_id = found
            self.transcript.unread_line_id = found

    # Coming and going

    def left(self, at: datetime) -> None:
        """The room lost the screen, or the terminal the focus."""
        if self._left_at is None:
            self._left_at = at
            self._counts_left = (self.count, self.mentions)
            self._lost_count = 0
        if self.count == 0:
            self.drop_rule()

    def returned(self, at: datetime) -> CatchUpSummary | None:
        """The room is looked at again; what came meanwhile."""
        if self._left_at is None or self._resuming:
            return None
        seconds = (at - self._left_at).total_seconds()
        posts, mentions = self.count - self._counts_left[0], self.mentions - self._counts_left[1]
        self._left_at = None
        posts, self._lost_count = posts + self._lost_count, 0
        return CatchUpSummary("away", seconds, posts, mentions)

    def cut_off(self, at: datetime) -> None:
        """The connection is lost."""
        if self._cut_at is None:
            self._cut_at = at

    def entered(self, at: datetime, *, there: bool) -> None:
        """The server let us in; a replay follows until `caught_up`."""
        self._missed.clear()
        self._first_replayed = None
        if there:
            self._lost_count = 0
        elif self._left_at is None:
            self._left_at = at

    def lost(self, count: int | None) -> None:
        """So many posts (None: nobody knows) will not come."""
        self._lost_count += count or 0

    def caught_up(self, at: datetime, *, there: bool) -> CatchUpSummary | None:
        """The replay is over; what it brought, if we are there to hear of it."""
        missed, self._missed = self._missed, []
        mentions = sum(arrival.mention for arrival in missed)
        cut_at, self._cut_at = self._cut_at, None
        resuming, self._resuming = self._resuming, False
        above = self._begin_above() if resuming else 0
        if self._read is None:
            self._read = self._newest or ROOM_BEGIN
        if not there:
            return None
        posts, self._lost_count = self._lost_count + above + len(missed), 0
        if resuming:
            left_at, self._left_at = self._left_at or at, None
            return CatchUpSummary("away", (at - left_at).total_seconds(), posts, mentions)
        if cut_at is None:
            return None
        return CatchUpSummary("offline", (at - cut_at).total_seconds(), posts, mentions)

    def _begin_above(self) -> int:
        """Count what lies between the last post read and the first one that came; returns how many."""
        first = self._first_replayed
        if first is None:
            return 0
        self._unheld = self._read
        above = _between(self._read, first.position)
        self._set_above(above)
        if above:
            self.count += above
            self._counts_unheld = True
            # The line may stand further down, below posts of our own.
            self.transcript.unread_line_id = self.first_id = first.line_id
        return above

    def _set_above(self, count: int) -> None:
        self.transcript.unloaded_count = count
        if not count:
            self._unheld, self._counts_unheld = None, False

    def seen(self) -> None:
        """Everything held is on the screen, or was."""
        self.count = self.mentions = 0
        self.first_id = None
        self._counts_unheld = False
        self._counts_left = (0, 0)
        if self._read is not None:
            self._read = self._newest or self._read

    def drop_rule(self) -> None:
        """The unread line has served."""
        self.transcript.unread_line_id = None
        self._set_above(0)

    @property
    def target_id(self) -> int | None:
        """Line id of the first unread post; once all are seen, of the one below the unread line."""
        return self.transcript.unread_line_id if self.first_id is None else self.first_id


def _between(read: Position | None, position: Position | None) -> int:
    """How many posts lie between two; 0 if one is not known."""
    if read is None or position is None:
        return 0
    read_seq = read.seq if position.epoch == read.epoch else 0
    return max(0, position.seq - read_seq - 1)
