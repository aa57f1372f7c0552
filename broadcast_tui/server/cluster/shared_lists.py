"""The lists that all nodes share, tokens and sanctions: loaded again when others have changed them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.hub.sanctions import Sanction
from broadcast_tui.server.cluster.commands import CommandQueue
from broadcast_tui.server.cluster.keys import Keys
from broadcast_tui.server.cluster.nodes import Beat
from broadcast_tui.server.cluster.sanctions import RedisSanctions
from broadcast_tui.server.cluster.shared_hash import SharedHash
from broadcast_tui.server.cluster.tokens import SharedTokens

POLL_S = 1.0
"""Interval at which the version of the tokens is read, in case a message was lost."""


class SharedLists:
    """A node's copies of the lists.

    Args:
        announce: Notifies the other nodes that this one has changed the list with a name.
        changed: Called after copies were loaded.
    """

    def __init__(
        self,
        commands: CommandQueue,
        keys: Keys,
        *,
        announce: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self._commands = commands
        self._tokens_version_key = keys.control_key("tokens", "version")
        self._changed = changed
        self.sanctions = RedisSanctions(SharedHash(commands, keys, "sanctions"), announce)
        self.tokens = SharedTokens()
        self._token_hash = SharedHash(commands, keys, "tokens")
        self.on_sanctions: Callable[[list[Sanction]], None] = lambda sanctions: None
        """Called with all sanctions when others have changed them."""
        self.has_unsaved_sanctions: Callable[[], bool] = lambda: False
        self.on_tokens: Callable[[], None] = lambda: None
        """Called when the tokens have changed."""

    async def load(self, beat: Beat, *, force: bool = False) -> None:
        """Load the lists that have changed according to a beat. Raises UnavailableError."""
        if force or beat.sanctions_version != self.sanctions.version:
            await self._load_sanctions()
        if force or beat.tokens_version != self.tokens.stored_version:
            await self._load_tokens()

    async def reload(self, name: str) -> None:
        """Load the list with a name, unless Redis is away."""
        with contextlib.suppress(RequestError):
            await (self._load_sanctions() if name == "sanctions" else self._load_tokens())

    async def poll(self) -> None:
        """Load the tokens whenever they have changed, until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            with contextlib.suppress(RequestError):
                version = await self._commands.call("GET", self._tokens_version_key)
                if (version or b"0").decode() != self.tokens.stored_version:
                    await self._load_tokens()

    async def _load_sanctions(self) -> None:
        sanctions = await self.sanctions.load(self.has_unsaved_sanctions)
        if sanctions is not None:
            self.on_sanctions(sanctions)
            self._changed()

    async def _load_tokens(self) -> None:
        await self.tokens.update(self._token_hash)
        self.on_tokens()
        self._changed()
