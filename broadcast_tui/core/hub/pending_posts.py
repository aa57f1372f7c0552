"""The posts that wait for the engine. They are appended in batches, to which all addresses contribute."""

from __future__ import annotations

import msgspec

from broadcast_tui.core.fair_queue import FairQueue
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.post import NewPost

BATCH_POSTS = 1_000
"""Maximum number of posts in a batch if there are more than fit."""
BATCH_CHARS = 131_072
"""Size of the texts in a batch if there are more than fit. Indexing them takes some 30 ms."""


class PendingPost(msgspec.Struct, frozen=True):
    """A post to append to the log, and the connection that waits for its acknowledgement."""

    peer: Peer
    new_post: NewPost


class PendingPosts:
    """Posts to append; those of a connection stay in order.

    All of them form the next batch, in order of arrival, unless they are too many. Then addresses take turns,
    so that the posts of one are not appended before all that another has sent at once.
    """

    def __init__(self) -> None:
        self._arrived: list[PendingPost] = []
        self._waiting: FairQueue[PendingPost] = FairQueue()
        """Posts that did not fit into the last batch, by address."""

    def __len__(self) -> int:
        return len(self._arrived) + len(self._waiting)

    def append(self, post: PendingPost) -> None:
        """Add a post."""
        self._arrived.append(post)

    def take_batch(self) -> list[PendingPost]:
        """Remove and return the posts to append next."""
        arrived, self._arrived = self._arrived, []
        waiting = self._waiting
        if not waiting and len(arrived) <= BATCH_POSTS and _fits(arrived):
            return arrived
        for post in arrived:
            waiting.put(post.peer.rate_limit_key or post.peer, post)
        batch: list[PendingPost] = []
        chars = 0
        while waiting and len(batch) < BATCH_POSTS and chars < BATCH_CHARS:
            batch.append(post := waiting.pop())
            chars += len(post.new_post.text)
        return batch


def _fits(posts: list[PendingPost]) -> bool:
    return sum(len(post.new_post.text) for post in posts) <= BATCH_CHARS
