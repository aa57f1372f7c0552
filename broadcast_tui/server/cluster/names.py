"""The names that connections of this node have, unique in the cluster.

A name counts as used while the lease of a node with connections under it lives. Claims and releases are
executed in the order in which they were made.
"""

from __future__ import annotations

from typing import NamedTuple

from broadcast_tui.core.hub.cluster import ClaimName, ReleasedName
from broadcast_tui.core.hub.name_registry import name_taken
from broadcast_tui.server.cluster.commands import CommandQueue, UnavailableError
from broadcast_tui.server.cluster.keys import Keys
from broadcast_tui.server.cluster.scripts import CLAIM, RELEASE


class _Held(NamedTuple):
    owner: str
    name: str


class Claimed(NamedTuple):
    """A claim that was granted."""

    losers: tuple[str, ...]
    """Nodes whose connections have lost the name."""


class Names:
    """The names of a node in Redis."""

    def __init__(self, commands: CommandQueue, keys: Keys) -> None:
        self._commands = commands
        self._keys = keys
        self._held: dict[str, _Held] = {}
        """Names in use on this node, by skeleton."""
        self._unreleased: dict[str, ReleasedName] = {}
        """Names that Redis may still have for this node, since it was away."""

    def __len__(self) -> int:
        """Number of names in use on this node."""
        return len(self._held)

    def owner_of(self, key: str) -> str | None:
        """The owner under which the node has a name; None if it does not."""
        held = self._held.get(key)
        return held.owner if held is not None else None

    async def claim(self, node: str, need: ClaimName) -> Claimed:
        """Claim a name for a connection. Raises InvalidNameError or UnavailableError."""
        held = self._held.get(need.key)
        is_own = held is not None and held.owner == need.owner
        try:
            reply = await self._commands.eval(
                CLAIM, self._keys.control, node, need.key, need.owner, need.name, int(need.take_over), 0
            )
        except UnavailableError:
            if not is_own:
                self._unreleased.setdefault(need.key, ReleasedName(need.key, need.owner, 0.0))
            raise
        if not reply[0]:
            raise name_taken(need.name, reply[1].decode())
        self._held[need.key] = _Held(need.owner, need.name)
        self._unreleased.pop(need.key, None)
        return Claimed(tuple(loser.decode() for loser in reply[1]))

    def release(self, node: str, released: ReleasedName) -> None:
        """Release a name after earlier claims and before later ones."""
        held = self._held.get(released.key)
        if held is not None and held.owner == released.owner:
            del self._held[released.key]
        if not self._commands.is_up:
            self._unreleased[released.key] = released
            return
        self._release(node, released)

    def _release(self, node: str, released: ReleasedName) -> None:
        grace_ms = round(released.grace_s * 1000)
        reply = self._commands.eval(RELEASE, self._keys.control, node, released.key, released.owner, grace_ms)

        def check(done: object) -> None:
            if not reply.cancelled() and reply.exception() is not None:
                self._unreleased.setdefault(released.key, released)

        reply.add_done_callback(check)

    async def claim_again(self, node: str) -> tuple[str, ...]:
        """Write all names again, as after an outage; returns the keys of those that others have now.

        Raises UnavailableError.
        """
        unreleased, self._unreleased = self._unreleased, {}
        for key, released in unreleased.items():
            if key not in self._held:
                self._release(node, released)
        held = list(self._held.items())
        replies = [
            (key, name, self._commands.eval(CLAIM, self._keys.control, node, key, *name, 0, 1))
            for key, name in held
        ]
        lost = []
        for key, name, reply in replies:
            if not (await reply)[0] and self._held.get(key) == name:
                del self._held[key]
                lost.append(key)
        return tuple(lost)

    def lose(self, key: str, owner: str) -> bool:
        """Forget a name that was claimed on another node; returns False if the node has it for that owner."""
        held = self._held.get(key)
        if held is None or held.owner == owner:
            return False
        del self._held[key]
        return True
