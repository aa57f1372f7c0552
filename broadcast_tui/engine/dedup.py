"""Deduplication of resent posts."""

from __future__ import annotations

from collections import OrderedDict

from broadcast_tui.core.post import AppendResult, NewPost

DEDUP_S = 600.0
DEDUP_COUNT = 100_000
"""Maximum number of nonces per room, about 50 MB. With fewer, a client that was offline for some seconds
could post twice in a room with thousands of posts per second."""


class DedupCache:
    """Positions of a room's posts by (client_id, nonce), for `DEDUP_S` seconds, at most `DEDUP_COUNT`."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], tuple[float, AppendResult]] = OrderedDict()

    def find(self, new_post: NewPost, now: float) -> AppendResult | None:
        """The result of an earlier append of the same post, with `dup` set.

        None if it is new or has no nonce.
        """
        if not (new_post.client_id and new_post.nonce):
            return None
        while self._seen:
            seen_at, _ = next(iter(self._seen.values()))
            if len(self._seen) <= DEDUP_COUNT and now - seen_at <= DEDUP_S:
                break
            self._seen.popitem(last=False)
        entry = self._seen.get((new_post.client_id, new_post.nonce))
        if entry is None:
            return None
        return AppendResult(entry[1].position, entry[1].at_text, dup=True)

    def add(self, client_id: str, nonce: str, appended: AppendResult, now: float) -> None:
        """Store the result of an append; does nothing for a post without a nonce."""
        if client_id and nonce:
            self._seen[client_id, nonce] = now, appended
