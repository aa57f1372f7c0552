"""Tokens of all nodes, in Redis: a server's copy of them, and the store of the `token` commands.

Invariant: a token itself is never stored.
"""

from __future__ import annotations

from broadcast_tui.redis_settings import RedisSettings
from broadcast_tui.server.cluster.stored_secrets import Received, StoredSecrets
from broadcast_tui.server.token_store import TokenEntry, TokenFileError, Tokens

LIST = "tokens"
"""Name of the list that nodes share."""


class SharedTokens(Tokens):
    """A server's copy of the tokens in Redis, which its link to the cluster updates as `received`."""

    def __init__(self) -> None:
        self.received = Received(TokenEntry)
        super().__init__(self.received)


class RedisTokenStore(Tokens):
    """The tokens in Redis, for programs without an event loop."""

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__(StoredSecrets(settings, LIST, "token", TokenEntry, TokenFileError))
