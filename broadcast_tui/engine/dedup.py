"""Deduplication of resent posts and notes."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import NamedTuple

from broadcast_tui.core.names import GUEST, name_key
from broadcast_tui.core.notes import NewEntry, NewNote
from broadcast_tui.core.post import NewPost

DEDUP_S = 600.0
DEDUP_COUNT = 200_000
"""Maximum number of nonces in all rooms, about 45 MB. Above it, the oldest are dropped early.

Enough for the posts that one address can send in `DEDUP_S` with the default limits: 10 per second on each of
32 connections.
"""
SWEEP_EVERY_S = 5.0
"""Interval at which engines drop expired nonces, also when nobody posts."""
SENDERS_MAX = 4_096
"""Maximum number of senders whose skeletons are cached."""
ENTRY_BYTES = 225
"""Memory of an entry, measured on CPython 3.11."""
_DIGEST_BYTES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_entry = Struct("<dqq")  # an object with three numbers would take twice as much memory


class SeenPost(NamedTuple):
    """The seq and timestamp of an earlier copy of a post."""

    seq: int
    at: datetime


def dedup_key(entry: NewEntry) -> bytes:
    """The key of an entry: the same if it is resent, of constant length. Empty without a nonce.

    It includes the skeleton of the sender's name, which has one owner at a time. Otherwise, anyone with a
    copied client id could use up the nonces of its owner.
    """
    if isinstance(entry, NewPost):
        sender = entry.sender
    elif isinstance(entry, NewNote):
        sender = entry.by
    else:
        return b""
    client_id, nonce = entry.client_id, entry.nonce
    if not (client_id and nonce):
        return b""
    # The lengths separate the fields, since they may contain any character.
    author = _author_key(sender)
    text = f"{entry.room}\0{len(author)}\0{len(client_id)}\0{author}{client_id}{nonce}"
    return blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


@lru_cache(maxsize=SENDERS_MAX)
def _author_key(sender: str) -> str:
    """The skeleton of a sender's name; empty for guests, whose number differs on each connection."""
    return "" if sender.startswith(GUEST) else name_key(sender)


class DedupCache:
    """The posts of all rooms by their keys, for `DEDUP_S` seconds, at most `DEDUP_COUNT`.

    `now` is monotonic seconds. Not thread-safe.
    """

    __slots__ = ("_by_key", "_order", "evictions")

    def __init__(self) -> None:
        self.evictions = 0
        """Nonces dropped before `DEDUP_S`, because there were too many."""
        self._by_key: dict[bytes, bytes] = {}
        self._order: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def size_bytes(self) -> int:
        """Memory in use, estimated."""
        return len(self._by_key) * ENTRY_BYTES

    def find(self, key: bytes, now: float) -> SeenPost | None:
        """The earlier copy of a post; None if it is new or its key is empty."""
        self.sweep(now)
        packed = self._by_key.get(key)
        if packed is None:
            return None
        _, seq, at_us = _entry.unpack(packed)
        return SeenPost(seq, _EPOCH + timedelta(microseconds=at_us))

    def add(self, key: bytes, seq: int, at: datetime, now: float) -> None:
        """Store a post in place of an earlier one with this key; does nothing if the key is empty."""
        if not key:
            return
        if key not in self._by_key:
            self._order.append(key)
        self._by_key[key] = _entry.pack(now, seq, (at - _EPOCH) // _MICROSECOND)
        if len(self._by_key) > DEDUP_COUNT:
            self.evictions += 1
            del self._by_key[self._order.popleft()]

    def sweep(self, now: float) -> None:
        """Drop the expired posts. Amortized O(1) per added post."""
        order, by_key = self._order, self._by_key
        while order:
            seen_at, _, _ = _entry.unpack(by_key[order[0]])
            if now - seen_at <= DEDUP_S:
                return
            del by_key[order.popleft()]
