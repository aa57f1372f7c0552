"""`broadcast-tui send`: posts from the command line or a pipe."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from broadcast_tui.cli.credentials import security_for
from broadcast_tui.cli.errors import ExitCode
from broadcast_tui.cli.pipes import complain, identity, lines_of_input, reach, server_address, with_token_hint
from broadcast_tui.client import BroadcastClient, ConnectError
from broadcast_tui.core.session.updates import ConnectionChanged, ConnectionState, PostRejected

BACKLOG = 500
"""Posts on their way before more of the input is read."""


def send(
    *text: Annotated[str, Parameter(allow_leading_hyphen=False)],
    url: str = "",
    room: str | None = None,
    name: str | None = None,
    as_one: Annotated[bool, Parameter(negative=())] = False,
    wait: Annotated[bool, Parameter(negative=())] = False,
    token_file: str = "",
    ca: str = "",
    insecure_token: Annotated[bool, Parameter(negative=())] = False,
    timeout: Annotated[float, Parameter(validator=Number(gt=0))] = 10.0,
) -> int:
    """Send posts: the words given, or standard input, a post a line.

    Parameters
    ----------
    text
        What to send, as one post; without it, standard input is read.
    url
        Server and room, such as ws://host:8765/lobby, or an invite; - asks for it [default: localhost:8765].
    room
        Room to send to [default: that of the URL, else lobby].
    name
        Name beside the posts [default: your user name].
    as_one
        Send all of standard input as one post instead of one a line.
    wait
        Wait until the server has kept each post; the exit status then says whether it did.
    token_file
        File with the token to show, readable by you alone [default: BROADCAST_TUI_TOKEN, or what is kept].
    ca
        File with the authorities whose certificates to trust [default: those of the system].
    insecure_token
        Send the token over unencrypted connections to other machines too.
    timeout
        Seconds to go on trying to reach the server.
    """
    address = server_address(url, room)
    chosen, client_id = identity(name)
    security = security_for(address, token_file, ca, insecure_token)
    client = BroadcastClient(
        address.url, name=chosen, rooms=[address.room], last=0, client_id=client_id, security=security
    )
    sender = _Sender(client, address.room, wait=wait, timeout_s=timeout)
    return asyncio.run(sender.run(_posts(text, as_one)))


async def _posts(text: tuple[str, ...], as_one: bool) -> AsyncIterator[str]:
    if text:
        yield " ".join(text)
    elif as_one:
        yield "".join([line async for line in lines_of_input()]).rstrip("\n")
    else:
        async for line in lines_of_input():
            if line.strip():
                yield line.rstrip("\n")


class _Sender:
    """Says each post, then waits for what was asked: written, or acknowledged.

    A post that is refused is complained of and the others are sent all the same.
    """

    def __init__(self, client: BroadcastClient, room: str, *, wait: bool, timeout_s: float) -> None:
        self._client = client
        self._room = room
        self._wait = wait
        self._timeout_s = timeout_s
        self._dispatch = asyncio.Event()
        self._refusals: set[str] = set()
        self._unreachable = ""
        self._gave_up = asyncio.Event()

    async def run(self, posts: AsyncIterator[str]) -> int:
        try:
            await reach(self._client, self._timeout_s)
        except ConnectError as error:
            return self._complain(str(error), ExitCode.UNREACHABLE)
        tasks = [asyncio.create_task(work) for work in (self._feed(posts), self._end_of_hope())]
        watch = asyncio.create_task(self._watch())
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._client.close()
            await watch
        if self._unreachable:
            return self._complain(self._unreachable, ExitCode.UNREACHABLE)
        return ExitCode.REFUSED if self._refusals else ExitCode.OK

    async def _feed(self, posts: AsyncIterator[str]) -> None:
        async for post in posts:
            self._client.say(self._room, post)
            await self._until(BACKLOG)
        await self._until(0)

    async def _end_of_hope(self) -> None:
        await self._gave_up.wait()

    async def _until(self, count: int) -> None:
        """Wait until at most `count` posts are still to be written, or acknowledged with `wait`."""
        while (self._client.unacknowledged if self._wait else self._client.unsent) > count:
            self._dispatch.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await self._dispatch.wait()

    async def _watch(self) -> None:
        """Notice refusals, and a server that is gone for too long."""
        lost: asyncio.TimerHandle | None = None
        async for batch in self._client.batches():
            for update in batch:
                if isinstance(update, PostRejected):
                    if update.reason not in self._refusals:
                        self._complain(update.reason, ExitCode.REFUSED)
                    self._refusals.add(update.reason)
                elif isinstance(update, ConnectionChanged):
                    if update.state is ConnectionState.ONLINE and lost is not None:
                        lost.cancel()
                        lost = None
                    elif update.state is ConnectionState.REFUSED:
                        hint = with_token_hint if update.unauthorized else str
                        self._give_up(hint(update.reason))
                    elif update.state is ConnectionState.WAITING and lost is None:
                        loop = asyncio.get_running_loop()
                        lost = loop.call_later(self._timeout_s, self._give_up, update.reason)
            self._dispatch.set()
        if lost is not None:
            lost.cancel()

    def _give_up(self, reason: str) -> None:
        self._unreachable = reason
        self._gave_up.set()

    @staticmethod
    def _complain(reason: str, status: int) -> int:
        return complain(f"not sent: {reason}", status)
