"""What an engine remembers to recognise a post sent again."""

from __future__ import annotations

from collections import OrderedDict

from broadcast_tui.core.post import AppendResult, NewPost

DEDUP_S = 600.0
DEDUP_COUNT = 100_000
"""Some 50 MB in a room with as many posts in that time. Fewer would let a client that was cut for a few
seconds post twice where thousands are posted a second."""


class DedupCache:
    """The (client_id, nonce) of one room's posts, for `DEDUP_S` seconds and at most `DEDUP_COUNT` of them."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], tuple[float, AppendResult]] = OrderedDict()

    def find(self, new_post: NewPost, now: float) -> AppendResult | None:
        """Where the new_post landed before, marked as a duplicate; None if it is new or has no nonce."""
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
        """Remember where a post landed; does nothing for one without a nonce."""
        if client_id and nonce:
            self._seen[client_id, nonce] = now, appended
