"""A client's place in one room: what it has, what it misses, and in which order it may hand posts on.

Invariants: `position` is the last post up to which we have everything; posts are released in order,
each once; a hole is filled from history or announced, never skipped in silence.
"""

from __future__ import annotations

from collections.abc import Iterable

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.session.updates import GapFound

REPLAY_MAX = 1_000
"""Posts that a server gives on entering, at most; whoever wants more gets the rest from history."""
AHEAD_MAX = 5_000
"""Live posts held back while a hole before them is filled; more are fetched again later."""


class RoomCursor:
    """The cursor of a client session in `room`. `last`: posts to ask for when there is no position yet."""

    def __init__(self, room: str, last: int) -> None:
        self.room = room
        self.last = last
        self.position: Position | None = None
        self.entered = False
        """The server has us in the room, on this connection."""
        self.synced = False
        """The replay is over, on this connection; only then is our outbox sent."""
        self.told_caught_up = False
        """Whether the user knows that nothing is missing any more, on this connection."""
        self._hole_end: int | None = None
        self._ahead: list[Post] = []
        self._reaching_back = False
        """Our place is one that was wished for: posts right after it may be gone, or never have been."""

    @property
    def filling(self) -> bool:
        """Whether a hole is being filled; then history after `position` is wanted."""
        return self._hole_end is not None

    def disconnected(self) -> None:
        """The connection is gone: what came after a hole will be replayed."""
        self.entered = self.synced = self.told_caught_up = False
        self._hole_end = None
        self._ahead.clear()

    def entered_at(self, head: Position, missed: int) -> None:
        """The server let us in; a place we did not have before begins `missed` posts before the head.

        If that is less than `last`, which is more than any server gives, the rest is a hole to be filled.
        """
        self.entered = True
        if self.position is None:
            self._reaching_back = self.last > REPLAY_MAX and 0 < missed < self.last
            back = min(self.last, head.seq) if self._reaching_back else missed
            self.position = Position(head.epoch, head.seq - back)

    def newly_caught_up(self) -> bool:
        """Whether nothing is missing any more, and that is still to be told."""
        if self.told_caught_up or not self.synced or self.filling:
            return False
        self.told_caught_up = True
        return True

    def received(self, post: Post) -> list[Post | GapFound]:
        """A post from the room; returns what may be handed on now: it, nothing, or a gap and it."""
        released: list[Post | GapFound] = []
        position = self.position
        if position is None or position.epoch != post.position.epoch:
            if position is not None:
                released.append(GapFound(self.room, None, "epoch"))
            self.position = post.position
            return [*released, post]
        if post.position.seq <= position.seq:
            return []
        if self._hole_end is not None:
            self._hold(post)
        elif post.position.seq > position.seq + 1:
            self._hole_end = post.position.seq - 1
            self._hold(post)
        else:
            self.position = post.position
            return [post]
        return []

    def gap(self, end: Position, reason: str) -> list[GapFound]:
        """The server will not send what lies before `end` (included)."""
        position = self.position
        if reason == "lagged" and position is not None and position.epoch == end.epoch:
            if end.seq > position.seq:
                self._hole_end = max(end.seq, self._hole_end or 0)
            return []
        known = position is not None and position.epoch == end.epoch
        count = end.seq - position.seq if known and position is not None else None
        self.position = end
        self._hole_end = None
        self._ahead.clear()
        return [GapFound(self.room, count, reason)] if count is None or count > 0 else []

    def filled(self, posts: Iterable[Post]) -> list[Post | GapFound]:
        """A page of history after `position`, ascending; empty means that no more can be had.

        Returns what may be handed on now. Afterwards `filling` says whether to ask for more.
        """
        assert self.position is not None
        released: list[Post | GapFound] = []
        fresh = [
            post
            for post in posts
            if post.position.epoch == self.position.epoch and post.position.seq > self.position.seq
        ]
        for post in fresh:
            released += self._jump_to(post.position.seq - 1)
            released.append(post)
            self.position = post.position
        if self._hole_end is None:
            return released
        if not fresh:
            released += self._jump_to(self._hole_end)
        if self.position.seq >= self._hole_end:
            self._hole_end = None
            released += self._release_ahead()
        return released

    def _jump_to(self, seq: int) -> list[GapFound]:
        assert self.position is not None
        missing = seq - self.position.seq
        reaching_back, self._reaching_back = self._reaching_back, False
        if missing <= 0:
            return []
        self.position = Position(self.position.epoch, seq)
        return [] if reaching_back else [GapFound(self.room, missing, "trimmed")]

    def _hold(self, post: Post) -> None:
        self._ahead.append(post)
        if len(self._ahead) > AHEAD_MAX:
            self._hole_end = post.position.seq
            self._ahead.clear()

    def _release_ahead(self) -> list[Post | GapFound]:
        ahead, self._ahead = self._ahead, []
        released: list[Post | GapFound] = []
        for post in ahead:
            released += self.received(post)
        return released
