"""Tokens of all nodes, in Redis: a server's copy of them, and the store of the `token` commands.

Invariant: a token itself is never stored.
"""

from __future__ import annotations

from datetime import datetime
from typing import NoReturn

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.redis_settings import RedisSettings
from broadcast_tui.server.cluster.shared_hash import SharedHash
from broadcast_tui.server.cluster.stored_secrets import Received, StoredSecrets
from broadcast_tui.server.token_store import TokenEntry, TokenFileError, Tokens, new_token

LIST = "tokens"
"""Name of the list that nodes share."""


class SharedTokens(Tokens):
    """A server's copy of the tokens in Redis, which its link to the cluster updates."""

    def __init__(self) -> None:
        super().__init__()
        self._received = Received(TokenEntry)

    @property
    def stored_version(self) -> str:
        """The version of the copy in Redis."""
        return self._received.version

    async def update(self, stored: SharedHash) -> None:
        """Read the tokens from Redis. Raises UnavailableError."""
        await self._received.update(stored)

    def read(self) -> tuple[TokenEntry, ...]:
        return self._received.take()

    def has_changed(self) -> bool:
        return self._received.is_new

    def warning(self) -> str:
        return ""

    def create(self, name: str, role: Role, expires: datetime | None) -> NoReturn:
        raise NotImplementedError

    def revoke(self, id_or_name: str) -> NoReturn:
        raise NotImplementedError


class RedisTokenStore(Tokens):
    """The tokens in Redis, for programs without an event loop."""

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__()
        self._stored = StoredSecrets(settings, LIST, "token", TokenEntry, TokenFileError)

    def read(self) -> tuple[TokenEntry, ...]:
        return self._stored.read()

    def has_changed(self) -> bool:
        return False

    def warning(self) -> str:
        return ""

    def create(self, name: str, role: Role, expires: datetime | None) -> tuple[str, TokenEntry]:
        token, entry = new_token(name, role, expires)
        self._stored.add(entry)
        self.replace((*self.entries, entry))
        return token, entry

    def revoke(self, id_or_name: str) -> tuple[TokenEntry, ...]:
        return self._stored.revoke(id_or_name)
