"""Statistics of an engine whose logs are in another process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(slots=True)
class StoreStats:
    """Counters since the start, and the current state, updated by the engine."""

    is_up: bool = True
    """Whether the last request succeeded."""
    retries: int = 0
    """Batches that were sent again."""
    repairs: int = 0
    """Holes in what other nodes announced, filled by reading the log."""
    forks: int = 0
    """Changes of the epoch of a room."""
    healed: int = 0
    """Entries that were appended again after Redis had lost them."""
    waiting: int = 0
    """Current number of entries that wait until another node has appended their post again."""
    expired: int = 0
    """Entries that this node deleted because of their age."""
    lost: int = 0
    """Entries that were acknowledged and are gone."""


@runtime_checkable
class HasStoreStats(Protocol):
    """An engine with these statistics."""

    @property
    def store_stats(self) -> StoreStats:
        """The current statistics."""
        ...
