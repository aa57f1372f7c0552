"""Histories in Redis, for copying.

Rooms for direct messages of people without tokens are not copied: they end with the servers.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from broadcast_tui.core.errors import EngineError
from broadcast_tui.core.hub.directs import token_owners
from broadcast_tui.core.names import VOLATILE_SIGN, is_direct
from broadcast_tui.core.notes import NewNote
from broadcast_tui.core.post import NewPost
from broadcast_tui.core.post_state import NO_STATE, NoteKind, PostState
from broadcast_tui.engine.copying import StoredEntry, StoredRoom, by_arrival
from broadcast_tui.engine.dedup import DEDUP_S
from broadcast_tui.engine.note_index import is_open_ask
from broadcast_tui.engine.redis_batch import nonce_key
from broadcast_tui.engine.redis_reader import RedisReader
from broadcast_tui.engine.redis_rows import NOTE_ROOT, parse_forks
from broadcast_tui.engine.redis_scripts import COPY_ENTRIES, COPY_ROOM
from broadcast_tui.redis_client import (
    FAILURES,
    Client,
    check_complete,
    check_server,
    copy_key,
    engine_error,
    open_client,
)
from broadcast_tui.redis_settings import RedisSettings

NAMES_PER_PAGE = 500
KEYS_PER_PAGE = 1_000
EPOCH_BYTES = 8


_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Any]).decode
_Word = str | bytes | int


class RedisHistory:
    """The history of one prefix in a database, to copy from or to.

    Args:
        client: Client of `settings`; closed by `close`.
    """

    def __init__(self, client: Client, settings: RedisSettings) -> None:
        self._client = client
        self._settings = settings
        self._scripts = RedisReader(client, settings, lambda _: "")
        self._control = f"{{{settings.prefix}:ctl}}"
        self._tags = [f"{{{settings.prefix}{number}}}" for number in range(settings.partitions)]

    @classmethod
    async def open(cls, settings: RedisSettings) -> RedisHistory:
        """Open an existing history to copy it. Raises EngineError."""
        history = cls(open_client(settings), settings)
        try:
            await check_complete(history._client, settings)
            await history.check_unused()
            if not await history._has_rooms():
                raise EngineError(f"There is no history in {settings}.")
        except BaseException:
            await history.close()
            raise
        return history

    @classmethod
    async def create(cls, settings: RedisSettings) -> RedisHistory:
        """Open a database to copy to. Raises EngineError."""
        history = cls(open_client(settings), settings)
        try:
            await check_server(history._client, settings)
        except BaseException:
            await history.close()
            raise
        return history

    async def check_unused(self) -> None:
        with self._errors():
            seconds, microseconds = await self._client.time()
            now_ms = seconds * 1000 + microseconds // 1000
            nodes = await self._client.zcount(f"{self._control}:nodes", f"({now_ms}", "+inf")
        if nodes:
            servers = "a server. Stop it" if nodes == 1 else f"{nodes} servers. Stop them"
            raise EngineError(f"{self._settings} is in use by {servers} first.")

    async def close(self) -> None:
        with contextlib.suppress(*FAILURES):
            await self._client.aclose()

    # -- reading

    @property
    def identity(self) -> str:
        return f"{self._settings} {self._settings.prefix}"

    async def rooms(self) -> Sequence[StoredRoom]:
        with self._errors():
            return [await self._room(name) for name in await self._names()]

    async def _room(self, name: str) -> StoredRoom:
        tag = self._tag(name)
        fields = await self._client.execute_command("HMGET", f"{tag}:m:{name}", "e", "f", "s", "topic", "x")
        epoch, first, last, topic, former = (field.decode() if field else "" for field in fields)
        forks = reversed(parse_forks(former).items())
        current = ((epoch, int(last or 0)),) if epoch else ()
        return StoredRoom(name, int(first or 1), int(last or 0), topic, (*forks, *current))

    async def other_rooms(self) -> StoredRoom:
        return StoredRoom("", 1, 0, "", ())

    async def entries(self) -> AsyncIterator[Sequence[StoredEntry]]:
        with self._errors():
            names = await self._names()
        async for page in by_arrival(names, self._read):
            yield page

    async def _read(self, room: str, after: int, limit: int) -> Sequence[StoredEntry]:
        """Entries of the stream and changed posts, some of which are not in the stream any more."""
        tag, call = self._tag(room), self._client.execute_command
        with self._errors():
            log, changed = f"{tag}:l:{room}", f"{tag}:sx:{room}"
            stream = await call("XRANGE", log, f"({after}-0", "+", "COUNT", limit)
            found = await call("ZRANGEBYSCORE", changed, f"({after}", "+inf", "LIMIT", 0, limit)
            rows = {int(entry_id.partition(b"-")[0]): fields[b"p"] for entry_id, fields in stream}
            seqs = [int(seq) for seq in found]
            ends = [max(known) for known in (rows.keys(), seqs) if len(known) == limit]
            if seqs := [seq for seq in seqs if not ends or seq <= min(ends)]:
                states = await call("HMGET", f"{tag}:s:{room}", *seqs)
                rows |= {
                    seq: state.split(b":", 2)[2] for seq, state in zip(seqs, states, strict=True) if state
                }
            return [_entry(room, seq, rows[seq]) for seq in sorted(rows) if not ends or seq <= min(ends)]

    async def _names(self) -> list[str]:
        """The rooms of all partitions."""
        names: list[str] = []
        for tag in self._tags:
            after = b"-"
            while True:
                words = ("ZRANGEBYLEX", f"{tag}:rooms", after, "+", "LIMIT", 0, NAMES_PER_PAGE)
                page: list[bytes] = await self._client.execute_command(*words)
                if not page:
                    break
                after = b"(" + page[-1]
                names += [name.decode() for name in page]
        return [name for name in names if not (is_direct(name) and VOLATILE_SIGN in name)]

    async def _has_rooms(self) -> bool:
        with self._errors():
            return any([await self._client.zcard(f"{tag}:rooms") for tag in self._tags])

    # -- writing

    async def begin(self, identity: str) -> Mapping[str, int]:
        key = copy_key(self._settings)
        with self._errors():
            found = await self._client.get(key)
            marker = None if found is None else _text(found)
            if marker is None and await self._has_rooms():
                raise EngineError(f"{self._settings} has a history already. Copy to another prefix.")
            if marker not in (None, identity):
                raise EngineError(f"{self._settings} has an unfinished copy of another history.")
            await self._client.set(key, identity)  # before the check: a server that starts now stops again
            try:
                await self.check_unused()
            except EngineError:
                if marker is None:
                    await self._client.delete(key)
                raise
        if marker is None:
            await self.clear()
            return {}
        return {room.name: room.last_seq for room in await self.rooms()}

    async def clear(self) -> None:
        with self._errors():
            found = self._client.scan_iter(match=f"{{{self._settings.prefix}*", count=KEYS_PER_PAGE)
            keys = [key async for key in found if key.decode().partition(":")[0] in self._tags]
            for key in keys:
                await self._client.unlink(key)

    async def put(self, entries: Sequence[StoredEntry]) -> None:
        by_partition: dict[int, list[_Word]] = {}
        known_since_us = int((time.time() - DEDUP_S) * 1e6)
        for entry in entries:
            words = by_partition.setdefault(self._scripts.number(entry.room), [])
            words += _words(entry, known_since_us)
        for number, words in by_partition.items():
            await self._scripts.run_in(number, COPY_ENTRIES, int(DEDUP_S), *words)

    async def finish(self, rooms: Sequence[StoredRoom], others: StoredRoom) -> None:
        life = secrets.token_hex(EPOCH_BYTES)
        for name, first, last, topic, former in rooms:
            forks = "".join(f"{epoch}:{seq} " for epoch, seq in former)
            await self._scripts.run(COPY_ROOM, name, life, name, first, last, topic, forks)
            with self._errors():
                await self._register_direct(name)

    async def _register_direct(self, room: str) -> None:
        """Let the owners of a room for direct messages find it."""
        if owners := token_owners(room):
            words = [word for item in owners.items() for word in item]
            await self._client.execute_command("HSET", f"{self._control}:direct:{room}", *words)
            for owner in owners:
                await self._client.execute_command("SADD", f"{self._control}:directs:{owner}", room)

    async def complete(self) -> None:
        await self.check_unused()
        with self._errors():
            await self._client.delete(copy_key(self._settings))

    def _tag(self, room: str) -> str:
        """The beginning of the keys of a room."""
        return self._tags[self._scripts.number(room)]

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            raise engine_error(error, self._settings) from None
        except (ValueError, msgspec.MsgspecError) as error:
            raise EngineError(f"The history in {self._settings} is damaged: {error}.") from error


def _entry(room: str, seq: int, row: bytes) -> StoredEntry:
    """The entry in a row."""
    at_us, re_seq, root, sender, text, *rest = _decode(row)
    if root == NOTE_ROOT:
        return StoredEntry(room, seq, at_us, sender, "", NoteKind(text), re_seq)
    state = msgspec.convert(rest[1], PostState) if len(rest) > 1 else NO_STATE
    return StoredEntry(room, seq, at_us, sender, text, None, re_seq, root, rest[0], state)


def _words(entry: StoredEntry, known_since_us: int) -> tuple[_Word, ...]:
    """The entry as the script expects it."""
    state = entry.state
    fields: tuple[Any, ...]
    if entry.kind is not None:
        fields = entry.at_us, entry.re, NOTE_ROOT, entry.sender, entry.kind
    else:
        fields = entry.at_us, entry.re, entry.root, entry.sender, entry.text, entry.author
    nonce = _nonce_key(entry) if entry.at_us >= known_since_us else ""
    seen = f"{entry.seq}:{entry.at_us}"
    if state == NO_STATE:
        return entry.room, entry.seq, _encode(fields), entry.root, nonce, seen, "", "", ""
    closes = state.ask.until if state.ask is not None and is_open_ask(state) else ""
    flags = (state.pinned is not None) + 2 * bool(closes) + 4 * bool(state.pending)
    row = _encode((*fields, state))
    pending = " ".join(state.pending)
    return entry.room, entry.seq, row, entry.root, nonce, seen, flags, closes, pending


def _nonce_key(entry: StoredEntry) -> str:
    """The key by which a resent entry is recognized; empty without a nonce."""
    client_id, nonce = entry.client_id, entry.nonce
    if entry.kind is None:
        return nonce_key(NewPost(entry.room, entry.sender, "", _ANY_TIME, client_id, nonce))
    note = NewNote(entry.room, entry.re, entry.kind, entry.sender, _ANY_TIME)
    return nonce_key(msgspec.structs.replace(note, client_id=client_id, nonce=nonce))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
