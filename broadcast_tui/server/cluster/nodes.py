"""Nodes of the cluster: each has a lease, which it renews; the others remove a node whose lease has ended.

Times of leases are those of Redis' clock. A node that was frozen, or whose lease is gone, notices it when it
renews the lease: it has a new id from then on, and everything that it shares is written again.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from broadcast_tui.server.cluster.commands import CommandQueue
from broadcast_tui.server.cluster.keys import Keys
from broadcast_tui.server.cluster.scripts import (
    BEAT,
    LEAVE,
    LIVE,
    REAP_NAMES,
    REMOVE_ROSTERS,
    START_REAPING,
)

LEASE_S = 10.0
"""Time after which a node counts as dead if it does not renew its lease."""
RENEW_S = 3.0
NODE_BYTES = 6
"""Size of the random id of a node."""
REAPING_S = 60.0
"""Time after which another node may continue to remove a dead one."""
REAPED_TOGETHER = 500
"""Names or rooms that are removed in one step."""


def random_node() -> str:
    """An id for a node."""
    return secrets.token_hex(NODE_BYTES)


class Beat(NamedTuple):
    """What a node learns when it renews its lease."""

    state: str
    """State of the lease before: `live`, `lapsed`, `new`, or `gone` if the node has to take a new id."""
    live: frozenset[str] = frozenset()
    dead: tuple[str, ...] = ()
    sanctions_version: str = ""
    tokens_version: str = ""


class Nodes:
    """The lease and record of this node, and the removal of dead ones.

    Args:
        record: Returns the changing fields of the node's record, such as its number of connections.
    """

    def __init__(
        self,
        commands: CommandQueue,
        keys: Keys,
        node: str,
        *,
        version: str,
        record: Callable[[], Mapping[str, object]] = dict,
        lease_s: float = LEASE_S,
    ) -> None:
        self.id = node
        self.lease_s = lease_s
        self._commands = commands
        self._keys = keys
        self._record = record
        self._fixed = {
            "version": version,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    async def beat(self, *, is_new: bool = False) -> Beat:
        """Renew the lease, or register the node. Raises UnavailableError."""
        record = {**self._fixed, **self._record()}
        words = [word for field in record.items() for word in field]
        lease_ms = round(self.lease_s * 1000)
        reply = await self._commands.probe(BEAT, self._keys.control, self.id, lease_ms, int(is_new), *words)
        state = reply[0].decode()
        if state == "gone":
            return Beat(state)
        _, live, dead, sanctions, tokens = reply
        return Beat(state, _texts(live), tuple(sorted(_texts(dead))), sanctions.decode(), tokens.decode())

    async def live(self) -> frozenset[str]:
        """The nodes whose lease has not ended. Raises UnavailableError."""
        return _texts(await self._commands.eval(LIVE, self._keys.control))

    def renew_id(self) -> str:
        """Take a new id; returns the former one."""
        former, self.id = self.id, random_node()
        return former

    # -- removal

    async def reap(self, node: str) -> bool:
        """Remove a dead node with its members and names, unless another node does.

        Raises UnavailableError; another attempt continues the removal.
        """
        taken = await self._commands.eval(
            START_REAPING, self._keys.control, node, self.id, round(REAPING_S * 1000)
        )
        if not taken:
            return False
        await self.remove(node)
        return True

    async def remove(self, node: str) -> None:
        """Remove a node with its members and names. Raises UnavailableError."""
        rooms_key = self._keys.control_key("or", node)
        while rooms := await self._commands.call("SRANDMEMBER", rooms_key, REAPED_TOGETHER):
            by_partition: dict[str, list[str]] = {}
            for room in rooms:
                by_partition.setdefault(self._keys.partition_of(room.decode()), []).append(room.decode())
            for partition, names in by_partition.items():
                await self._commands.eval(REMOVE_ROSTERS, partition, node, *names)
            await self._commands.call("SREM", rooms_key, *rooms)
        while await self._commands.eval(REAP_NAMES, self._keys.control, node, REAPED_TOGETHER):
            pass
        await self._commands.eval(LEAVE, self._keys.control, node)


def _texts(values: Sequence[bytes]) -> frozenset[str]:
    return frozenset(value.decode() for value in values)
