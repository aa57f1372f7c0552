"""Hooks of all nodes, in Redis: a server's copy of them, and the store of the `hook` commands.

Invariant: the secret of a hook is never stored.
"""

from __future__ import annotations

from datetime import datetime
from typing import NoReturn

from broadcast_tui.redis_settings import RedisSettings
from broadcast_tui.server.cluster.shared_hash import SharedHash
from broadcast_tui.server.cluster.stored_secrets import Received, StoredSecrets
from broadcast_tui.server.hook_store import HookEntry, HookFileError, Hooks, new_hook

LIST = "hooks"
"""Name of the list that nodes share."""


class SharedHooks(Hooks):
    """A server's copy of the hooks in Redis, which its link to the cluster updates."""

    def __init__(self) -> None:
        super().__init__()
        self._received = Received(HookEntry)

    @property
    def stored_version(self) -> str:
        """The version of the copy in Redis."""
        return self._received.version

    async def update(self, stored: SharedHash) -> None:
        """Read the hooks from Redis. Raises UnavailableError."""
        await self._received.update(stored)

    def read(self) -> tuple[HookEntry, ...]:
        return self._received.take()

    def has_changed(self) -> bool:
        return self._received.is_new

    def warning(self) -> str:
        return ""

    def create(self, name: str, room: str, expires: datetime | None) -> NoReturn:
        raise NotImplementedError

    def revoke(self, id_or_name: str) -> NoReturn:
        raise NotImplementedError


class RedisHookStore(Hooks):
    """The hooks in Redis, for programs without an event loop."""

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__()
        self._stored = StoredSecrets(settings, LIST, "hook", HookEntry, HookFileError)

    def read(self) -> tuple[HookEntry, ...]:
        return self._stored.read()

    def has_changed(self) -> bool:
        return False

    def warning(self) -> str:
        return ""

    def create(self, name: str, room: str, expires: datetime | None) -> tuple[str, HookEntry]:
        secret, entry = new_hook(name, room, expires)
        self._stored.add(entry)
        self.replace((*self.entries, entry))
        return secret, entry

    def revoke(self, id_or_name: str) -> tuple[HookEntry, ...]:
        return self._stored.revoke(id_or_name)
