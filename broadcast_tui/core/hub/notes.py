"""When reactions and answers are announced, and questions closed.

Crowds react and answer within seconds. Their votes are stored one by one, but announced together: the first
at once, then at most one summary per post, kind and `SUMMARY_EVERY_S`. The engine remembers what has not been
announced, so that nothing is lost in a crash.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from datetime import UTC, datetime

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.hub.effects import Effects
from broadcast_tui.core.hub.log_index import LogIndex
from broadcast_tui.core.hub.pending_entries import PendingEntry
from broadcast_tui.core.notes import NewSummary
from broadcast_tui.core.post import Fork, Post
from broadcast_tui.core.post_state import NoteKind

SUMMARY_EVERY_S = 1.0
"""Minimum time between two summaries of a post and kind."""
CLOSE_RETRY_S = 5.0
"""Time after which a question that could not be closed is closed again."""
_CLEAN_MIN = 1_000
"""Minimum number of questions at which those that were closed early are forgotten."""

Target = tuple[str, int, NoteKind]
"""Room, seq and kind of what a summary is about."""


class Summaries:
    """Adds the summaries that are due to the pending entries.

    Args:
        index: The engine's index, with the open questions and, after a crash, the pending summaries.
    """

    def __init__(self, index: LogIndex, effects: Effects) -> None:
        self._index = index
        self._effects = effects
        self._paused: OrderedDict[Target, tuple[float, bool]] = OrderedDict()
        """What was announced less than `SUMMARY_EVERY_S` ago: the time at which the next summary may follow,
        and whether one has to. In the order of these times."""
        self._asks: list[tuple[datetime, str, int]] = []
        """A heap of questions by the time at which they have to be closed: UTC time, room and seq."""
        self._clean_at = _CLEAN_MIN
        """Size of the heap at which it is rebuilt from the open questions."""

    def start(self, when: Instant) -> None:
        """Continue after a restart with what the engine has stored."""
        self._collect_asks()
        for room, seq, kind in self._index.pending_summaries():
            self.changed(room, seq, kind, when)

    def changed(self, room: str, seq: int, kind: NoteKind, when: Instant) -> None:
        """Announce changed reactions or answers of a post, now or later."""
        target = room, seq, kind
        paused = self._paused.get(target)
        if paused is None:
            self._announce(target, when)
        else:
            self._paused[target] = paused[0], True

    def failed(self, summary: NewSummary, when: Instant) -> None:
        """Repeat a summary that was not stored."""
        if summary.close:
            retry_at = when.at.timestamp() + CLOSE_RETRY_S
            retry = datetime.fromtimestamp(retry_at, UTC), summary.room, summary.re
            heapq.heappush(self._asks, retry)
        else:
            target = summary.room, summary.re, summary.kind
            self._paused[target] = when.now + SUMMARY_EVERY_S, True
            self._paused.move_to_end(target)

    def opened(self, post: Post) -> None:
        """Remember to close a new question."""
        if post.state.ask is None or post.state.closed:
            return
        if self._index.is_open(post.room) and self._index.epoch_of(post.room) != post.position.epoch:
            return  # the log has forked since: `forked` finds it, if it is not lost
        until = datetime.fromisoformat(post.state.ask.until)
        if len(self._asks) >= self._clean_at:
            self._collect_asks()
        heapq.heappush(self._asks, (until, post.room, post.position.seq))

    def room_opened(self, room: str) -> None:
        """Remember to close the questions of a room that was opened after the start."""
        asks = [(until, name, seq) for name, seq, until in self._index.open_asks(room)]
        if asks and len(self._asks) + len(asks) > self._clean_at:
            self._collect_asks()
            return
        for ask in asks:
            heapq.heappush(self._asks, ask)

    def forked(self, fork: Fork) -> None:
        """Forget what is about lost posts, and announce the rest once more: its last note may be lost."""
        paused, self._paused = self._paused, OrderedDict()
        for target, (due, is_changed) in paused.items():
            room, seq, _ = target
            if room != fork.room:
                self._paused[target] = due, is_changed
            elif seq <= fork.seq:
                self._paused[target] = due, True
        self._asks = [ask for ask in self._asks if ask[1] != fork.room]
        heapq.heapify(self._asks)
        self.room_opened(fork.room)

    def tick(self, when: Instant) -> None:
        """Add the summaries that are due, and close the questions whose time is over."""
        while self._paused:
            target, (due, is_changed) = next(iter(self._paused.items()))
            if due > when.now:
                break
            del self._paused[target]
            if is_changed:
                self._announce(target, when)
        while self._asks and self._asks[0][0] <= when.at:
            _, room, seq = heapq.heappop(self._asks)
            self._append(NewSummary(room, seq, NoteKind.ANSWER, when.at, close=True))

    def _announce(self, target: Target, when: Instant) -> None:
        self._paused[target] = when.now + SUMMARY_EVERY_S, False
        self._append(NewSummary(*target, when.at))

    def _append(self, summary: NewSummary) -> None:
        epoch = self._index.epoch_of(summary.room)
        self._effects.pending_entries.append(PendingEntry(None, summary, epoch))

    def _collect_asks(self) -> None:
        self._asks = [(until, room, seq) for room, seq, until in self._index.open_asks()]
        heapq.heapify(self._asks)
        self._clean_at = max(_CLEAN_MIN, 2 * len(self._asks))
