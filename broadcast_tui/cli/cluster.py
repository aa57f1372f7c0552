"""`broadcast-tui cluster`: list the servers that share a Redis, and their state."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.stdio import print_safely
from broadcast_tui.core.errors import EngineError
from broadcast_tui.core.text import log_safe
from broadcast_tui.redis_settings import LocationError, is_redis, read_location

if TYPE_CHECKING:
    from broadcast_tui.server.cluster.node_list import NodeInfo

HEADER = ("ID", "STATE", "VERSION", "HOST", "PID", "STARTED (UTC)", "CONNECTIONS", "ROOMS", "LAG")
RIGHT_ALIGNED = ("PID", "CONNECTIONS", "ROOMS", "LAG")


def cluster(*, history: str = "", json: bool = False) -> int:
    """List the servers that share rooms through Redis: their state, version, connections and lag.

    Parameters
    ----------
    history
        The --history of the servers, such as redis://HOST:PORT.
    json
        Print a line of JSON for each server.
    """
    nodes = read(history)
    if json:
        from broadcast_tui.core.export.json_lines import json_line

        for node in nodes:
            print(json_line(node))
    else:
        _print_table(nodes)
    if len({node.version for node in nodes}) > 1:
        print_safely("Note: The servers have different versions. Update the others soon.", sys.stderr)
    return ExitCode.OK


def read(history: str) -> Sequence[NodeInfo]:
    """The servers, oldest first; at least one. Raises UsageError."""
    if not history:
        raise UsageError("Add the --history of the servers, such as --history redis://HOST:PORT.")
    if not is_redis(history):
        raise UsageError("--history: Only servers with redis://HOST:PORT form a cluster.")
    try:
        settings = read_location(history)
    except LocationError as error:
        raise UsageError(f"--history: {error}") from None
    try:
        from broadcast_tui.server.cluster.node_list import read_nodes

        nodes = asyncio.run(read_nodes(settings))
    except EngineError as error:
        raise UsageError(str(error)) from None
    if not nodes:
        raise UsageError(f"No server uses {settings} with the prefix {settings.prefix}.")
    return nodes


def _print_table(nodes: Sequence[NodeInfo]) -> None:
    rows = [HEADER, *map(_cells, nodes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if name in RIGHT_ALIGNED else cell.ljust(width)
            for name, cell, width in zip(HEADER, row, widths, strict=True)
        ]
        print_safely("  ".join(cells).rstrip(), sys.stderr if row is HEADER else sys.stdout)


def _cells(node: NodeInfo) -> tuple[str, ...]:
    texts = (node.id, node.state, node.version, node.host, str(node.pid), _time(node.started))
    return (
        *(log_safe(text, 60) for text in texts),
        f"{node.connections:,}",
        f"{node.rooms:,}",
        f"{node.lag_ms:,} ms",
    )


def _time(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M}"
    except ValueError:
        return text
