"""Addresses and port to listen on, and the open file limit."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Iterable, Sequence
from typing import Literal

from broadcast_tui.core.errors import BroadcastError

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

PORT_MAX = 65_535
BACKLOG = 4096
"""Connections that wait in the system until they are accepted."""
ACCEPTS_PER_TURN = 16
"""Connections that a listener accepts in one iteration of the event loop; each takes some 0.2 ms.

asyncio accepts as many as the backlog that it is given; uvloop accepts one.
"""
RESERVED_DESCRIPTORS = 64
"""File descriptors reserved for history, logs, listeners and connections that are about to be rejected."""


SHARING_PLATFORMS = ("linux", "dragonfly")
"""Systems that distribute the connections of a port over all listeners with SO_REUSEPORT.

Others accept several listeners too, but give all connections to one of them.
"""


class ListenError(BroadcastError):
    """The server cannot listen on an address. `fault` is the part of the address to change."""

    def __init__(self, text: str, fault: Literal["host", "port", "address", "sharing"] = "address") -> None:
        super().__init__(text)
        self.fault = fault


async def choose_addresses(host: str, port: int, *, share_port: bool = False) -> tuple[list[str], int]:
    """The addresses of `host` that can be bound, and one port that is free on all of them.

    Port 0 is replaced by a free port, the same for IPv4 and IPv6, which `create_server` does not guarantee.

    Args:
        share_port: Whether the port may be in use by processes of the same user that share it, too.

    Raises:
        ListenError: The host is unknown or not on this machine, or the port is out of range, in use or not
            permitted, or ports cannot be shared on this system.
    """
    if not 0 <= port <= PORT_MAX:
        raise ListenError(f"Invalid port: {port}. Use a number from 0 to {PORT_MAX}.", "port")
    if share_port and sys.platform not in SHARING_PLATFORMS:
        text = "This system does not distribute connections over processes with the same port."
        raise ListenError(text, "sharing")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ListenError(f"Unknown host: {host!r}.", "host") from error
    addresses = list(dict.fromkeys((info[0], str(info[4][0])) for info in found))
    for _ in range(20):
        bound, chosen = _try_bind(addresses, host, port, share_port and port != 0)
        if bound:
            return bound, chosen
    raise ListenError(f"No free port on {host}.", "port")


def _try_bind(
    addresses: Sequence[tuple[int, str]], host: str, port: int, share_port: bool
) -> tuple[list[str], int]:
    """The addresses that can be bound, and the port; no addresses if a free port has been taken meanwhile.

    On a shared port it does not listen, since the system would give it connections of the other processes.
    """
    sockets: list[socket.socket] = []
    bound: list[str] = []
    chosen = port
    last_error: OSError | None = None
    try:
        for family, address in addresses:
            try:
                probe = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:
                last_error = error
                continue
            sockets.append(probe)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                if share_port:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                probe.bind((address, chosen))
                if not share_port:
                    probe.listen(1)
            except OSError as error:
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    last_error = error
                    continue
                if error.errno == errno.EADDRINUSE and port == 0:
                    return [], 0
                raise _listen_error(error, host, port) from error
            chosen = probe.getsockname()[1]
            bound.append(address)
    finally:
        for probe in sockets:
            probe.close()
    if not bound:
        assert last_error is not None
        raise _listen_error(last_error, host, port) from last_error
    return bound, chosen


def _listen_error(error: OSError, host: str, port: int) -> ListenError:
    match error.errno:
        case errno.EADDRINUSE:
            return ListenError(f"Port {port} on {host} is in use.", "port")
        case errno.EACCES:
            return ListenError(f"Permission denied for port {port}.", "port")
        case errno.EADDRNOTAVAIL:
            return ListenError(f"{host} is not an address of this machine.", "host")
        case _:
            return ListenError(f"Cannot listen on {host}:{port}: {error.strerror}.")


def widen_backlog(listeners: Iterable[socket.socket]) -> None:
    """Raise the backlog of listeners that asyncio has created with `ACCEPTS_PER_TURN` to `BACKLOG`."""
    for listener in listeners:
        with socket.fromfd(listener.fileno(), listener.family, listener.type) as same:
            same.listen(BACKLOG)


def open_files_max() -> int | None:
    """The soft limit of open files; None if there is none."""
    if resource is None:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def raise_open_files() -> None:
    """Raise the soft limit of open files to the hard limit."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and hard != resource.RLIM_INFINITY:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
