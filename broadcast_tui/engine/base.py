"""The engine interface: one log per room, appended in batches, read by range, and followed by its tail.

Every engine passes tests/engine/test_contract.py and test_notes_contract.py, which check:

- `append` is atomic: when it returns, all entries of the batch are in the log, in order, each with the next
  seq of its room. Otherwise it raises `EngineError`, and none is.
- A post or note with a sender, client_id and nonce that its room received in the last `dedup.DEDUP_S` seconds
  is not appended again: the result has the first position, with `dup` set. Those without a client_id and a
  nonce are always appended.
- A note is folded into the post that it is about (`core.notes.fold`) in the same atomic step, in the order of
  the batch. If `fold` rejects it, or the post is not stored, its result has the `error`, and the rest of the
  batch is appended. If it changes nothing, its result has the position of the post and `dup` set.
- Reactions and answers (`is_coalesced`) change the post without an entry of their own; their result has the
  position of the post, and `post`. A `NewSummary` appends the note that announces them; if nothing is
  pending, it appends nothing.
- The text of a deleted post, and the former text of an edited one, are not stored any more: neither in
  `search` nor in files, once what the engine does in the background has caught up.
- A reply gets the `root` of the post that it is about, or that post itself; the reply to a post that is not
  stored is an ordinary post.
- `new_entries` gets each entry appended after `start` once, in order within its room, soon after `append`.
- `first_seq`, `last_seq` and `epoch_of` return at once, and include every completed `append`.
- An engine that is shared by several nodes may append a batch in parts, each of which is atomic. The entries
  of a part that was not appended have results with a temporary error.

A cancelled `read` or `search` stops soon, or never starts if it is still queued. Appends wait for neither.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from broadcast_tui.core.lru_budget import LruBudget
from broadcast_tui.core.notes import Entry, NewEntry
from broadcast_tui.core.post import AppendResult, Post
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.engine.dedup import DedupCache
from broadcast_tui.engine.tail import Tail


class OpenAsk(NamedTuple):
    """A question that has not been closed. `until` is the UTC time at which it has to be."""

    room: str
    seq: int
    until: datetime


class PendingSummary(NamedTuple):
    """A post with reactions or answers that no note has announced."""

    room: str
    seq: int
    kind: NoteKind


class Engine(Protocol):
    """Storage of the logs of all rooms."""

    @property
    def is_shared(self) -> bool:
        """Whether the engines of other processes append to the same logs."""
        ...

    async def open_room(self, room: str, *, refresh: bool = False) -> None:
        """Load what the queries that return at once need to know of a room, and follow its log.

        Engines that are not shared have all rooms open. Raises EngineError.

        Args:
            refresh: Whether to compare a room that is open with its stored log, so that the queries know its
                epoch. Otherwise nothing is done for an open room.
        """
        ...

    def close_room(self, room: str) -> None:
        """Stop following the log of a room that nobody needs now. Returns at once."""
        ...

    def is_open(self, room: str) -> bool:
        """Whether a room is open. Queries about another one have the answers for an empty room."""
        ...

    def epoch_of(self, room: str) -> str:
        """Id of the current log of a room; it changes when earlier positions become meaningless."""
        ...

    def fork_of(self, room: str, epoch: str) -> int | None:
        """Seq up to which a former epoch of a room has the same entries as the current one.

        None if the epoch is unknown.
        """
        ...

    def first_seq(self, room: str) -> int:
        """Seq of the oldest stored entry; `last_seq + 1` if there are none."""
        ...

    def last_seq(self, room: str) -> int:
        """Seq of the newest entry; in a room without entries, the one before its next entry."""
        ...

    def pins(self, room: str) -> Sequence[int]:
        """Seqs of the pinned posts of a room, ascending. Returns at once; do not modify it."""
        ...

    def open_asks(self, room: str = "") -> Sequence[OpenAsk]:
        """The questions of a room, or of all rooms, that are not closed. Returns at once.

        The oldest are first, but a shared engine may have rooms in any order.
        """
        ...

    def pending_summaries(self) -> Sequence[PendingSummary]:
        """Reactions and answers that were pending at `start`, after a crash."""
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
    def new_entries(self) -> Tail:
        """The entries appended after `start`, for one reader; it ends after `close`.

        A shared engine adds the entries that it has appended itself, and those of others in open rooms; it
        adds a `Fork` before the first entry of another epoch.
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
        """Store everything that has been appended, and end `new_entries`."""
        ...

    async def append(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        """Append a batch.

        Results are in the order of `entries`. Raises EngineError if nothing was appended.
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
        root: int = 0,
    ) -> list[Entry]:
        """Stored entries with `after` < seq < `before`, in ascending order.

        At most `limit` of them, and at most as many as have `max_bytes` bytes of text in UTF-8, but at least
        one: the newest with `from_end`, otherwise the oldest. Posts are folded, and notes have the post that
        they are about as it is now. With `root`, only the posts of the thread that starts there, including
        the first one, and no notes. Raises EngineError.
        """
        ...

    async def posts(self, room: str, seqs: Sequence[int]) -> list[Post]:
        """The stored posts with these seqs, in ascending order. Raises EngineError."""
        ...

    async def search(
        self, room: str, query: str, *, before: int | None = None, limit: int, root: int = 0
    ) -> list[Post]:
        """The newest `limit` posts with seq < `before` that match all words of `query`, in ascending order.

        With `root`, only those of the thread that starts there.

        Words match prefixes of words, without regard to case and accents. Of more than 8 words, the longest
        count. Raises EngineError, and SearchTooCostlyError if the search exceeds `SEARCH_TIME_LIMIT_S`.
        """
        ...
