"""The entries that wait for the engine. They are appended in batches, to which all addresses contribute."""

from __future__ import annotations

import msgspec

from broadcast_tui.core.fair_queue import FairQueue
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.notes import NewEntry

BATCH_ENTRIES = 1_000
"""Maximum number of entries in a batch if there are more than fit."""
BATCH_CHARS = 131_072
"""Size of the texts in a batch if there are more than fit. Indexing them takes some 30 ms."""


class PendingEntry(msgspec.Struct, frozen=True):
    """An entry to append to the log, and the connection that waits for its acknowledgement.

    A summary has no connection.
    """

    peer: Peer | None
    entry: NewEntry
    epoch: str = ""
    """Epoch of the room in which the entry is about a post; empty if it is about none."""


class PendingEntries:
    """Entries to append; those of a connection stay in order.

    All of them form the next batch, in order of arrival, unless they are too many. Then addresses take turns,
    so that the posts of one are not appended before all that another has sent at once.
    """

    def __init__(self) -> None:
        self._count = 0
        self._arrived: list[PendingEntry] = []
        self._waiting: FairQueue[PendingEntry] = FairQueue()
        """Entries that did not fit into the last batch, by address."""

    def __len__(self) -> int:
        return self._count

    def append(self, pending: PendingEntry) -> None:
        """Add an entry."""
        self._arrived.append(pending)
        self._count += 1

    def take_batch(self) -> list[PendingEntry]:
        """Remove and return the entries to append next."""
        arrived, self._arrived = self._arrived, []
        waiting = self._waiting
        if not waiting and len(arrived) <= BATCH_ENTRIES and _fits(arrived):
            self._count = 0
            return arrived
        for pending in arrived:
            peer = pending.peer
            waiting.put("" if peer is None else peer.rate_limit_key or peer, pending)
        batch: list[PendingEntry] = []
        chars = 0
        while waiting and len(batch) < BATCH_ENTRIES and chars < BATCH_CHARS:
            batch.append(pending := waiting.pop())
            chars += len(pending.entry.text)
        self._count -= len(batch)
        return batch


def _fits(arrived: list[PendingEntry]) -> bool:
    return sum(len(pending.entry.text) for pending in arrived) <= BATCH_CHARS
