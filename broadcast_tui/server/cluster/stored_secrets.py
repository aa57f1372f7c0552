"""Secrets of all nodes, in hashes in Redis: tokens and hooks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, NoReturn, TypeVar

import msgspec

from broadcast_tui.redis_client import open_client
from broadcast_tui.redis_settings import RedisSettings
from broadcast_tui.server.cluster.commands import CommandQueue, UnavailableError
from broadcast_tui.server.cluster.keys import Keys
from broadcast_tui.server.cluster.shared_hash import SharedHash
from broadcast_tui.server.cluster.signals import ListChanged, encode
from broadcast_tui.server.secret_store import (
    E,
    SecretFileError,
    check_no_lookalike,
    split_entries,
)

ATTEMPTS = 20
"""Attempts to change a list while others change it."""

NO_NODE = ""
"""Stands for the sender of a message that is no node."""

T = TypeVar("T")

log = logging.getLogger("broadcast_tui.server")
_encode = msgspec.json.Encoder().encode


class Received(Generic[E]):
    """A server's copy of a list in Redis, updated by its link to the cluster. Implements `SecretStorage`."""

    def __init__(self, entry_type: type[E]) -> None:
        self.version = ""
        """The version of the copy in Redis."""
        self._is_new = False
        self._entry_type = entry_type
        self._entries: tuple[E, ...] = ()

    async def update(self, stored: SharedHash) -> None:
        """Read the list from Redis. Raises UnavailableError."""
        self.version, fields = await stored.read()
        self._entries = _entries_of(fields, self._entry_type)
        self._is_new = True

    def read(self) -> tuple[E, ...]:
        self._is_new = False
        return self._entries

    def has_changed(self) -> bool:
        return self._is_new

    def warning(self) -> str:
        return ""

    def add(self, entry: E) -> NoReturn:
        raise NotImplementedError

    def revoke(self, id_or_name: str) -> NoReturn:
        raise NotImplementedError


class StoredSecrets(Generic[E]):
    """A list in Redis, for programs without an event loop. Implements `SecretStorage`.

    Each call uses a connection of its own. The servers are notified of changes, so that they apply at once.

    Args:
        name: Name of the list.
        kind: What its entries are, in the singular.
        error: What is raised if the list cannot be read or written.
    """

    def __init__(
        self,
        settings: RedisSettings,
        name: str,
        kind: str,
        entry_type: type[E],
        error: type[SecretFileError],
    ) -> None:
        self._settings = settings
        self._name = name
        self._kind = kind
        self._entry_type = entry_type
        self._error = error

    def read(self) -> tuple[E, ...]:
        """The entries, oldest first. Raises SecretFileError."""
        _, entries = self._execute(self._read)
        return entries

    def has_changed(self) -> bool:
        return False

    def warning(self) -> str:
        return ""

    def add(self, entry: E) -> tuple[E, ...]:
        """Add an entry, and return all of them.

        Raises:
            InvalidNameError: Its name looks like that of another entry.
            SecretFileError: The list cannot be written.
        """

        async def add(stored: SharedHash) -> tuple[E, ...]:
            for _ in range(ATTEMPTS):
                version, entries = await self._read(stored)
                check_no_lookalike(entry.name, entries, self._kind)
                if await stored.change({entry.id: _encode(entry)}, expected=version):
                    return *entries, entry
            raise self._failure(
                f"Cannot store the {self._kind}: others are changing the {self._kind}s. Try again."
            )

        return self._execute(add, is_change=True)

    def revoke(self, id_or_name: str) -> tuple[tuple[E, ...], tuple[E, ...]]:
        """Remove the entry with an id, or all entries with a name; returns the removed and the other ones.

        Raises SecretFileError.
        """

        async def remove(stored: SharedHash) -> tuple[tuple[E, ...], tuple[E, ...]]:
            _, entries = await self._read(stored)
            removed, others = split_entries(id_or_name, entries)
            if removed:
                await stored.change({}, [entry.id for entry in removed])
            return removed, others

        return self._execute(remove, is_change=True)

    def _failure(self, text: str) -> SecretFileError:
        error = self._error(text)
        error.is_in_redis = True
        return error

    async def _read(self, stored: SharedHash) -> tuple[str, tuple[E, ...]]:
        version, fields = await stored.read()
        return version, _entries_of(fields, self._entry_type)

    def _execute(self, work: Callable[[SharedHash], Awaitable[T]], *, is_change: bool = False) -> T:
        settings = self._settings

        async def run() -> T:
            client = open_client(settings)
            keys = Keys(settings.prefix, settings.partitions)
            try:
                commands = CommandQueue(client, lambda: None)
                stored = SharedHash(commands, keys, self._name)
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
            text = f"Cannot read or write the {self._kind}s in {self._settings}. Check that it runs."
            raise self._failure(text) from error


def _entries_of(fields: Mapping[str, bytes], entry_type: type[E]) -> tuple[E, ...]:
    """The entries in the fields, oldest first; those that are invalid are left out."""
    entries = []
    for field, data in fields.items():
        try:
            entries.append(msgspec.json.decode(data, type=entry_type))
        except msgspec.MsgspecError:
            log.warning("ignored an invalid entry in Redis: %r", field)
    return tuple(sorted(entries, key=lambda entry: (entry.created, entry.id)))
