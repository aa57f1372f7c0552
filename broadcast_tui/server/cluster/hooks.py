"""Hooks of all nodes, in Redis: a server's copy of them, and the store of the `hook` commands.

Invariant: the secret of a hook is never stored.
"""

from __future__ import annotations

from broadcast_tui.redis_settings import RedisSettings
from broadcast_tui.server.cluster.stored_secrets import Received, StoredSecrets
from broadcast_tui.server.hook_store import HookEntry, HookFileError, Hooks

LIST = "hooks"
"""Name of the list that nodes share."""


class SharedHooks(Hooks):
    """A server's copy of the hooks in Redis, which its link to the cluster updates as `received`."""

    def __init__(self) -> None:
        self.received = Received(HookEntry)
        super().__init__(self.received)


class RedisHookStore(Hooks):
    """The hooks in Redis, for programs without an event loop."""

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__(StoredSecrets(settings, LIST, "hook", HookEntry, HookFileError))
