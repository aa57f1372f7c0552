"""The simplest model of a log: lists, to compare with the hub and engines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.hub.history import BackfillRead, Read, SearchRead
from broadcast_tui.core.names import GUEST, name_key
from broadcast_tui.core.notes import Entry, NewEntry, NewNote, NewSummary, Note, fold, in_epoch, is_coalesced
from broadcast_tui.core.post import AppendResult, Fork, NewPost, Position, Post
from broadcast_tui.core.post_state import NO_STATE, PostState
from broadcast_tui.engine.base import OpenAsk, PendingSummary
from tests.support.entries import posts_of


class ModelLog:
    """Every entry of every room, stored forever unless `trim` or `fork` is called."""

    def __init__(self, epoch: str = "e1") -> None:
        self.epoch = epoch
        self.entries: dict[str, list[Entry]] = {}
        """Posts as they are now. Notes have no post here."""
        self.trimmed: dict[str, int] = {}
        self.topics: dict[str, str] = {}
        self.nonces: dict[tuple[str, Position], str] = {}
        """By room and position: engines store them and do not give them out."""
        self._seen: dict[tuple[str, str, str, str], AppendResult] = {}
        self._epochs: dict[str, str] = {}
        """Epochs of the rooms that have forked."""
        self._forks: dict[str, list[Fork]] = {}
        self._versions: dict[tuple[str, int], list[tuple[int, Post]]] = {}
        """Each post as it was, with the last seq of its room at that time."""

    @property
    def posts(self) -> dict[str, list[Post]]:
        """The posts of each room, without the notes."""
        return {room: posts_of(entries) for room, entries in self.entries.items()}

    def is_open(self, room: str) -> bool:
        return True

    def epoch_of(self, room: str) -> str:
        return self._epochs.get(room, self.epoch)

    def fork_of(self, room: str, epoch: str) -> int | None:
        forks = self._forks.get(room, [])
        former = [fork.former for fork in forks]
        return min(fork.seq for fork in forks[former.index(epoch) :]) if epoch in former else None

    def fork(self, room: str, seq: int, epoch: str) -> Fork:
        """Lose the entries of a room above `seq`, and what they had changed."""
        fork = Fork(room, self.epoch_of(room), epoch, seq)
        self._forks.setdefault(room, []).append(fork)
        self._epochs[room] = epoch
        kept = self.entries.get(room, [])[:seq]
        for number, entry in enumerate(kept):
            if isinstance(entry, Post):
                versions = self._versions[room, number + 1]
                while versions[-1][0] > seq:
                    versions.pop()
                entry = versions[-1][1]
            kept[number] = in_epoch(entry, epoch)
        self.entries[room] = kept
        self.trimmed[room] = min(self.trimmed.get(room, 0), seq)
        self._seen = {
            key: msgspec.structs.replace(result, position=Position(epoch, result.position.seq))
            if key[0] == room
            else result
            for key, result in self._seen.items()
            if key[0] != room or result.position.seq <= seq
        }
        return fork

    def _store(self, post: Post) -> None:
        """Store a version of a post."""
        room, seq = post.room, post.position.seq
        self.entries[room][seq - 1] = post
        self._versions.setdefault((room, seq), []).append((self.last_seq(room), post))

    def first_seq(self, room: str) -> int:
        return self.trimmed.get(room, 0) + 1

    def last_seq(self, room: str) -> int:
        return len(self.entries.get(room, []))

    def pins(self, room: str) -> list[int]:
        return [post.position.seq for post in self._stored_posts(room) if post.state.pinned is not None]

    def open_asks(self, room: str = "") -> list[OpenAsk]:
        return [
            OpenAsk(name, post.position.seq, datetime.fromisoformat(post.state.ask.until))
            for name in ([room] if room else self.entries)
            for post in self._stored_posts(name)
            if post.state.ask is not None and not post.state.closed
        ]

    def pending_summaries(self) -> list[PendingSummary]:
        return [
            PendingSummary(room, post.position.seq, kind)
            for room in self.entries
            for post in self._stored_posts(room)
            for kind in post.state.pending
        ]

    def topic(self, room: str) -> str:
        return self.topics.get(room, "")

    def room_names(self) -> list[str]:
        with_posts = {room for room in self.entries if self.first_seq(room) <= self.last_seq(room)}
        return sorted(with_posts | {room for room, topic in self.topics.items() if topic})

    def trim(self, room: str, seq: int) -> None:
        """Delete the entries up to `seq`."""
        self.trimmed[room] = min(seq, self.last_seq(room))

    def append(self, new_entries: Sequence[NewEntry]) -> tuple[list[AppendResult], list[Entry]]:
        """Results in the order of `new_entries`, and the entries that are new."""
        new: list[Entry] = []
        return [self._append(entry, new) for entry in new_entries], new

    def _append(self, entry: NewEntry, new: list[Entry]) -> AppendResult:
        key = self._dedup_key(entry)
        if key is not None and (first := self._seen.get(key)) is not None:
            return AppendResult(first.position, first.at_text, dup=True)
        position = Position(self.epoch_of(entry.room), self.last_seq(entry.room) + 1)
        if isinstance(entry, NewPost):
            self._add_post(entry, position, new)
            result = AppendResult(position, timestamp(entry.at), dup=False)
        else:
            result = self._change(entry, position, new)
        if result.position == position and not isinstance(entry, NewSummary):
            self.nonces[entry.room, position] = entry.nonce
        if key is not None and result.error is None:
            self._seen[key] = result
        return result

    def _dedup_key(self, entry: NewEntry) -> tuple[str, str, str, str] | None:
        if isinstance(entry, NewSummary) or not entry.client_id or not entry.nonce:
            return None
        sender = entry.sender if isinstance(entry, NewPost) else entry.by
        return entry.room, "" if sender.startswith(GUEST) else name_key(sender), entry.client_id, entry.nonce

    def _add_post(self, entry: NewPost, position: Position, new: list[Entry]) -> None:
        parent = self.find(entry.room, entry.re)
        re = entry.re if parent is not None else 0
        root = (parent.root or re) if parent is not None else 0
        state = PostState(ask=entry.ask) if entry.ask is not None else NO_STATE
        post = Post(
            entry.room, position, entry.sender, entry.text, entry.at,
            re=re, root=root, author=entry.author, state=state,
        )  # fmt: skip
        self.entries.setdefault(entry.room, []).append(post)
        self._store(post)
        new.append(post)

    def _change(self, change: NewNote | NewSummary, position: Position, new: list[Entry]) -> AppendResult:
        at_text, target = timestamp(change.at), self.find(change.room, change.re)
        try:
            if target is None:
                raise RequestError(ErrorCode.NO_SUCH_POST, "This message is no longer stored.")
            post = fold(target, change, position.seq, len(self.pins(change.room)))
        except RequestError as error:
            return AppendResult(Position(position.epoch, 0), at_text, dup=False, error=error)
        if post is target:
            return AppendResult(target.position, at_text, dup=True)
        if is_coalesced(change):
            self._store(post)
            return AppendResult(target.position, at_text, dup=False, post=post)
        by = change.by if isinstance(change, NewNote) else ""
        note = Note(change.room, position, change.kind, change.re, by, change.at)
        self.entries[change.room].append(note)
        self._store(post)
        new.append(msgspec.structs.replace(note, post=post))
        return AppendResult(position, at_text, dup=False)

    def find(self, room: str, seq: int) -> Post | None:
        """A stored post."""
        if not self.first_seq(room) <= seq <= self.last_seq(room):
            return None
        entry = self.entries[room][seq - 1]
        return entry if isinstance(entry, Post) else None

    def _stored_posts(self, room: str) -> list[Post]:
        return posts_of(self.entries.get(room, [])[self.trimmed.get(room, 0) :])

    def read(self, read: Read) -> list[Entry]:
        """The expected answer of the engine."""
        if isinstance(read, SearchRead):
            before = read.before or self.last_seq(read.room) + 1
            hits = [post for post in self._thread(read.room, read.root) if read.query in post.text]
            return list[Entry]([post for post in hits if post.position.seq < before][-read.limit :])
        after = 0 if isinstance(read, BackfillRead) else read.after
        before = read.before if read.before is not None else self.last_seq(read.room) + 1
        found: Sequence[Entry]
        if isinstance(read, BackfillRead) or not (read.root or read.pinned):
            found = self.entries.get(read.room, [])[self.trimmed.get(read.room, 0) :]
        elif read.pinned:
            found = [post for post in self._stored_posts(read.room) if post.state.pinned is not None]
        else:
            found = self._thread(read.room, read.root)
        entries = [
            msgspec.structs.replace(entry, post=self.find(read.room, entry.re))
            if isinstance(entry, Note)
            else entry
            for entry in found
            if after < entry.position.seq < before
        ]
        from_end = isinstance(read, BackfillRead) or read.from_end
        return entries[-read.limit :] if from_end else entries[: read.limit]

    def _thread(self, room: str, root: int) -> list[Post]:
        posts = self._stored_posts(room)
        return [post for post in posts if root in (0, post.root, post.position.seq)]
