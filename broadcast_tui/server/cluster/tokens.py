"""Tokens of all nodes, in Redis: a server's copy of them, and the store of the `token` commands.

Invariant: a token itself is never stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import NoReturn, TypeVar

import msgspec

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.redis_client import open_client
from broadcast_tui.redis_settings import RedisSettings
from broadcast_tui.server.cluster.commands import CommandQueue, UnavailableError
from broadcast_tui.server.cluster.keys import Keys
from broadcast_tui.server.cluster.shared_hash import SharedHash
from broadcast_tui.server.cluster.signals import ListChanged, encode
from broadcast_tui.server.token_store import (
    TokenEntry,
    TokenFileError,
    Tokens,
    check_no_lookalike,
    find_entries,
    new_token,
)

ATTEMPTS = 20
"""Attempts to change the tokens while others change them."""

NO_NODE = ""
"""Stands for the sender of a message that is no node."""

T = TypeVar("T")

log = logging.getLogger("broadcast_tui.server")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(TokenEntry).decode


class SharedTokens(Tokens):
    """A server's copy of the tokens in Redis, which its link to the cluster updates."""

    def __init__(self) -> None:
        super().__init__()
        self.stored_version = ""
        """The version of the copy in Redis."""
        self._received: tuple[TokenEntry, ...] = ()
        self._has_changed = False

    async def update(self, stored: SharedHash) -> None:
        """Read the tokens from Redis. Raises UnavailableError."""
        self.stored_version, fields = await stored.read()
        self._received = _entries_of(fields)
        self._has_changed = True

    def read(self) -> tuple[TokenEntry, ...]:
        self._has_changed = False
        return self._received

    def has_changed(self) -> bool:
        return self._has_changed

    def warning(self) -> str:
        return ""

    def create(self, name: str, role: Role, expires: datetime | None) -> NoReturn:
        raise NotImplementedError

    def revoke(self, id_or_name: str) -> NoReturn:
        raise NotImplementedError


class RedisTokenStore(Tokens):
    """The tokens in Redis, for programs without an event loop.

    Each call uses a connection of its own. The servers are notified of changes, so that they apply at once.
    """

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__()
        self._settings = settings

    def read(self) -> tuple[TokenEntry, ...]:
        _, entries = self._execute(_read)
        return entries

    def has_changed(self) -> bool:
        return False

    def warning(self) -> str:
        return ""

    def create(self, name: str, role: Role, expires: datetime | None) -> tuple[str, TokenEntry]:
        token, entry = new_token(name, role, expires)

        async def add(stored: SharedHash) -> None:
            for _ in range(ATTEMPTS):
                version, entries = await _read(stored)
                check_no_lookalike(entry.name, entries)
                if await stored.change({entry.id: _encode(entry)}, expected=version):
                    return
            raise TokenFileError("Cannot store the token: others are changing the tokens. Try again.")

        self._execute(add, is_change=True)
        self.replace((*self.entries, entry))
        return token, entry

    def revoke(self, id_or_name: str) -> tuple[TokenEntry, ...]:
        async def remove(stored: SharedHash) -> tuple[TokenEntry, ...]:
            _, entries = await _read(stored)
            removed = find_entries(id_or_name, entries)
            if removed:
                await stored.change({}, [entry.id for entry in removed])
            return removed

        return self._execute(remove, is_change=True)

    def _execute(self, work: Callable[[SharedHash], Awaitable[T]], *, is_change: bool = False) -> T:
        settings = self._settings

        async def run() -> T:
            client = open_client(settings)
            keys = Keys(settings.prefix, settings.partitions)
            try:
                commands = CommandQueue(client, lambda: None)
                stored = SharedHash(commands, keys, "tokens")
                result = await work(stored)
                if is_change:
                    message = encode(NO_NODE, ListChanged(stored.name))
                    with contextlib.suppress(UnavailableError):  # the servers look for changes, too
                        await commands.probe_command(settings.publish_command, keys.everyone, message)
                return result
            finally:
                await client.aclose()

        try:
            return asyncio.run(run())
        except UnavailableError as error:
            raise TokenFileError(f"Cannot read or write the tokens in {self._settings}.") from error


async def _read(stored: SharedHash) -> tuple[str, tuple[TokenEntry, ...]]:
    version, fields = await stored.read()
    return version, _entries_of(fields)


def _entries_of(fields: Mapping[str, bytes]) -> tuple[TokenEntry, ...]:
    """The entries in the fields, oldest first; those that are invalid are left out."""
    entries = []
    for field, data in fields.items():
        try:
            entries.append(_decode(data))
        except msgspec.MsgspecError:
            log.warning("ignored an invalid token entry in Redis: %r", field)
    return tuple(sorted(entries, key=lambda entry: (entry.created, entry.id)))
