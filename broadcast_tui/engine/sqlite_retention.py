"""Deletes the posts of a SQLite history that exceed its retention, in short transactions."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from broadcast_tui.engine.sqlite_index import SearchIndex

SLICE_S = 0.02
"""Maximum time of a transaction, so that appends never wait long."""
DELETE_S = SLICE_S / 2
"""Maximum time for deletions in a transaction; the commit may take as long. If it takes longer, the next
transactions delete less."""
DELETE_MIN_S = SLICE_S / 20
KEEP_DAYS_MAX = 1_000_000.0
"""Effectively forever, but still a valid number of microseconds in SQLite."""
DAY_US = 86_400_000_000
READ_POSTS = 64
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Bounds = dict[str, tuple[int, int]]
"""First and last seq by room."""

log = logging.getLogger("broadcast_tui.engine")


class Retention:
    """The limits of a history. Used by the writing thread only.

    Args:
        heads: First and last seq of each room, updated by the caller.
        keep_days: Age in days after which posts are deleted; 0: never.
        keep_posts: Maximum number of posts per room; 0: unlimited.
        clock: Monotonic clock in seconds, for the time of a transaction.
        last_id: Returns the id of the newest post there has been.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        index: SearchIndex,
        heads: Bounds,
        *,
        keep_days: float,
        keep_posts: int,
        clock: Callable[[], float],
        last_id: Callable[[], int],
    ) -> None:
        self._connection = connection
        self._index = index
        self._heads = heads
        self._clock = clock
        self._last_id = last_id
        self._delete_s = DELETE_S
        self._grown: dict[str, None] = {}
        """Rooms that may have too many posts, in the order in which they are checked."""
        self.set_limits(keep_days, keep_posts)
        self._counts: Counter[str] = Counter()
        self._deleted: Counter[str] = Counter()
        self._trimmed_rooms: set[str] = set()

    def set_limits(self, keep_days: float, keep_posts: int) -> None:
        """Change the limits."""
        self._keep_days = keep_days
        self._keep_posts = keep_posts
        self._grown = dict.fromkeys(self._heads)

    def posts_added(self, rooms: Bounds) -> None:
        """Check these rooms in the next pass. Rooms without new posts cannot exceed their number."""
        if self._keep_posts:
            self._grown.update(dict.fromkeys(rooms))

    def trim(self, now: datetime, *, by_age: bool) -> tuple[Bounds, bool]:
        """Delete some posts in one transaction of about `SLICE_S`.

        Args:
            now: The wall clock.
            by_age: Whether it can be trusted; otherwise, only surplus posts are deleted.

        Returns:
            The changed bounds, and whether there may be more to delete.
        """
        started = self._clock()
        deadline = started + self._delete_s
        bounds: Bounds = {}
        self._counts.clear()
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            checked = self._trim_by_number(bounds, deadline)
            more = len(checked) < len(self._grown)
            if not more and by_age and self._keep_days:
                more = self._trim_by_age(bounds, now, deadline)
            if bounds:
                self._save(bounds)
        took_s = self._clock() - started
        change = 0.8 * SLICE_S / took_s if took_s else 1.0
        self._delete_s = min(DELETE_S, max(DELETE_MIN_S, self._delete_s * change))
        for room in checked:
            self._grown.pop(room, None)
        self._heads.update(bounds)
        self._deleted += self._counts
        self._trimmed_rooms.update(bounds)
        return bounds, more

    def end_pass(self) -> None:
        """Log what has been deleted since the last call."""
        if count := self._deleted.total():
            log.info(
                "deleted %d post(s) of %d room(s): %d older than %g day(s), %d above %d per room",
                count,
                len(self._trimmed_rooms),
                self._deleted["age"],
                self._keep_days,
                self._deleted["number"],
                self._keep_posts,
                extra={"event": "deleted", "count": count, "rooms": len(self._trimmed_rooms)},
            )
        self._deleted.clear()
        self._trimmed_rooms.clear()

    def _trim_by_number(self, bounds: Bounds, deadline: float) -> set[str]:
        """Delete surplus posts; returns the rooms that have none any more."""
        if not self._keep_posts:
            return set(self._grown)
        checked: set[str] = set()
        for room in self._grown:
            first, last = self._heads.get(room, (1, 0))
            surplus_end = last - self._keep_posts
            if first <= surplus_end:
                first = self._trim_room(room, first, surplus_end, deadline)
                bounds[room] = first, last
            if first > surplus_end:
                checked.add(room)
            if self._clock() > deadline:
                break
        return checked

    def _trim_room(self, room: str, first: int, end: int, deadline: float) -> int:
        """Delete the posts with seq <= `end` of a room, until the deadline; returns the new first seq."""
        while first <= end:
            posts = self._connection.execute(
                "SELECT posts.id, room_id, seq, text FROM posts JOIN rooms ON rooms.id = room_id"
                " WHERE rooms.name = ? AND seq >= ? AND seq <= ? ORDER BY seq LIMIT ?",
                (room, first, end, READ_POSTS),
            ).fetchall()
            if not posts:
                return end + 1
            for post_id, room_id, seq, text in posts:
                self._delete(post_id, room_id, text)
                self._counts["number"] += 1
                first = seq + 1
                if self._clock() > deadline:
                    return first
        return first

    def _trim_by_age(self, bounds: Bounds, now: datetime, deadline: float) -> bool:
        """Delete old posts, in the order of their arrival, until the deadline or the first recent post.

        Returns whether there may be more. A room's posts arrive in the order of their seqs, so that this
        deletes the beginning of each room without looking at all of them.
        """
        newest = self._connection.execute("SELECT at_us FROM posts ORDER BY id DESC LIMIT 1").fetchone()
        if newest is None or int(newest[0]) > microseconds(now):
            return False
        oldest_us = microseconds(now) - int(min(self._keep_days, KEEP_DAYS_MAX) * DAY_US)
        while True:
            posts = self._connection.execute(
                "SELECT posts.id, room_id, rooms.name, seq, at_us, text"
                " FROM posts JOIN rooms ON rooms.id = room_id ORDER BY posts.id LIMIT ?",
                (READ_POSTS,),
            ).fetchall()
            for post_id, room_id, room, seq, at_us, text in posts:
                if at_us >= oldest_us:
                    return False
                self._delete(post_id, room_id, text)
                self._counts["age"] += 1
                bounds[room] = seq + 1, self._heads[room][1]
                if self._clock() > deadline:
                    return True
            if not posts:
                return False

    def _delete(self, post_id: int, room_id: int, text: str) -> None:
        self._index.remove(post_id, room_id, text)
        self._connection.execute("DELETE FROM posts WHERE id = ?", (post_id,))

    def _save(self, bounds: Bounds) -> None:
        # Ids of deleted posts must not be used again.
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('last_id', ?)", (self._last_id(),))
        self._connection.executemany(
            "UPDATE rooms SET first_seq = ? WHERE name = ?",
            [(first, room) for room, (first, _) in bounds.items()],
        )


def microseconds(at: datetime) -> int:
    """Exact microseconds since 1970 in UTC."""
    return (at - _UNIX_EPOCH) // _MICROSECOND
