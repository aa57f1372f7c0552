"""`Visitor`: a v1 connection of the hub that belongs to HTTP requests, without a WebSocket.

All that requests do goes through one, so that limits, tokens, mutes, bans, nonces and gaps are those of the
protocol. A visitor is not counted as a person, and it is in one room at most.

Invariants: a visitor that is not read holds about `BUFFER_BYTES` and a single write at most; then its cursor
lags behind, as that of any slow connection. The visitors of one token, or of one address without a token,
share their rate limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from broadcast_tui.core.errors import CloseCode, ErrorCode, RequestError
from broadcast_tui.core.hub.auth import Identity
from broadcast_tui.core.hub.peer import RateLimits
from broadcast_tui.core.names import is_direct
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.codec import decode_event, encode, frame, text_frames
from broadcast_tui.core.protocol.handshake import WEB_CLIENT_PREFIX
from broadcast_tui.core.rate_limit import ADDRESSES_MAX, LruMap
from broadcast_tui.server.batch_send import NO_DESCRIPTOR

if TYPE_CHECKING:
    from broadcast_tui.server.runner import HubRunner

BUFFER_BYTES = 131_072
"""Size of unread frames above which a visitor gets no more of them."""
REPLY_TIMEOUT_S = 30.0
"""Maximum time to wait for the reply to a command, such as that of a store that does not respond."""
GUEST_NUMBERS = range(100_000, 1_000_000)
"""Numbers in the sender names of visitors without a name, which depend on their address only."""
_CLOSE_ERRORS = {
    CloseCode.UNAUTHORIZED: ErrorCode.UNAUTHORIZED,
    CloseCode.KICKED: ErrorCode.FORBIDDEN,
    CloseCode.REPLACED: ErrorCode.NAME_TAKEN,
    CloseCode.TOO_MANY_REQUESTS: ErrorCode.RATE_LIMITED,
    CloseCode.TOO_MANY_ERRORS: ErrorCode.RATE_LIMITED,
    CloseCode.INTERNAL: ErrorCode.INTERNAL,
}
"""Error codes for the close codes of a connection that got no error before."""


class VisitorClosedError(RequestError):
    """The hub has closed the visitor, with the reason that a WebSocket client would get."""


class Visitors:
    """Opens the visitors of a server, and stores the rate limits that they share.

    Example:
        async with visitors.open(address, rate_limit_key=key) as visitor:
            await visitor.enter(commands.RoomRequest("ops"), name="ken")
    """

    def __init__(self, runner: HubRunner) -> None:
        self._runner = runner
        self._limits = LruMap[RateLimits](lambda _: RateLimits(), ADDRESSES_MAX)

    def open(self, address: str, *, rate_limit_key: str = "", identity: Identity | None = None) -> Visitor:
        """A visitor that is to be used as an asynchronous context manager.

        Args:
            address: `host:port` of the client.
            rate_limit_key: Key of its address for limits per address; empty if it is exempt.
            identity: Identity from its token; None without one.
        """
        host = address.rpartition(":")[0]
        key = f"token {identity.token_id}" if identity is not None else rate_limit_key or host
        return Visitor(self._runner, address, rate_limit_key, identity, self._limits.use(key))


class Visitor:
    """A connection of the hub; see `Visitors.open`.

    Implements `broadcast_tui.core.hub.peer.Link`.
    """

    def __init__(
        self,
        runner: HubRunner,
        address: str,
        rate_limit_key: str,
        identity: Identity | None,
        limits: RateLimits,
    ) -> None:
        self._runner = runner
        self._host = address.rpartition(":")[0]
        self._received: deque[bytes] = deque()
        """Frames from the hub that were not read, in the chunks in which they were written."""
        self._received_bytes = 0
        self._parsed: deque[bytes] = deque()
        self._is_held = False
        self._is_blocked = False
        """Whether the buffer of the function that gets its frames is full."""
        self._waiting: deque[bytes] = deque()
        """Commands that wait while the hub prepares an earlier one."""
        self._sink: Callable[[bytes], None] | None = None
        self._changed = asyncio.Event()
        self._closing: tuple[CloseCode, str] | None = None
        self.peer = runner.hub.open(
            self,
            v1=True,
            address=address,
            when=runner.instant(),
            identity=identity,
            rate_limit_key=rate_limit_key,
        )
        self.peer.share_rate_limits(limits)
        self.peer.deferred = True

    async def __aenter__(self) -> Visitor:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        rooms, when = self._runner.hub.rooms, self._runner.instant()
        for subscription in list(self.peer.subscriptions.values()):
            rooms.leave(self.peer, subscription.room, when, grace=False)  # the name is free at once
        self._runner.detach(self.peer)

    # -- Link

    @property
    def fileno(self) -> int:
        return NO_DESCRIPTOR

    def write_now(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink(data)
            return
        self._received.append(data)
        self._received_bytes += len(data)
        if self._received_bytes >= BUFFER_BYTES and not self.peer.blocked:
            self._runner.set_blocked(self.peer, True)
        self._changed.set()

    def hold(self) -> None:
        self._is_held = True

    def release(self) -> None:
        self._is_held = False
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._pass_on)

    def _pass_on(self) -> None:
        while self._waiting and not self._is_held:
            self._runner.receive(self.peer, self._waiting.popleft(), True)

    def end(self, code: CloseCode, reason: str) -> None:
        """Close the visitor from the side of the hub, after what has been written to it."""
        if self._closing is None:
            self._closing = code, reason
            self._changed.set()

    # -- streams

    def forward(self, sink: Callable[[bytes], None]) -> None:
        """Pass the frames that have not been read, and all later ones, to a function instead of `read`.

        It gets complete WebSocket frames, must not wait, and reports with `set_blocked` when its buffer is
        full.
        """
        self._sink = sink
        rest = [*map(frame, self._parsed), *self._received]
        self._parsed.clear()
        self._received.clear()
        self._received_bytes = 0
        if rest:
            sink(b"".join(rest))
        if self.peer.blocked and not self._is_blocked:
            self._runner.set_blocked(self.peer, False)

    def set_blocked(self, blocked: bool) -> None:
        """Stop to forward frames, or go on."""
        self._is_blocked = blocked
        self._runner.set_blocked(self.peer, blocked)

    @property
    def closed(self) -> VisitorClosedError | None:
        """Why the hub has closed the visitor; None while it is open."""
        return None if self._closing is None else _closed(*self._closing)

    async def wait(self, timeout_s: float) -> None:
        """Wait until the hub closes the visitor or somebody calls `wake`, at most for some time.

        May return early, but not too late: check afterwards what has happened.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        self._changed.clear()

    def wake(self) -> None:
        """End `wait`."""
        self._changed.set()

    # -- commands

    async def enter(self, room: commands.RoomRequest, *, name: str = "") -> events.RoomState:
        """Enter a room, which is the first command of a visitor.

        Args:
            name: Name on a server without tokens; ignored with an identity. Without one, a guest enters.

        Raises:
            RequestError: The hub rejects the name, the room or the client.
        """
        if is_direct(room.room):
            raise RequestError(ErrorCode.BAD_ROOM, "Direct messages are not available over HTTP.")
        welcome = await self.welcome(name=name, rooms=(room,))
        if not welcome.rooms:
            while not isinstance(event := await self._reply(), events.Error):
                pass
            raise _error_of(event)
        return welcome.rooms[0]

    async def welcome(self, *, name: str = "", rooms: tuple[commands.RoomRequest, ...]) -> events.Welcome:
        """Send the hello of a visitor. Raises RequestError."""
        peer, identity = self.peer, self.peer.identity
        client = self._client_id(name)
        peer.guest_number = GUEST_NUMBERS[int(client[-8:], 16) % len(GUEST_NUMBERS)]
        peer.set_client_id(client)
        hello = commands.Hello(
            name if identity is None else "",
            client,
            rooms=rooms,
            presence=False,
            notes=True,
            epochs=True,
        )
        self.send(hello)
        while not isinstance(event := await self._reply(), events.Welcome):
            if isinstance(event, events.Error):
                raise _error_of(event)
        return event

    def _client_id(self, name: str) -> str:
        """The same id for each request of a token, or of an address and name, also after a restart.

        WebSocket clients cannot use it.
        """
        identity = self.peer.identity
        source = f"token {identity.token_id}" if identity is not None else f"{self._host} {name}"
        return WEB_CLIENT_PREFIX + hashlib.sha256(source.encode()).hexdigest()[:32]

    async def publish(self, say: commands.Say) -> events.Ack:
        """Post, and return when the engine has stored the post.

        Without a nonce, the post gets a random one. Raises RequestError.
        """
        return await self._append(say)

    async def change(self, note: commands.Note) -> events.Ack:
        """Change a post, and return when the engine has stored that; otherwise as `publish`."""
        return await self._append(note)

    async def _append(self, entry: commands.Say | commands.Note) -> events.Ack:
        if not entry.nonce:
            entry = msgspec.structs.replace(entry, nonce=secrets.token_hex(8))
        self.send(entry)
        while True:
            event = await self._reply()
            if isinstance(event, events.Ack) and event.nonce == entry.nonce:
                return event
            if isinstance(event, events.Error):
                raise _error_of(event)

    async def request(
        self, command: commands.FetchHistory | commands.Search | commands.ListRooms
    ) -> events.History | events.Found | events.RoomList:
        """The reply to a request. Raises RequestError."""
        self.send(command)
        while True:
            event = await self._reply()
            if isinstance(event, events.History | events.Found | events.RoomList):
                return event
            if isinstance(event, events.Error):
                raise _error_of(event)

    def send(self, command: commands.Command) -> None:
        """Send a command to the hub."""
        self._waiting.append(encode(command))
        self._pass_on()

    # -- events

    async def _reply(self) -> events.Event:
        """The next event while a reply is due. Raises RequestError if there is none in time."""
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                return await self.next_event()
        except TimeoutError:
            text = "The server did not answer in time. Try again."
            raise RequestError(ErrorCode.TRY_LATER, text, temporary=True, retry_after=5.0) from None

    async def next_event(self) -> events.Event:
        """The next event. Raises VisitorClosedError if the hub has closed the visitor."""
        while True:
            if not self._parsed:
                self._parsed.extend(text_frames(await self.read())[0])
            event = decode_event(self._parsed.popleft())
            if event is not None:
                return event

    async def read(self) -> bytes:
        """The next frames, as they were written: complete WebSocket frames, never empty.

        Those that were written together with an event of `next_event` come first.

        Raises:
            VisitorClosedError: The hub has closed the visitor, and all frames have been read.
        """
        if self._parsed:
            rest = b"".join(map(frame, self._parsed))
            self._parsed.clear()
            return rest
        while not self._received:
            if self._closing is not None:
                raise _closed(*self._closing)
            self._changed.clear()
            await self._changed.wait()
        data = self._received.popleft()
        self._received_bytes -= len(data)
        if self.peer.blocked and self._received_bytes < BUFFER_BYTES // 4:
            self._runner.set_blocked(self.peer, False)
        return data


def _error_of(event: events.Error) -> RequestError:
    return RequestError(
        ErrorCode(event.code), event.message, temporary=event.temporary, retry_after=event.retry_after
    )


def _closed(code: CloseCode, reason: str) -> VisitorClosedError:
    error = _CLOSE_ERRORS.get(code, ErrorCode.TRY_LATER)
    is_temporary = error in (ErrorCode.TRY_LATER, ErrorCode.RATE_LIMITED)
    return VisitorClosedError(
        error, reason, temporary=is_temporary, retry_after=2.0 if is_temporary else None
    )
