"""The simplest model of a log: lists, to compare with the hub and engines."""

from __future__ import annotations

from collections.abc import Sequence

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.hub.history import BackfillRead, Read, SearchRead
from broadcast_tui.core.names import GUEST, name_key
from broadcast_tui.core.post import AppendResult, NewPost, Position, Post


class ModelLog:
    """Every post of every room, stored forever unless `trim` is called."""

    def __init__(self, epoch: str = "e1") -> None:
        self.epoch = epoch
        self.posts: dict[str, list[Post]] = {}
        self.trimmed: dict[str, int] = {}
        self.topics: dict[str, str] = {}
        self.nonces: dict[tuple[str, Position], str] = {}
        """By room and position: engines store them and do not give them out."""
        self._seen: dict[tuple[str, str, str, str], AppendResult] = {}

    def first_seq(self, room: str) -> int:
        return self.trimmed.get(room, 0) + 1

    def last_seq(self, room: str) -> int:
        return len(self.posts.get(room, []))

    def topic(self, room: str) -> str:
        return self.topics.get(room, "")

    def room_names(self) -> list[str]:
        with_posts = {room for room in self.posts if self.first_seq(room) <= self.last_seq(room)}
        return sorted(with_posts | {room for room, topic in self.topics.items() if topic})

    def trim(self, room: str, seq: int) -> None:
        """Delete the posts up to `seq`."""
        self.trimmed[room] = min(seq, self.last_seq(room))

    def append(self, new_posts: Sequence[NewPost]) -> tuple[list[AppendResult], list[Post]]:
        """Results in the order of `new_posts`, and the posts that are new."""
        results, new = [], []
        for new_post in new_posts:
            author = "" if new_post.sender.startswith(GUEST) else name_key(new_post.sender)
            key = new_post.room, author, new_post.client_id, new_post.nonce
            first = self._seen.get(key) if new_post.client_id and new_post.nonce else None
            if first is not None:
                results.append(AppendResult(first.position, first.at_text, dup=True))
                continue
            room = self.posts.setdefault(new_post.room, [])
            position = Position(self.epoch, len(room) + 1)
            post = Post(new_post.room, position, new_post.sender, new_post.text, new_post.at)
            room.append(post)
            self.nonces[new_post.room, position] = new_post.nonce
            new.append(post)
            results.append(AppendResult(position, timestamp(new_post.at), dup=False))
            self._seen[key] = results[-1]
        return results, new

    def read(self, read: Read) -> list[Post]:
        """The expected answer of the engine."""
        if isinstance(read, SearchRead):
            before = read.before or self.last_seq(read.room) + 1
            hits = [post for post in self.posts.get(read.room, []) if read.query in post.text]
            return [post for post in hits if post.position.seq < before][-read.limit :]
        after = max(0 if isinstance(read, BackfillRead) else read.after, self.trimmed.get(read.room, 0))
        before = read.before if read.before is not None else self.last_seq(read.room) + 1
        posts = self.posts.get(read.room, [])[after : max(after, before - 1)]
        from_end = isinstance(read, BackfillRead) or read.from_end
        return posts[-read.limit :] if from_end else posts[: read.limit]
