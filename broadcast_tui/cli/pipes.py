"""What the commands for pipes share: the server's address, who we are, and the standard streams."""

from __future__ import annotations

import asyncio
import getpass
import io
import os
import select
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

from broadcast_tui.cli.credentials import WHERE_TO_PUT, prompt_address
from broadcast_tui.cli.errors import UsageError
from broadcast_tui.client import BroadcastClient, ConnectError, Unauthorized
from broadcast_tui.client.address import DEFAULT_HOST, DEFAULT_PORT, Address, parse_address
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.names import check_name, check_room
from broadcast_tui.core.text import visible_line

READ_BYTES = 65_536
READ_AHEAD = 4
"""Pieces of standard input that wait to be sent before more is read."""


def server_address(url: str, room: str | None) -> Address:
    """The address in `url` (`ASK`: as it is typed), or the default one, with `room` in place of its room.

    Raises:
        UsageError: the address cannot be connected to.
    """
    url = prompt_address(url)
    address = parse_address(url) if url else Address(DEFAULT_HOST, DEFAULT_PORT)
    if not address.port:
        raise UsageError("Port 0 is no port to connect to; give the one that the server printed.")
    return replace(address, room=check_room(room)) if room is not None else address


def identity(name: str | None) -> tuple[str, str]:
    """The name to send under and the client id of this installation.

    Without a name it is the user's login, or none (a guest) where that is no name for a chat.

    Raises:
        UsageError: the name given breaks the rules.
    """
    client_id = Preferences.load().client_id
    try:
        if name is not None:
            return (check_name(name) if name else ""), client_id
        return check_name(getpass.getuser()), client_id
    except InvalidNameError as error:
        if name is not None:
            raise UsageError(f"--name: {error.text}") from error
    except (KeyError, OSError):
        pass
    return "", client_id


async def lines_of_input() -> AsyncIterator[str]:
    """Lines of standard input with their ends; what is not UTF-8 is replaced.

    A daemon thread reads the descriptor itself: a pipe that stays open and silent holds up neither the
    loop nor the end of the program, as a thread of an executor or in a buffered reader would.
    """
    if sys.stdin is None:  # closed by whoever started us
        return
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    taken = threading.Semaphore(READ_AHEAD)

    def read_on(descriptor: int) -> None:
        data = b"-"
        while data:
            taken.acquire()
            data = _read_some(descriptor)
            try:
                loop.call_soon_threadsafe(arrived.put_nowait, data)
            except RuntimeError:  # the loop is closed: nobody wants the rest
                return

    threading.Thread(target=read_on, args=(sys.stdin.fileno(),), name="stdin", daemon=True).start()
    begun: list[bytes] = []
    while data := await arrived.get():
        taken.release()
        first, *others = data.split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun).decode(errors="replace") + "\n"
            begun = [other]
    if rest := b"".join(begun):
        yield rest.decode(errors="replace")


def _read_some(descriptor: int) -> bytes:
    """What there is to read, as soon as there is some; empty at the end."""
    while True:
        try:
            return os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            select.select([descriptor], [], [])
        except OSError:
            return b""


def write_all_characters(*, as_json: bool) -> None:
    """Let standard output take any text: JSON is UTF-8, other text whatever the terminal can show of it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8" if as_json else None, errors="backslashreplace")


async def reach(client: BroadcastClient, timeout_s: float) -> None:
    """Connect, trying again for `timeout_s` seconds.

    Raises:
        ConnectError: nothing answered in that time, or the server would not have us.
    """
    try:
        async with asyncio.timeout(timeout_s):
            await client.connect(retry=True)
    except Unauthorized as error:
        raise Unauthorized(with_token_hint(str(error))) from None
    except TimeoutError:
        raise ConnectError(f"no server at {client.url}") from None


def with_token_hint(reason: str) -> str:
    """Why a server wants another token, and how to give it one."""
    return f"{reason.rstrip('.')}; {WHERE_TO_PUT}."


def complain(reason: str, status: int) -> int:
    """Say on standard error what went wrong; returns `status`."""
    print(f"broadcast-tui: {visible_line(reason)}", file=sys.stderr)
    return status
