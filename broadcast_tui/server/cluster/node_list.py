"""The nodes of a cluster as their records in Redis describe them, for programs that are not nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar, cast

import msgspec

from broadcast_tui.redis_client import FAILURES, engine_error, open_client
from broadcast_tui.redis_settings import RedisSettings
from broadcast_tui.server.cluster.keys import Keys
from broadcast_tui.server.cluster.nodes import LEASE_S
from broadcast_tui.server.cluster.scripts import NODES

T = TypeVar("T", str, int)


class NodeState(StrEnum):
    """What a node does."""

    LIVE = "live"
    DRAINING = "draining"
    """It is about to stop."""
    EXPIRED = "expired"
    """Its lease has ended: it was killed or frozen, or does not reach Redis. Another node will remove it."""


class NodeInfo(msgspec.Struct, frozen=True):
    """A node. All but id and state is empty or 0 if the node did not write it."""

    id: str
    state: NodeState
    version: str
    host: str
    pid: int
    started: str
    """Time in UTC, as in ISO 8601."""
    connections: int
    rooms: int
    """Rooms that its connections are in."""
    lag_ms: int
    """The longest time that posts of its connections waited until they were stored or rejected, in the
    seconds between the last two renewals of its lease."""
    seen_s: float
    """Time since it renewed its lease."""


async def read_nodes(settings: RedisSettings) -> Sequence[NodeInfo]:
    """All nodes, in the order in which they were started. Raises EngineError."""
    client = open_client(settings)
    keys = Keys(settings.prefix, settings.partitions)
    try:
        reply = cast("list[Any]", await client.eval(NODES.text, 1, keys.control))
    except FAILURES as error:
        raise engine_error(error, settings) from None
    finally:
        await client.aclose()
    now, *words = reply
    nodes = [_node(now, *words[at : at + 3]) for at in range(0, len(words), 3)]
    return sorted(nodes, key=lambda node: (node.started, node.id))


def _node(now: int, node: bytes, lease_end: int, words: Sequence[bytes]) -> NodeInfo:
    record = {
        field.decode(errors="replace"): value.decode(errors="replace")
        for field, value in zip(words[::2], words[1::2], strict=True)
    }
    left_ms = lease_end - now
    state = NodeState.LIVE
    if left_ms <= 0:
        state = NodeState.EXPIRED
    elif _field(record, "draining", 0):
        state = NodeState.DRAINING
    return NodeInfo(
        id=node.decode(errors="replace"),
        state=state,
        version=_field(record, "version", ""),
        host=_field(record, "host", ""),
        pid=_field(record, "pid", 0),
        started=_field(record, "started", ""),
        connections=_field(record, "connections", 0),
        rooms=_field(record, "rooms", 0),
        lag_ms=_field(record, "lag_ms", 0),
        seen_s=max(0.0, round(LEASE_S - left_ms / 1000, 1)),
    )


def _field(record: Mapping[str, str], name: str, default: T) -> T:
    """A field; `default` if the version of the node writes none, or something else."""
    try:
        return type(default)(record.get(name, default))
    except ValueError:
        return default
