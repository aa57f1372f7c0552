"""An index of pinned posts and open questions in memory."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from broadcast_tui.core.post import MAX_SEQ, Post
from broadcast_tui.core.post_state import PostState
from broadcast_tui.engine.base import OpenAsk


class NoteIndex:
    """Pins and open questions by room. It follows `update` and `trim`."""

    def __init__(self) -> None:
        self._pins: dict[str, list[int]] = {}
        self._asks: dict[str, dict[int, OpenAsk]] = {}
        """By room and seq, in ascending order of the seqs."""
        self._all_asks: dict[tuple[str, int], OpenAsk] = {}
        """Oldest first."""

    def pins(self, room: str) -> Sequence[int]:
        """Seqs of the pinned posts, ascending. Do not modify it."""
        return self._pins.get(room, ())

    def open_asks(self, room: str = "") -> Sequence[OpenAsk]:
        """The open questions of a room, or of all rooms, oldest first."""
        return list(self._asks.get(room, {}).values() if room else self._all_asks.values())

    def load(self, room: str, pins: Iterable[int], asks: Iterable[OpenAsk]) -> None:
        """Replace everything about a room, from what is stored elsewhere."""
        self.trim(room, MAX_SEQ + 1)
        if stored := sorted(pins):
            self._pins[room] = stored
        if by_seq := {ask.seq: ask for ask in sorted(asks, key=lambda ask: ask.seq)}:
            self._asks[room] = by_seq
            self._all_asks |= {(room, seq): ask for seq, ask in by_seq.items()}

    def update(self, post: Post) -> None:
        """Follow a post that was appended or changed."""
        room, seq, state = post.room, post.position.seq, post.state
        is_pinned = _contains(self._pins.get(room, ()), seq)
        if is_pinned != (state.pinned is not None):
            if is_pinned:
                self._unpin(room, seq)
            else:
                insort(self._pins.setdefault(room, []), seq)
        is_open = (room, seq) in self._all_asks
        if is_open != is_open_ask(state):
            if is_open:
                self._close(room, seq)
            elif state.ask is not None:
                ask = OpenAsk(room, seq, until_of(state.ask.until, post.at))
                self._asks.setdefault(room, {})[seq] = self._all_asks[room, seq] = ask

    def trim(self, room: str, first_seq: int) -> None:
        """Remove the posts of a room with a seq below `first_seq`."""
        if (pins := self._pins.get(room)) is not None and pins[0] < first_seq:
            del pins[: bisect_left(pins, first_seq)]
            if not pins:
                del self._pins[room]
        if (asks := self._asks.get(room)) is not None:
            while asks and (seq := next(iter(asks))) < first_seq:
                self._close(room, seq)

    def _unpin(self, room: str, seq: int) -> None:
        self._pins[room].remove(seq)
        if not self._pins[room]:
            del self._pins[room]

    def _close(self, room: str, seq: int) -> None:
        del self._asks[room][seq], self._all_asks[room, seq]
        if not self._asks[room]:
            del self._asks[room]


def is_open_ask(state: PostState) -> bool:
    """Whether a post is a question that has not been closed."""
    return state.ask is not None and not state.closed


def until_of(text: str, at: datetime) -> datetime:
    """The time at which a question closes; `at` if the timestamp is invalid."""
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        return at
    return until.replace(tzinfo=UTC) if until.tzinfo is None else until


def _contains(ordered: Sequence[int], seq: int) -> bool:
    index = bisect_left(ordered, seq)
    return index < len(ordered) and ordered[index] == seq
