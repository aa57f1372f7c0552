"""From a host name and a port to the addresses to listen on, or one sentence that says why not."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Sequence

from broadcast_tui.core.errors import BroadcastError

BACKLOG = 4096


class ListenError(BroadcastError):
    """The address cannot be listened on; the text says what to change. The environment's fault."""


async def choose_addresses(host: str, port: int) -> tuple[list[str], int]:
    """Addresses of `host` that can be bound, and one port free on all of them.

    Port 0 is replaced by a free one, the same for IPv4 and IPv6, which `create_server` alone does
    not promise.

    Raises:
        ListenError: unknown host, no address of it on this machine, port in use or not allowed.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ListenError(
            f"The host {host!r} is unknown here; choose another with --host, such as localhost or 0.0.0.0."
        ) from error
    addresses = list(dict.fromkeys((info[0], str(info[4][0])) for info in found))
    for _ in range(20):
        bound, chosen = _try_bind(addresses, host, port)
        if bound:
            return bound, chosen
    raise ListenError(f"No port is free on {host}; choose one with --port.")


def _try_bind(addresses: Sequence[tuple[int, str]], host: str, port: int) -> tuple[list[str], int]:
    """The addresses that can be bound now, and the port; none when a free port was taken meanwhile."""
    sockets: list[socket.socket] = []
    bound: list[str] = []
    chosen = port
    refusal: OSError | None = None
    try:
        for family, address in addresses:
            try:
                probe = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:
                refusal = error
                continue
            sockets.append(probe)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((address, chosen))
                probe.listen(1)
            except OSError as error:
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    refusal = error
                    continue
                if error.errno == errno.EADDRINUSE and port == 0:
                    return [], 0
                raise ListenError(_sentence(error, host, port)) from error
            chosen = probe.getsockname()[1]
            bound.append(address)
    finally:
        for probe in sockets:
            probe.close()
    if not bound:
        assert refusal is not None
        raise ListenError(_sentence(refusal, host, port)) from refusal
    return bound, chosen


def _sentence(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} on {host} is in use; choose another with --port (0 takes a free one)."
        case errno.EACCES:
            return f"Port {port} needs more rights; choose one above 1023 with --port."
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine; choose another with --host."
        case _:
            return f"Cannot listen on {host}:{port}: {error.strerror}; change --host or --port."


try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]


FREE_DESCRIPTORS = 64
"""What is kept free for history, logs, listeners and those about to be refused."""


def open_files_max() -> int | None:
    """The soft limit; None if there is none."""
    if resource is None:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def raise_open_files() -> None:
    """Take as many as the system allows without being asked for rights."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and hard != resource.RLIM_INFINITY:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
