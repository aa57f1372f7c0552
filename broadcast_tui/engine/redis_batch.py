"""Batches of entries for one partition of the log in Redis: which changes they make, and their results.

What a change does to a post is decided here by `apply_entry`, from what was read before. The script appends
the batch only if that is still true. Until then the k-th new entry of a room has the seq `-k`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.notes import Entry, NewEntry, NewNote, Note
from broadcast_tui.core.post import AppendResult, NewPost, Position, Post
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.engine.applying import apply_entry
from broadcast_tui.engine.dedup import dedup_key
from broadcast_tui.engine.note_index import is_open_ask
from broadcast_tui.engine.redis_room import NewEntries
from broadcast_tui.engine.redis_rows import (
    Head,
    datetime_of,
    entry_of,
    microseconds,
    note_row,
    parse_forks,
    plain_row,
    post_row,
)

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(strict=False).decode


def nonce_key(entry: NewEntry) -> str:
    """The key of an entry's nonce in Redis; empty without one."""
    return dedup_key(entry).hex()


def needs_reading(entry: NewEntry) -> bool:
    """Whether the effect of an entry depends on posts that are stored."""
    return bool(entry.re) or not isinstance(entry, NewPost)


def rooms_to_read(entries: Sequence[NewEntry]) -> set[str]:
    """The rooms of entries whose effect depends on posts that are stored."""
    return {entry.room for entry in filter(needs_reading, entries)}


# -- what was read


class StoredPost(NamedTuple):
    """A post in Redis, and the version of its state."""

    version: int
    post: Post


@dataclass(frozen=True, slots=True)
class Stored:
    """What was read of a room."""

    head: Head
    pin_count: int = 0
    posts: dict[int, StoredPost] = field(default_factory=dict)
    """By seq; only those that are stored, and no notes."""
    seen: dict[str, str] = field(default_factory=dict)
    """`seq:at` of earlier copies by the key of their nonce."""


def pack_request(entries: Sequence[NewEntry]) -> bytes:
    """The rooms, seqs and nonces to read for entries, for the script."""
    rooms: dict[str, tuple[dict[int, None], dict[str, None]]] = {}
    for entry in filter(needs_reading, entries):
        seqs, nonces = rooms.setdefault(entry.room, ({}, {}))
        if entry.re > 0:
            seqs[entry.re] = None
        if key := nonce_key(entry):
            nonces[key] = None
    return _pack([(room, list(seqs), list(nonces)) for room, (seqs, nonces) in rooms.items()])


def pack_copies(rooms: Mapping[str, Iterable[str]]) -> bytes:
    """The same, for the heads of rooms, and the nonces to look up in them."""
    return _pack([(room, (), list(nonces)) for room, nonces in rooms.items()])


def unpack_stored(request: bytes, reply: bytes) -> dict[str, Stored]:
    """What the script has read, by room."""
    stored = {}
    for (room, seqs, nonces), found in zip(_unpack(request), _unpack(reply), strict=True):
        epoch, last, first, forks, pin_count, rows, seen = found
        posts = {}
        for seq, (version, row) in zip(seqs, rows, strict=True):
            post = entry_of(room, Position(epoch, seq), row) if row else None
            if isinstance(post, Post):
                posts[seq] = StoredPost(version, post)
        copies = {key: copy for key, copy in zip(nonces, seen, strict=True) if copy}
        stored[room] = Stored(Head(epoch, last, first, parse_forks(forks)), pin_count, posts, copies)
    return stored


# -- the batch


@dataclass(slots=True)
class _Target:
    """A stored post, before the batch and with its changes so far."""

    version: int
    before: Post
    post: Post

    @property
    def is_changed(self) -> bool:
        return self.post is not self.before


