"""`broadcast-tui send`: send posts from arguments or standard input."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from broadcast_tui import cli
from broadcast_tui.cli.connect_options import ConnectOptions
from broadcast_tui.cli.credentials import add_advice
from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.pipes import (
    connect,
    posting_client,
    print_error,
    read_input,
    read_input_lines,
)
from broadcast_tui.client import BroadcastClient, ConnectError
from broadcast_tui.core.post import Position
from broadcast_tui.core.session.updates import ConnectionChanged, ConnectionState, PostRejected

BACKLOG = 500
"""Maximum number of posts in flight; then reading pauses."""


def send(
    *text: cli.option_types.Words,
    url: str = "",
    room: str | None = None,
    name: str | None = None,
    as_one: bool = False,
    wait: bool = False,
    reply_to: str = "",
    connection: cli.option_types.Connection = ConnectOptions(),  # noqa: B008
    timeout: cli.option_types.Duration = 10.0,
) -> int:
    """Send posts from the arguments, or from standard input with one post per line.

    Parameters
    ----------
    text
        Text of one post [default: read standard input].
    url
        Server and room, such as ws://host:8765/lobby, or an invite; - prompts [default: localhost:8765].
    room
        Room to post in [default: that of the URL, or lobby].
    name
        Name to post under [default: your login name, or a guest's as root].
    as_one
        Send all of standard input as one post.
    wait
        Wait until the server has stored each post; the exit status then shows whether it did.
    reply_to
        Id of the post that the posts reply to, as printed by tail --json.
    timeout
        Time to keep trying to connect: seconds, or such as 2m.
    """
    if reply_to and Position.parse(reply_to) is None:
        raise UsageError(f"--reply-to: {reply_to!r} is not the id of a post. Copy it from tail --json.")
    client = posting_client(url, room, name, connection)
    sender = _Sender(client, client.rooms[0], wait=wait, timeout_s=timeout, re=reply_to)
    return asyncio.run(sender.run(_posts(text, as_one)))


async def _posts(text: tuple[str, ...], as_one: bool) -> AsyncIterator[str]:
    if text:
        yield " ".join(text)
    elif as_one:
        yield await read_input()
    else:
        async for line in read_input_lines():
            if line.strip():
                yield line.rstrip("\n")


class _Sender:
    """Sends posts and waits until all are written, or acknowledged with `wait`.

    A rejected post is reported, and the others are sent.
    """

    def __init__(
        self, client: BroadcastClient, room: str, *, wait: bool, timeout_s: float, re: str = ""
    ) -> None:
        self._client = client
        self._room = room
        self._wait = wait
        self._timeout_s = timeout_s
        self._re = re
        self._changed = asyncio.Event()
        self._rejections: set[str] = set()
        self._unreachable = ""
        self._failed = asyncio.Event()

    async def run(self, posts: AsyncIterator[str]) -> int:
        try:
            await connect(self._client, self._timeout_s)
        except ConnectError as error:
            return self._print_error(str(error), ExitCode.UNREACHABLE)
        tasks = [asyncio.create_task(work) for work in (self._feed(posts), self._wait_for_failure())]
        follower = asyncio.create_task(self._follow_updates())
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._client.close()
            await follower
        if self._unreachable:
            return self._print_error(self._unreachable, ExitCode.UNREACHABLE)
        return ExitCode.REFUSED if self._rejections else ExitCode.OK

    async def _feed(self, posts: AsyncIterator[str]) -> None:
        async for post in posts:
            self._client.say(self._room, post, re=self._re)
            await self._wait_for_backlog(BACKLOG)
        await self._wait_for_backlog(0)

    async def _wait_for_failure(self) -> None:
        await self._failed.wait()

    async def _wait_for_backlog(self, count: int) -> None:
        """Wait until at most `count` posts are unsent, or unacknowledged with `wait`."""
        while (self._client.unacknowledged if self._wait else self._client.unsent) > count:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await self._changed.wait()

    async def _follow_updates(self) -> None:
        """Report rejected posts, and fail if the server is unreachable for too long."""
        lost: asyncio.TimerHandle | None = None
        async for batch in self._client.batches():
            for update in batch:
                if isinstance(update, PostRejected):
                    if update.reason not in self._rejections:
                        self._print_error(update.reason, ExitCode.REFUSED)
                    self._rejections.add(update.reason)
                elif isinstance(update, ConnectionChanged):
                    if update.state is ConnectionState.ONLINE and lost is not None:
                        lost.cancel()
                        lost = None
                    elif update.state is ConnectionState.REFUSED:
                        self._fail(add_advice(update.reason, update.cause))
                    elif update.state is ConnectionState.WAITING and lost is None:
                        loop = asyncio.get_running_loop()
                        lost = loop.call_later(self._timeout_s, self._fail, update.reason)
            self._changed.set()
        if lost is not None:
            lost.cancel()

    def _fail(self, reason: str) -> None:
        self._unreachable = reason
        self._failed.set()

    @staticmethod
    def _print_error(reason: str, status: int) -> int:
        return print_error(f"not sent: {reason}", status)
