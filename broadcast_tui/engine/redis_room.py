"""What a node knows of the log of a room in Redis that it follows.

News about a log arrive in messages, in the replies to own appends, and when the log is read; in any order and
more than once. `RoomLog` makes of them a tail: each entry once, in order, and a fork when the epoch changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from broadcast_tui.core.notes import Entry, LogEvent
from broadcast_tui.core.post import Fork
from broadcast_tui.engine.redis_rows import Head

HELD_MAX = 1_000
"""Maximum number of news that wait for missing entries; what is dropped is read again."""
FORMER_MAX = 100
"""Number of former epochs whose late news are recognized."""


class News(Protocol):
    """The head of a log, and the entries that follow it."""

    @property
    def head(self) -> Head: ...

    def __len__(self) -> int:
        """Number of entries."""
        ...

    def entries(self, start: int) -> list[Entry]:
        """The entries without the first `start`."""
        ...


class NewEntries:
    """News with entries that need no decoding."""

    def __init__(self, head: Head, entries: Sequence[Entry] = ()) -> None:
        self.head = head
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self, start: int) -> list[Entry]:
        return list(self._entries[start:])


class RoomLog:
    """The log of a room, as far as a node knows it.

    Args:
        head: Its head, with an epoch.
    """

    def __init__(self, room: str, head: Head) -> None:
        self.room = room
        self.epoch = head.epoch
        self.first = head.first
        self.last = head.last
        """Newest known seq."""
        self.told = head.last
        """Seq up to which the tail has everything."""
        self.topic = ""
        self.forks = head.forks
        self._former: list[str] = []
        """Epochs that this node has seen end, even if Redis has forgotten them."""
        self._held: list[News] = []

    @property
    def is_behind(self) -> bool:
        """Whether entries are missing from the tail; they have to be read."""
        return self.told < self.last

    @property
    def is_listed(self) -> bool:
        """Whether the room has entries or a topic."""
        return self.first <= self.last or bool(self.topic)

    def fork_of(self, epoch: str) -> int | None:
        """Seq up to which a former epoch has the same entries; None if the epoch is unknown."""
        fork = self.forks.get(epoch)
        # An empty log has nothing in common with others, but a client that has seen it empty misses nothing.
        return 0 if fork is None and not self.last else fork

    def is_former(self, epoch: str) -> bool:
        """Whether an epoch has ended."""
        return epoch in self.forks or epoch in self._former

    def receive(self, news: News) -> list[LogEvent]:
        """What the tail yields because of news. Old ones change nothing."""
        events: list[LogEvent] = []
        if news.head.epoch != self.epoch:
            if self.is_former(news.head.epoch):
                return []
            events.append(self._fork(news.head))
            self.first = news.head.first
        self.first = max(self.first, news.head.first)
        self.last = max(self.last, news.head.last + len(news))
        events += self._new_entries(news)
        if self._held and len(events):
            held, self._held = sorted(self._held, key=lambda news: news.head.last), []
            for each in held:
                events += self._new_entries(each)
        return events

    def _new_entries(self, news: News) -> list[Entry]:
        """The entries that the tail has not yielded; none, for now, if others are missing before them."""
        before = news.head.last
        if before > self.told:
            if len(news) and len(self._held) < HELD_MAX:
                self._held.append(news)
            return []
        known = self.told - before
        if known >= len(news):
            return []
        entries = news.entries(known)
        self.told = before + len(news)
        return entries

    def _fork(self, head: Head) -> Fork:
        """Go on in another epoch. What is read and received is compared with what both have in common."""
        former, seq = self.epoch, head.forks.get(self.epoch)
        if seq is None:
            # Redis has lost the end of this epoch, but may have one of the epochs before it.
            common = [min(end, head.forks[epoch]) for epoch, end in self.forks.items() if epoch in head.forks]
            seq = max(common, default=0)
        self._former = [*self._former[-FORMER_MAX:], former]
        self._held.clear()
        self.epoch, self.forks = head.epoch, head.forks
        self.told = self.last = min(self.told, seq)
        return Fork(self.room, former, head.epoch, seq)