class _Room:
    """The part of a batch in one room."""

    def __init__(self, name: str, told: int, life: str, stored: Stored | None, known_epoch: str) -> None:
        self.name = name
        self.told = told
        self.stored = stored or Stored(Head("", 0, 1, {}))
        self.epoch = self.stored.head.epoch or life
        self.rows: list[str] = []
        """For the script: nonce, row and the row of a note's post, of each entry."""
        self.entries: list[NewPost | Post | Note] = []
        self.nonces: list[str] = []
        """Key and value of changes without an entry, and of those that change nothing."""
        self.targets: dict[int, _Target] = {}
        self.pin_delta = 0
        self.has_pins = False
        self.has_changes = stored is not None
        head = self.stored.head
        self._seq_max: float = float("inf")
        """Seq up to which the posts are those that the entries are about."""
        if known_epoch and known_epoch != self.epoch:
            self._seq_max = head.forks.get(known_epoch, 0)

    @property
    def is_changed(self) -> bool:
        return bool(self.entries or self.nonces) or any(target.is_changed for target in self.targets.values())

    def find_post(self, seq: int) -> Post | None:
        if seq > self._seq_max:
            return None
        if (target := self.targets.get(seq)) is None:
            stored = self.stored.posts.get(seq)
            if stored is None:
                return None
            target = self.targets[seq] = _Target(stored.version, stored.post, stored.post)
        return target.post

    def is_later(self, seq: int) -> bool:
        """Whether a seq may be that of an entry of this batch."""
        return bool(self.entries) and self.stored.head.last < seq <= self._seq_max

    def add(self, nonce: str, entry: NewPost | Post | Note, row: str, post: str = "") -> None:
        self.rows += (nonce, row, post)
        self.entries.append(entry)

    def change(self, post: Post) -> None:
        target = self.targets[post.position.seq]
        self.pin_delta += (post.state.pinned is not None) - (target.post.state.pinned is not None)
        target.post = post

    def packed(self) -> tuple[Any, ...]:
        """The room as the script expects it."""
        part = self.name, self.told, self.rows
        if not self.has_changes:
            return part
        states = [_state(seq, target) for seq, target in self.targets.items() if target.is_changed]
        states += [
            (-k, 0, "", post.state.ask.until, "", False, False)
            for k, post in enumerate(self.entries, 1)
            if isinstance(post, Post) and post.state.ask is not None
        ]
        pins = self.stored.pin_count if self.has_pins else -1
        return (*part, (self.epoch, pins, states, self.nonces))


def _state(seq: int, target: _Target) -> tuple[Any, ...]:
    post = target.post
    state = post.state
    closes = state.ask.until if state.ask is not None and is_open_ask(state) else ""
    has_text_changed = post.text != target.before.text or state.deleted is not None
    pending = " ".join(state.pending)
    is_pinned = state.pinned is not None
    return seq, target.version, post_row(post), closes, pending, is_pinned, has_text_changed


class Appended(NamedTuple):
    """An entry that was appended or a change that was made, perhaps by an earlier copy, and its result."""

    at: float
    """Monotonic time in seconds."""
    entry: NewEntry
    result: AppendResult
    target: Post | None
    """The post that it is about, as it was read."""

    @property
    def is_entry(self) -> bool:
        """Whether it is an entry of the log at the position, or a change of the post there."""
        return self.result.post is None


