"""What a node knows of the log of a room in Redis that it follows.

News about a log arrive in messages, in the replies to own appends, and when the log is read; in any order and
more than once. `RoomLog` makes of them a tail: each entry once, in order, and a fork when the epoch changes.

An unknown epoch may be newer than the current one, or older: Redis can lose an epoch completely, so that no
later one knows it as a former one. Only a reply tells them apart, if the log was already in the current epoch
when it was requested. Other news of an unknown epoch are a reason to read the head.
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
        self.doubt_count = 0
        """Number of news that may be of a later epoch."""
        self._cleared_count = 0

    @property
    def is_doubtful(self) -> bool:
        """Whether the log may be in a later epoch; its head has to be read."""
        return self.doubt_count > self._cleared_count

    def clear_doubts(self, count: int) -> None:
        """Note that the head was read after the first `count` doubtful news."""
        self._cleared_count = max(self._cleared_count, count)

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

    def receive(self, news: News, asked_in: str = "", *, may_return: bool = False) -> list[LogEvent]:
        """What the tail yields because of news. Old ones change nothing.

        Args:
            asked_in: The epoch of this log when the news was requested; empty if it arrived by itself.
            may_return: Whether the log has to follow the news even to a former epoch.
        """
        events: list[LogEvent] = []
        if news.head.epoch != self.epoch:
            is_answer = asked_in == self.epoch
            if not (is_answer and may_return) and self.is_former(news.head.epoch):
                self.doubt_count += is_answer
                return []
            if not is_answer:
                self.doubt_count += 1
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
            ends = {**head.forks, head.epoch: head.last}
            common = [min(end, ends[epoch]) for epoch, end in self.forks.items() if epoch in ends]
            seq = max(common, default=0)
        self._former = [*(epoch for epoch in self._former[-FORMER_MAX:] if epoch != head.epoch), former]
        self._held.clear()
        self.epoch, self.forks = head.epoch, head.forks
        self.told = self.last = min(self.told, seq)
        return Fork(self.room, former, head.epoch, seq)
