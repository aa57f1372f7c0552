"""Subscriptions to channels in Redis, which survive lost connections and failovers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import redis.asyncio
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError

from broadcast_tui.core.errors import EngineError
from broadcast_tui.redis_client import FAILURES, Client, describe, end, open_node
from broadcast_tui.redis_settings import RedisSettings

CONFIRM_S = 2.0
"""Time after which a subscription without a confirmation counts as failed."""
SILENCE_S = 2.0
"""Silent time after which the connection is checked, and again until it counts as lost."""
RETRY_S = 0.2
RETRY_MAX_S = 2.0
"""First and longest delay before a lost connection is opened again."""
CHANNELS_MAX = 500
"""Channels in one command."""

log = logging.getLogger("broadcast_tui.redis")


class _Connection(PubSub):
    """A connection that is not opened again by itself, which would lose subscriptions without notice."""

    async def on_connect(self, connection: object) -> None:
        raise ConnectionError("the connection was lost")

    async def send(self, *words: str) -> None:
        """Send a command, whose reply `receive` returns."""
        if self.connection is None:
            raise ConnectionError("the connection was lost")
        try:
            await self.connection.send_command(*words, check_health=False)
        except AttributeError:  # it was closed while the command was written
            raise ConnectionError("the connection was lost") from None

    async def receive(self, timeout_s: float) -> list[Any] | None:
        """The next reply or message; None after a timeout. Faster than `parse_response`."""
        if self.connection is None or not self.connection.is_connected:
            raise ConnectionError("the connection was lost")
        reply: list[Any] | None = await self.connection.read_response(
            timeout=timeout_s, disconnect_on_error=False, push_request=True
        )
        return reply

    async def open(self) -> None:
        await self.connect()  # type: ignore[no-untyped-call]

    async def disconnect(self) -> None:
        """Let the reader notice that the connection is unusable."""
        if self.connection is not None:
            with contextlib.suppress(*FAILURES):
                await self.connection.disconnect(nowait=True)

    async def close_quietly(self) -> None:
        with contextlib.suppress(*FAILURES):
            await self.aclose()  # type: ignore[no-untyped-call]


class Subscriber:
    """Subscriptions over one connection, or over one to each node of a Redis Cluster.

    Args:
        client: Client of `settings`.
        received: Called with the channel and each message.
        lost: Called when a connection is lost, once until `resumed`.
        resumed: Called when all subscriptions are there again; messages may have been missed.
    """

    def __init__(
        self,
        settings: RedisSettings,
        client: Client,
        *,
        received: Callable[[str, bytes], None],
        lost: Callable[[], None] = lambda: None,
        resumed: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._client = client
        self._received = received
        self._lost = lost
        self._resumed = resumed
        self._confirmed: dict[str, asyncio.Future[None]] = {}
        """The channels to follow; the future is done while the subscription exists."""
        self._feeds: dict[tuple[str, int], _Feed] = {}
        self._is_interrupted = False

    @property
    def channels(self) -> Iterable[str]:
        """The channels that are followed."""
        return self._confirmed.keys()

    @property
    def is_complete(self) -> bool:
        """Whether all subscriptions exist now."""
        return not self._is_interrupted and all(confirmed.done() for confirmed in self._confirmed.values())

    async def subscribe(self, *channels: str) -> None:
        """Follow channels; returns when their messages arrive.

        Raises EngineError if that takes too long. The channels are followed nevertheless as soon as possible,
        until `unsubscribe`.
        """
        loop = asyncio.get_running_loop()
        new = [channel for channel in channels if channel not in self._confirmed]
        for channel in new:
            self._confirmed[channel] = loop.create_future()
        try:
            async with asyncio.timeout(CONFIRM_S):
                await self._send("SUBSCRIBE", new)
                for channel in channels:
                    if (confirmed := self._confirmed.get(channel)) is not None:
                        await asyncio.shield(confirmed)
        except FAILURES as error:
            raise EngineError(describe(error, self._settings)) from None

    async def unsubscribe(self, *channels: str) -> None:
        """Stop following channels."""
        known = [channel for channel in channels if self._confirmed.pop(channel, None) is not None]
        with contextlib.suppress(*FAILURES):  # the next connection does not subscribe to them
            await self._send("UNSUBSCRIBE", known)

    async def publish(self, channel: str, message: bytes) -> None:
        """Send a message to the subscribers of a channel. Raises the failures of the client."""
        await self._client.execute_command(self.publish_command, channel, message)

    @property
    def publish_command(self) -> str:
        """The command by which messages reach subscribers."""
        return self._settings.publish_command

    async def close(self) -> None:
        """Close all connections."""
        feeds = list(self._feeds.values())
        self._feeds.clear()
        await asyncio.gather(*(feed.close() for feed in feeds))
        for confirmed in self._confirmed.values():
            confirmed.cancel()
        self._confirmed.clear()

    # -- connections

    async def _send(self, command: str, channels: Sequence[str]) -> None:
        """Send a command about channels to the connections that they belong to."""
        if not channels:
            return
        try:
            found = await self._by_feed(channels)
        except FAILURES:
            if command == "SUBSCRIBE":
                self._any_feed().channels.update(channels)  # they are moved when it connects
            raise
        for feed, own in found.items():
            if command == "SUBSCRIBE":
                feed.channels.update(own)
            else:
                feed.channels.difference_update(own)
            await feed.send(command, own)

    async def _by_feed(self, channels: Iterable[str]) -> dict[_Feed, list[str]]:
        if not isinstance(self._client, redis.asyncio.RedisCluster):
            return {self._feed(("", 0)): list(channels)}
        await self._client.initialize()
        found: defaultdict[_Feed, list[str]] = defaultdict(list)
        for channel in channels:
            node = self._client.get_node_from_key(channel)
            if node is None:
                raise ConnectionError("no node has the slot of a channel")
            found[self._feed((node.host, int(node.port)))].append(channel)
        return found

    def _any_feed(self) -> _Feed:
        """A connection for channels whose node is unknown."""
        return next(iter(self._feeds.values()), None) or self._feed(self._settings.hosts[0])

    def _feed(self, address: tuple[str, int]) -> _Feed:
        if address not in self._feeds:
            if isinstance(self._client, redis.asyncio.RedisCluster):
                client, is_own = open_node(self._settings, *address), True
            else:
                client, is_own = self._client, False
            self._feeds[address] = _Feed(self, address, client, is_own)
        return self._feeds[address]

    # -- what the connections report

    def _message(self, kind: bytes, channel: str, data: bytes) -> None:
        if kind in (b"message", b"smessage"):
            if channel not in self._confirmed:
                return
            try:
                self._received(channel, data)
            except Exception:  # a newer version may have sent it
                log.exception("a message in Redis could not be handled")
        elif (confirmed := self._confirmed.get(channel)) is not None and not confirmed.done():
            confirmed.set_result(None)
            if self._is_interrupted and all(known.done() for known in self._confirmed.values()):
                self._is_interrupted = False
                self._resumed()

    def _interrupted(self, channels: Iterable[str]) -> None:
        loop = asyncio.get_running_loop()
        for channel in channels:
            if (confirmed := self._confirmed.get(channel)) is not None and confirmed.done():
                self._confirmed[channel] = loop.create_future()
        if not self._is_interrupted:
            self._is_interrupted = True
            self._lost()

    async def _move(self, feed: _Feed) -> None:
        """Subscribe again to the channels of a lost connection, wherever they belong now."""
        channels = {channel for channel in feed.channels if channel in self._confirmed}
        if isinstance(self._client, redis.asyncio.RedisCluster):
            await self._client.nodes_manager.initialize()
        feed.channels.clear()
        try:
            found = await self._by_feed(channels)
        except FAILURES:
            feed.channels |= channels
            raise
        for other, own in found.items():
            other.channels.update(own)
            if other is not feed:
                await other.send("SUBSCRIBE", own)
        if not feed.channels and feed.is_own:
            self._feeds.pop(feed.address, None)


class _Feed:
    """One connection, which is opened again when it is lost."""

    def __init__(
        self, owner: Subscriber, address: tuple[str, int], client: redis.asyncio.Redis, is_own: bool
    ) -> None:
        self.address = address
        self.is_own = is_own
        """Whether the client belongs to it."""
        self.channels: set[str] = set()
        self._owner = owner
        self._client = client
        self._connection: _Connection | None = None
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def send(self, command: str, channels: Sequence[str]) -> None:
        """Subscribe or unsubscribe now, or with the next connection."""
        connection = self._connection
        if connection is None:
            return
        try:
            if self.is_own:  # channels of different slots cannot be in one command
                for channel in channels:
                    await connection.send(f"S{command}", channel)
                return
            for start in range(0, len(channels), CHANNELS_MAX):
                await connection.send(command, *channels[start : start + CHANNELS_MAX])
        except FAILURES:
            if self._connection is connection:  # the reader opens another one
                await connection.disconnect()

    async def close(self) -> None:
        """Close the connection."""
        await end(self._task)

    async def _run(self) -> None:
        delay_s = 0.0
        try:
            while True:
                try:
                    await self._follow()
                except FAILURES as error:
                    log.debug("a subscription was lost: %s", describe(error, self._owner._settings))
                if self._connection is not None:
                    delay_s = 0.0
                await self._drop()
                self._owner._interrupted(self.channels)
                await asyncio.sleep(delay_s)
                delay_s = min(max(2 * delay_s, RETRY_S), RETRY_MAX_S)
                try:
                    await self._owner._move(self)
                except FAILURES:
                    continue
                if self._owner._feeds.get(self.address) is not self:
                    return
        finally:
            await self._drop()
            if self.is_own:
                await self._client.aclose()

    async def _follow(self) -> None:
        """Pass on messages until the connection is lost."""
        connection = _Connection(self._client.connection_pool)
        try:
            await connection.open()
        except BaseException:
            await connection.close_quietly()
            raise
        self._connection = connection
        await self.send("SUBSCRIBE", sorted(self.channels))
        is_checking = False
        while True:
            reply = await connection.receive(SILENCE_S)
            if reply is None:
                if is_checking:
                    raise ConnectionError("no reply to a check")
                is_checking = True
                await connection.send("PING")
                continue
            is_checking = False
            match reply:
                case [(b"message" | b"smessage" | b"subscribe" | b"ssubscribe") as kind, channel, data]:
                    self._owner._message(kind, channel.decode(), data)
                case [b"sunsubscribe", channel, _] if channel.decode() in self.channels:
                    raise ConnectionError("the slot of a channel has moved")

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close_quietly()
