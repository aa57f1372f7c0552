"""The contract of an engine: a log a room, appended in batches, read by range, followed by its tail.

Every engine passes tests/engine/test_contract.py. What must hold:
- `append` is one atomic step: all new_posts of the batch are in the log when it returns, in the order
  given, each with the next seq of its room; or none is and `EngineError` is raised.
- A new_post whose (client_id, nonce) its room has seen in the last `nonces.DEDUP_S` seconds is not
  appended again: the result names the first position with `dup` set. Drafts without both are always new.
- `tail` yields each post appended after `start`, once, in order within its room, soon after append.
- `first_seq`, `last_seq` and `epoch` answer at once and are never behind a finished `append`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from broadcast_tui.core.post import AppendResult, NewPost, Post


class Engine(Protocol):
    @property
    def epoch(self) -> str:
        """Name of this log's life; changes when positions of before mean nothing any more."""
        ...

    def first_seq(self, room: str) -> int:
        """Seq of the oldest post kept; `last_seq + 1` when none is."""
        ...

    def last_seq(self, room: str) -> int:
        """Seq of the newest post; 0 in a room that never had one."""
        ...

    def topic(self, room: str) -> str:
        """What the room is about; empty while nobody said."""
        ...

    def room_names(self) -> list[str]:
        """Rooms that have posts or a topic, sorted."""
        ...

    async def set_topic(self, room: str, topic: str) -> None:
        """Keep what a room is about; empty for nothing. Raises EngineError: nothing was changed."""
        ...

    async def start(self) -> None:
        """Open the log. Raises EngineError with what to do if it cannot be had."""
        ...

    async def close(self) -> None:
        """Put everything appended in safety and end `tail`."""
        ...

    async def append(self, new_posts: Sequence[NewPost]) -> list[AppendResult]:
        """Append a batch; results in the order of `new_posts`. Raises EngineError: nothing was appended."""
        ...

    async def read(
        self, room: str, *, after: int = 0, before: int | None = None, limit: int, from_end: bool = False
    ) -> list[Post]:
        """Posts kept with `after` < seq < `before`, ascending, at most `limit`.

        With `from_end` the newest of them, else the oldest. Empty when there are none.
        """
        ...

    async def search(self, room: str, query: str, *, before: int | None = None, limit: int) -> list[Post]:
        """The newest `limit` posts with seq < `before` that have all words of `query`, ascending.

        Words are compared without case and accents, and may be the beginning of longer ones.
        """
        ...

    def tail(self) -> AsyncIterator[list[Post]]:
        """Batches of new posts, none empty; ends after `close`. For one reader."""
        ...
