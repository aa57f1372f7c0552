"""The engine interface: one log per room, appended in batches, read by range, and followed by its tail.

Every engine passes tests/engine/test_contract.py, which checks:

- `append` is atomic: when it returns, all posts of the batch are in the log, in order, each with the next seq
  of its room. Otherwise it raises `EngineError`, and none is.
- A post with a sender, client_id and nonce that its room received in the last `dedup.DEDUP_S` seconds is not
  appended again: the result has the first position, with `dup` set. Posts without a client_id and a nonce are
  always appended.
- `tail` yields each post appended after `start` once, in order within its room, soon after `append`.
- `first_seq`, `last_seq` and `epoch` return at once, and include every completed `append`.

A cancelled `read` or `search` stops soon, or never starts if it is still queued. Appends wait for neither.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Protocol

from broadcast_tui.core.lru_budget import LruBudget
from broadcast_tui.core.post import AppendResult, NewPost, Post
from broadcast_tui.engine.dedup import DedupCache


class Engine(Protocol):
    """Storage of the logs of all rooms."""

    @property
    def epoch(self) -> str:
        """Id of the current logs; it changes when earlier positions become meaningless."""
        ...

    def first_seq(self, room: str) -> int:
        """Seq of the oldest stored post; `last_seq + 1` if there are none."""
        ...

    def last_seq(self, room: str) -> int:
        """Seq of the newest post; in a room without posts, the one before its next post."""
        ...

    def topic(self, room: str) -> str:
        """The room's topic, or an empty string."""
        ...

    def room_names(self) -> Sequence[str]:
        """Rooms that have posts or a topic, sorted. Returns at once; do not modify it."""
        ...

    def set_open_rooms(self, rooms: Collection[str]) -> None:
        """Set the rooms that people are in, a collection that follows their coming and going.

        Other rooms are forgotten some time after they have lost their posts and topic. Their seqs are not
        used again in this epoch.
        """
        ...

    @property
    def memory(self) -> LruBudget[str] | None:
        """Memory of the posts of all rooms; None if they are stored elsewhere."""
        ...

    @property
    def dedup(self) -> DedupCache:
        """Nonces of recent posts."""
        ...

    async def set_topic(self, room: str, topic: str) -> None:
        """Store the topic of a room. Raises EngineError if nothing has changed."""
        ...

    async def start(self) -> None:
        """Open the logs. Raises EngineError."""
        ...

    async def close(self) -> None:
        """Store everything that has been appended, and end `tail`."""
        ...

    async def append(self, new_posts: Sequence[NewPost]) -> list[AppendResult]:
        """Append a batch.

        Results are in the order of `new_posts`. Raises EngineError if nothing was appended.
        """
        ...

    async def read(
        self,
        room: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int,
        from_end: bool = False,
        max_bytes: int | None = None,
    ) -> list[Post]:
        """Stored posts with `after` < seq < `before`, in ascending order.

        At most `limit` of them, and at most as many as have `max_bytes` bytes of text in UTF-8, but at least
        one: the newest with `from_end`, otherwise the oldest. Raises EngineError.
        """
        ...

    async def search(self, room: str, query: str, *, before: int | None = None, limit: int) -> list[Post]:
        """The newest `limit` posts with seq < `before` that match all words of `query`, in ascending order.

        Words match prefixes of words, without regard to case and accents. Of more than 8 words, the longest
        count. Raises EngineError, and SearchTooCostlyError if the search exceeds `SEARCH_TIME_LIMIT_S`.
        """
        ...

    def tail(self) -> AsyncIterator[list[Post]]:
        """Non-empty batches of new posts, for one reader; ends after `close`."""
        ...