class Batch:
    """The first entries of `entries` that one script can append.

    An entry about another one of the same batch has to wait until that has its seq.

    Args:
        indexes: The entries to append, by their indexes in `entries`.
        stored: What was read of the rooms whose entries need it.
        told: Seq up to which the tail has the entries of a room.
        known_epoch: The epoch of the room that the entries are about; may be empty.
        is_healing: Whether the entries were appended before, so that later edits may be known.
    """

    def __init__(
        self,
        entries: Sequence[NewEntry],
        indexes: Sequence[int],
        stored: dict[str, Stored],
        *,
        life: str,
        told: Callable[[str], int],
        known_epoch: Callable[[str], str],
        is_healing: bool = False,
    ) -> None:
        self.results: dict[int, AppendResult] = {}
        """Results that do not depend on the script, by index."""
        self.rest: Sequence[int] = ()
        """Indexes of the entries for the next batch."""
        self._source = entries
        self._life = life
        self._stored = stored
        self._told = told
        self._known_epoch = known_epoch
        self._is_healing = is_healing
        self._rooms: dict[str, _Room] = {}
        self._by_key: dict[str, int] = {}
        self._copies: dict[int, int] = {}
        """Index of a resent entry -> index of the entry in this batch."""
        self._appended: list[tuple[int, str, int]] = []
        """Index, room and place of the entries that the script appends."""
        self._changes: list[tuple[int, str, AppendResult]] = []
        """Index, room and result of changes without an entry."""
        self._resent: list[tuple[int, str]] = []
        """Index and `seq:at` of entries and changes of which an earlier copy was read."""
        self._nonce = ""
        for place, index in enumerate(indexes):
            if not self._add(index, entries[index]):
                self.rest = indexes[place:]
                break

    def _add(self, index: int, entry: NewEntry) -> bool:
        """Add an entry; False if it has to wait."""
        if (key := nonce_key(entry)) and (copy := self._by_key.get(key)) is not None:
            self._copies[index] = copy
            return True
        room = self._rooms.get(entry.room)
        if room is None:
            room = self._rooms[entry.room] = _Room(
                entry.room, self._told(entry.room), self._life, self._stored.get(entry.room),
                self._known_epoch(entry.room),
            )  # fmt: skip
        if isinstance(entry, NewPost) and not entry.re and entry.ask is None:  # most entries
            room.add(key, entry, plain_row(entry.at, entry.sender, entry.text, entry.author))
            self._appended.append((index, entry.room, len(room.entries)))
        elif seen := room.stored.seen.get(key):
            self.results[index] = _copy_result(room.epoch, seen)
            self._resent.append((index, seen))
            return True
        elif room.is_later(entry.re):
            return False
        elif not self._apply(index, entry, room, key):
            return True
        if key:
            self._by_key[key] = index
        return True

    def _apply(self, index: int, entry: NewEntry, room: _Room, key: str) -> bool:
        """Apply a change, or append a post that is not plain; False if it is rejected."""
        room.has_changes = True
        self._nonce = key
        if self._is_healing and isinstance(entry, NewNote) and _is_outdated(entry, room.find_post(entry.re)):
            self.results[index] = AppendResult(Position(room.epoch, entry.re), timestamp(entry.at), dup=True)
            return False
        result = apply_entry(entry, self)
        if result.error is not None:
            self.results[index] = result
            return False
        if not result.is_appended and key:
            room.nonces += (key, f"{result.position.seq}:{microseconds(entry.at)}")
        if result.dup:
            self.results[index] = result
        elif result.post is not None:
            self._changes.append((index, entry.room, result))
        else:
            self._appended.append((index, entry.room, len(room.entries)))
        return True

    def _target(self, entry: NewEntry) -> Post | None:
        stored = self._rooms[entry.room].stored.posts.get(entry.re)
        return stored.post if stored is not None else None

    # -- what `apply_entry` needs

    def next_position(self, room: str) -> Position:
        found = self._rooms[room]
        return Position(found.epoch, -len(found.entries) - 1)

    def find_post(self, room: str, seq: int) -> Post | None:
        return self._rooms[room].find_post(seq)

    def pin_count(self, room: str) -> int:
        found = self._rooms[room]
        found.has_pins = True
        return found.stored.pin_count + found.pin_delta

    def add(self, entry: Entry, source: NewEntry) -> None:
        room = self._rooms[entry.room]
        if isinstance(entry, Post):
            room.add(self._nonce, entry, post_row(entry))
        else:
            assert entry.post is not None
            room.add(self._nonce, entry, note_row(entry), post_row(entry.post))

    def change(self, post: Post) -> None:
        self._rooms[post.room].change(post)

    # -- the script

    @property
    def rooms(self) -> list[tuple[Any, ...]]:
        """The rooms that the script changes."""
        return [room.packed() for room in self._rooms.values() if room.is_changed]

    def finish(self, reply: Sequence[Any], now: float) -> tuple[dict[str, NewEntries], list[Appended]]:
        """The new entries of each room, and what is acknowledged; completes `results`.

        Args:
            reply: The result of the script.
            now: Monotonic time in seconds.
        """
        news: dict[str, NewEntries] = {}
        placed: dict[str, tuple[str, list[Any], list[Entry | None]]] = {}
        """Epoch, seqs and entries of each room; None for entries that were appended before."""
        changed = [room for room in self._rooms.values() if room.is_changed]
        for room, (epoch, before, first, forks, seqs) in zip(changed, reply, strict=True):
            entries = [
                _placed(entry, epoch, seq, seqs) if isinstance(seq, int) else None
                for entry, seq in zip(room.entries, seqs, strict=True)
            ]
            placed[room.name] = epoch, seqs, entries
            new = [entry for entry in entries if entry is not None]
            news[room.name] = NewEntries(Head(epoch, before, first, parse_forks(forks)), new)
        appended = []
        results, source = self.results, self._source
        for index, name, place in self._appended:
            epoch, seqs, entries = placed[name]
            if (new_entry := entries[place - 1]) is None:
                results[index] = _copy_result(epoch, seqs[place - 1])
                appended += self._known(index, seqs[place - 1], now)
                continue
            given = source[index]
            result = results[index] = AppendResult(new_entry.position, timestamp(given.at), dup=False)
            appended.append(Appended(now, given, result, self._target(given) if given.re else None))
        for index, name, result in self._changes:
            (epoch, seqs, _), given = placed[name], source[index]
            assert result.post is not None
            results[index] = msgspec.structs.replace(
                result,
                position=Position(epoch, result.position.seq),
                post=_with_seq(result.post, epoch, seqs),
            )
            appended.append(Appended(now, given, results[index], self._target(given)))
        for index, seen in self._resent:
            appended += self._known(index, seen, now)
        for index, copy in self._copies.items():
            first = results[copy]
            results[index] = AppendResult(first.position, first.at_text, dup=True)
        return news, appended

    def _known(self, index: int, seen: str, now: float) -> list[Appended]:
        """An entry or a change with an earlier copy at `seq:at`, as that one was appended.

        This node acknowledges it, as the one that has appended it may be gone. Empty if its post is unknown.
        """
        entry, result = self._source[index], self.results[index]
        target = None
        if entry.re:
            target = self._rooms[entry.room].find_post(entry.re)
            if target is None:
                return []
            if result.position.seq == entry.re:  # a change without an entry
                result = msgspec.structs.replace(result, post=target)
        at = datetime_of(int(seen.partition(":")[2]))
        return [Appended(now, msgspec.structs.replace(entry, at=at), result, target)]


