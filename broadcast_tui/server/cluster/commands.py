"""The commands of a node to Redis: executed in order, those that arrive meanwhile in one round trip."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError

from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.redis_client import FAILURES, Client, end
from broadcast_tui.server.cluster.link_stats import LinkStats
from broadcast_tui.server.cluster.scripts import Script

BATCH_MAX = 256
"""Commands in one round trip."""
TIMEOUT_S = 2.0
"""Time after which Redis counts as unreachable."""
UNAVAILABLE = "The server cannot do that right now. Try again in a moment."


class UnavailableError(RequestError):
    """Redis cannot be reached or cannot execute commands. It may have executed them."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.TRY_LATER, UNAVAILABLE, temporary=True, retry_after=2.0)


class Command(NamedTuple):
    """A command and where its reply goes."""

    words: tuple[Any, ...]
    script: Script | None
    reply: asyncio.Future[Any] | None


class CommandQueue:
    """Commands to Redis in order, over a client.

    While Redis is away, all commands fail at once: what matters is written again when it is back.

    Args:
        failed: Called when commands fail because Redis is away.
    """

    def __init__(self, client: Client, failed: Callable[[], None]) -> None:
        self._client = client
        self._failed = failed
        self._queue: deque[Command] = deque()
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.stats = LinkStats()
        self._loaded: set[Script] = set()
        """The scripts that Redis has, unless it was restarted."""
        self.is_up = False
        """Whether commands are accepted; those of `probe` and `probe_command` always are."""

    def start(self) -> None:
        """Execute commands from now on."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End, without what waits."""
        if self._task is not None:
            await end(self._task)
        self._fail(self._take())

    async def drain(self) -> None:
        """Wait until everything that was queued is executed."""
        if self.is_up:
            await self.call("PING")

    # -- commands

    def run(self, script: Script, key: str, *arguments: object) -> None:
        """Queue a script whose reply does not matter."""
        self._put(("EVALSHA", script.sha, 1, key, *arguments), script, None)

    def put(self, *words: object) -> None:
        """Queue a command whose reply does not matter."""
        self._put(words, None, None)

    def eval(self, script: Script, key: str, *arguments: object) -> asyncio.Future[Any]:
        """Queue a script; the reply raises UnavailableError."""
        reply = asyncio.get_running_loop().create_future()
        self._put(("EVALSHA", script.sha, 1, key, *arguments), script, reply)
        return reply

    def call(self, *words: object) -> asyncio.Future[Any]:
        """Queue a command; the reply raises UnavailableError."""
        reply = asyncio.get_running_loop().create_future()
        self._put(words, None, reply)
        return reply

    async def probe(self, script: Script, key: str, *arguments: object) -> Any:
        """Execute a script now, even if Redis was away. Raises UnavailableError."""
        return await self._probe(("EVALSHA", script.sha, 1, key, *arguments), script)

    async def probe_command(self, *words: object) -> Any:
        """Execute a command now, even if Redis was away. Raises UnavailableError."""
        return await self._probe(words, None)

    async def _probe(self, words: tuple[object, ...], script: Script | None) -> Any:
        reply = asyncio.get_running_loop().create_future()
        await self._execute([Command(words, script, reply)])
        return await reply

    # -- execution

    def _put(
        self, words: tuple[object, ...], script: Script | None, reply: asyncio.Future[Any] | None
    ) -> None:
        command = Command(words, script, reply)
        if not self.is_up:
            self._fail([command])
            return
        self._queue.append(command)
        self._arrived.set()

    def _take(self) -> list[Command]:
        commands = list(self._queue)
        self._queue.clear()
        return commands

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue:
                await self._execute([self._queue.popleft() for _ in range(min(len(self._queue), BATCH_MAX))])

    async def _execute(self, commands: Sequence[Command]) -> None:
        """Execute commands in one round trip, or fail all of them."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        self.stats.commands += len(commands)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                # Before the commands, as those with an unknown script would be executed after the others.
                await self._load({command.script for command in commands if command.script is not None})
                replies = await self._send(commands)
                unknown = [
                    command
                    for command, reply in zip(commands, replies, strict=True)
                    if isinstance(reply, NoScriptError)
                ]
                if unknown:
                    self._loaded.clear()
                    await self._load({command.script for command in unknown if command.script is not None})
                    again = iter(await self._send(unknown))
                    replies = [
                        next(again) if isinstance(reply, NoScriptError) else reply for reply in replies
                    ]
        except FAILURES:
            self._fail(commands)
            self._disconnected()
            return
        except asyncio.CancelledError:
            self._fail(commands)
            raise
        self.stats.round_trips.observe(loop.time() - started)
        if any(isinstance(reply, Exception) for reply in replies):
            self._disconnected()
        for command, reply in zip(commands, replies, strict=True):
            if command.reply is None or command.reply.done():
                continue
            if isinstance(reply, Exception):
                command.reply.set_exception(UnavailableError())
            else:
                command.reply.set_result(reply)

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command.words)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies

    async def _load(self, scripts: set[Script]) -> None:
        for script in scripts - self._loaded:
            await self._client.script_load(script.text)
            self._loaded.add(script)

    def _disconnected(self) -> None:
        """Fail what waits, and report it once."""
        self._loaded.clear()
        was_up, self.is_up = self.is_up, False
        self._fail(self._take())
        if was_up:
            self._failed()

    def _fail(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if command.reply is not None and not command.reply.done():
                command.reply.set_exception(UnavailableError())
                command.reply.exception()  # it may have no reader
