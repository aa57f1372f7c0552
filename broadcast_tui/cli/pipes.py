"""Shared by `send`, `tail` and `ask`: server address, user identity, connecting, and standard streams."""

from __future__ import annotations

import asyncio
import io
import os
import select
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

from broadcast_tui.cli.connect_options import ConnectOptions
from broadcast_tui.cli.credentials import add_advice, prompt_address
from broadcast_tui.cli.errors import UsageError
from broadcast_tui.cli.login_name import login_name, system_user
from broadcast_tui.cli.stdio import print_message
from broadcast_tui.client import BroadcastClient, ConnectError
from broadcast_tui.client.address import DEFAULT_HOST, DEFAULT_PORT, Address, parse_address
from broadcast_tui.client.storage.install_secret import load_secret
from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.names import check_name, check_room
from broadcast_tui.core.session.outbox import POST_BYTES_MAX
from broadcast_tui.core.text import visible_line

READ_BYTES = 65_536
LINE_BYTES_MAX = POST_BYTES_MAX + 1
"""Length in bytes from which a line is cut."""
READ_AHEAD = 4
"""Maximum number of chunks of standard input that are read ahead."""


def server_address(url: str, room: str | None) -> Address:
    """Parse `url` (after prompting if it is `PROMPT`), or return the default; `room` replaces its room.

    Raises:
        UsageError: The address is invalid.
    """
    url = prompt_address(url)
    address = parse_address(url) if url else Address(DEFAULT_HOST, DEFAULT_PORT)
    if not address.port:
        raise UsageError("Cannot connect to port 0. Use the port that the server printed.")
    return replace(address, room=check_room(room)) if room is not None else address


def posting_client(
    url: str, room: str | None, name: str | None, connection: ConnectOptions
) -> BroadcastClient:
    """A client that posts in one room, and is not listed as a person there.

    Args:
        name: Name to post under; by default the login name. Empty for a guest, as is an invalid login name.

    Raises:
        UsageError: The address or the given name is invalid.
    """
    address = server_address(url, room)
    security = connection.security(address)
    return BroadcastClient(
        address.url,
        name=_sender_name(name, has_token=bool(security.token)),
        rooms=[address.room],
        last=0,
        presence=False,
        client_id=load_secret(),
        security=security,
    )


def _sender_name(name: str | None, *, has_token: bool) -> str:
    if name is None:
        chosen = login_name()
        # A token contains the name. Without a terminal, scripts and cron expect silence from a success.
        if not chosen and not has_token and sys.stderr.isatty():
            user = visible_line(system_user())
            reason = f"your login name, {user}, cannot be used" if user else "you have no login name"
            print_error(f"posting as a guest, because {reason}. Choose a name with --name.", 0)
        return chosen
    try:
        return check_name(name) if name else ""
    except InvalidNameError as error:
        raise UsageError(f"--name: {error.text}") from error


async def read_input_lines() -> AsyncIterator[str]:
    """Iterate over the lines of standard input with their line ends; invalid UTF-8 is replaced.

    Of a line longer than any post may be, only the start is kept, which is too long as well: it is rejected
    like other long posts, and memory stays bounded.

    A daemon thread reads the file descriptor: unlike an executor thread or a buffered reader, it blocks
    neither the loop nor the exit of the program while a pipe stays open and silent.
    """
    if sys.stdin is None:  # closed by the parent process
        return
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes] = asyncio.Queue()
    slots = threading.Semaphore(READ_AHEAD)

    def read_all(descriptor: int) -> None:
        data = b"-"
        while data:
            slots.acquire()
            data = _read_some(descriptor)
            try:
                loop.call_soon_threadsafe(chunks.put_nowait, data)
            except RuntimeError:  # the loop is closed
                return

    threading.Thread(target=read_all, args=(sys.stdin.fileno(),), name="stdin", daemon=True).start()
    partial = bytearray()
    while data := await chunks.get():
        slots.release()
        first, *others = data.split(b"\n")
        partial += first[: LINE_BYTES_MAX - len(partial)]
        for other in others:
            yield partial.decode(errors="replace") + "\n"
            partial = bytearray(other[:LINE_BYTES_MAX])
    if partial:
        yield partial.decode(errors="replace")


async def read_input() -> str:
    """All of standard input without blank lines at its start and line ends at its end.

    Only the start if it is longer than any post.
    """
    lines: list[str] = []
    size = 0
    async for line in read_input_lines():
        if not lines and not line.strip():
            continue
        lines.append(line)
        size += len(line)
        if size > LINE_BYTES_MAX:
            break
    return "".join(lines).rstrip("\n")


def _read_some(descriptor: int) -> bytes:
    """Read the available data, waiting for some; empty at the end of the input."""
    while True:
        try:
            return os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            select.select([descriptor], [], [])
        except OSError:
            return b""


def configure_stdout(*, as_json: bool) -> None:
    """Make standard output accept any text: JSON as UTF-8, other text with escapes where needed."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8" if as_json else None, errors="backslashreplace")


async def connect(client: BroadcastClient, timeout_s: float) -> None:
    """Connect, with retries for `timeout_s` seconds.

    Raises:
        ConnectError: There was no server in that time, or it refused the connection.
    """
    try:
        async with asyncio.timeout(timeout_s):
            await client.connect(retry=True)
    except ConnectError as error:
        raise ConnectError(add_advice(str(error), error.cause), error.cause) from None
    except TimeoutError:
        raise ConnectError(f"no server at {client.url}") from None


def print_error(reason: str, status: int) -> int:
    """Print an error on standard error; returns `status`."""
    print_message(visible_line(reason))
    return status