def _is_outdated(edit: NewNote, post: Post | None) -> bool:
    """Whether a note is an edit before the last one of its post."""
    return edit.kind is NoteKind.EDIT and post is not None and post.state.edited > timestamp(edit.at)


def _copy_result(epoch: str, seen: str) -> AppendResult:
    """The result of an entry with an earlier copy at `seq:at`."""
    seq, _, at_us = seen.partition(":")
    return AppendResult(Position(epoch, int(seq)), timestamp(datetime_of(int(at_us))), dup=True)


def _placed(entry: NewPost | Post | Note, epoch: str, seq: int, seqs: Sequence[Any]) -> Entry:
    """An entry at its position."""
    position = Position(epoch, seq)
    if isinstance(entry, NewPost):
        return Post(entry.room, position, entry.sender, entry.text, entry.at, author=entry.author)
    if isinstance(entry, Note):
        assert entry.post is not None
        return msgspec.structs.replace(entry, position=position, post=_with_seq(entry.post, epoch, seqs))
    return msgspec.structs.replace(entry, position=position)


def _with_seq(post: Post, epoch: str, seqs: Sequence[Any]) -> Post:
    """A post with the seq of the last note that is part of it."""
    state, folded = post.state, post.state.folded
    if folded < 0:
        state = msgspec.structs.replace(state, folded=seqs[-folded - 1])
    return msgspec.structs.replace(post, position=Position(epoch, post.position.seq), state=state)


def pack_rooms(rooms: Sequence[tuple[Any, ...]]) -> bytes:
    """The rooms of a batch for the script."""
    return _pack(rooms)


def unpack_result(result: bytes) -> Sequence[Any]:
    """The result of the script that appends."""
    found: Sequence[Any] = _unpack(result)
    return found
