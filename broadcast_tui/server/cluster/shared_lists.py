"""The lists that all nodes share (tokens, hooks, sanctions): loaded again when others have changed them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.hub.sanctions import Sanction
from broadcast_tui.server.cluster.commands import CommandQueue
from broadcast_tui.server.cluster.hooks import LIST as HOOKS
from broadcast_tui.server.cluster.hooks import SharedHooks
from broadcast_tui.server.cluster.keys import Keys
from broadcast_tui.server.cluster.nodes import Beat
from broadcast_tui.server.cluster.sanctions import RedisSanctions
from broadcast_tui.server.cluster.shared_hash import SharedHash
from broadcast_tui.server.cluster.stored_secrets import Received
from broadcast_tui.server.cluster.tokens import LIST as TOKENS
from broadcast_tui.server.cluster.tokens import SharedTokens
from broadcast_tui.server.hook_store import HookEntry
from broadcast_tui.server.token_store import TokenEntry

POLL_S = 1.0
"""Interval at which the versions of tokens and hooks are read, in case a message was lost."""


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
        self._keys = keys
        self._changed = changed
        self.sanctions = RedisSanctions(SharedHash(commands, keys, "sanctions"), announce)
        self.tokens = SharedTokens()
        self.hooks = SharedHooks()
        self._secrets: dict[str, Received[TokenEntry] | Received[HookEntry]] = {
            TOKENS: self.tokens.received,
            HOOKS: self.hooks.received,
        }
        self.on_sanctions: Callable[[list[Sanction]], None] = lambda sanctions: None
        """Called with all sanctions when others have changed them."""
        self.has_unsaved_sanctions: Callable[[], bool] = lambda: False
        self.on_tokens: Callable[[], None] = lambda: None
        """Called when the tokens or hooks have changed."""

    async def load(self, beat: Beat, *, force: bool = False) -> None:
        """Load the lists that have changed according to a beat. Raises UnavailableError."""
        if force or beat.sanctions_version != self.sanctions.version:
            await self._load_sanctions()
        if force or beat.tokens_version != self.tokens.received.version:
            await self._load_secrets(TOKENS)
        if force:
            await self._load_secrets(HOOKS)

    async def reload(self, name: str) -> None:
        """Load the list with a name, unless Redis is away."""
        with contextlib.suppress(RequestError):
            if name == "sanctions":
                await self._load_sanctions()
            elif name in self._secrets:
                await self._load_secrets(name)

    async def poll(self) -> None:
        """Load tokens and hooks whenever they have changed, until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            with contextlib.suppress(RequestError):
                for name, received in self._secrets.items():
                    if await self._version(name) != received.version:
                        await self._load_secrets(name)

    async def _version(self, name: str) -> str:
        """The version of a list in Redis. Raises RequestError."""
        version = await self._commands.call("GET", self._keys.control_key(name, "version"))
        return (version or b"0").decode()

    async def _load_sanctions(self) -> None:
        sanctions = await self.sanctions.load(self.has_unsaved_sanctions)
        if sanctions is not None:
            self.on_sanctions(sanctions)
            self._changed()

    async def _load_secrets(self, name: str) -> None:
        await self._secrets[name].update(SharedHash(self._commands, self._keys, name))
        self.on_tokens()
        self._changed()
