"""`BroadcastClient`: a client that reconnects by itself, and the library API."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from broadcast_tui.client.address import DEFAULT_HOST, DEFAULT_PORT, Address, parse_address
from broadcast_tui.client.disconnect import ConnectError, Disconnect, Unauthorized
from broadcast_tui.client.requests import LEAVE_TIMEOUT_S, ClientRequests
from broadcast_tui.client.security import SecurityOptions, derive_client_id, normalize_token
from broadcast_tui.client.stream import PostStream, texts_of
from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.names import check_room
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol import commands
from broadcast_tui.core.session.backoff import Backoff
from broadcast_tui.core.session.session import ClientSession
from broadcast_tui.core.session.updates import (
    ConnectionChanged,
    ConnectionState,
    DirectOpened,
    DisconnectCause,
    NoteDelivered,
    NoteRejected,
    Noticed,
    PostDelivered,
    PostRejected,
    Update,
)

if TYPE_CHECKING:
    from broadcast_tui.client.connection import Connection

BATCH_MAX = 500
FLOOD_PER_S = 500
"""Updates per second from which batches grow: each costs its reader as much as some 50 posts."""
FLOOD_BATCH_MIN = 4
"""Minimum number of updates in a batch of a flood: quick answers to single requests are not a flood."""
GROW_S = 0.015
"""Longest time for which a batch grows, since the one before."""
NONCE_BYTES = 16
UNREAD_MAX = 10_000
"""Maximum number of unread updates if nothing reads `batches`. With more, the client drops the oldest."""
READ_AHEAD_MAX = 2 * BATCH_MAX
"""The same if something reads them. With more, the client stops reading from the server.

More would not make it faster, and Python returns little of their memory to the system.
"""
READ_AHEAD_BYTES_MAX = 16_777_216
"""The same in bytes of messages."""

Outcome = PostDelivered | NoteDelivered | DirectOpened

CLIENT_CLOSED = "This client is closed; create a new one."

log = logging.getLogger("broadcast_tui.client")


class BroadcastClient(ClientRequests):
    """A client of protocol v1 that reconnects and resumes automatically.

    Args:
        host: Host of the server, or a full address such as `ws://host:8765/room`.
        port: Port of the server; ignored if `host` is a full address.
        name: Name to post under; empty to read only.
        rooms: Rooms to join; by default the room of the address, or the lobby.
        last: Number of latest posts to request when a room is first joined.
        presence: Whether others see the client come and go, in the member list and the member count. Set it
            to false for a program that is not a person. Older servers ignore it.
        client_id: Random, one per installation; by default new for each client. It is never sent: each
            server gets an id derived from it.
        token: Access token; sent over `wss://` and to this machine only.
        security: Token and trusted certificates, in place of `token` and those in the address.

    Example:
        async with BroadcastClient("localhost", 8765, name="ana") as client:
            await client.post("lobby", "Hello!")
    """

    def __init__(
        self,
        host: str = DEFAULT_HOST,
        port: int = DEFAULT_PORT,
        *,
        name: str = "",
        rooms: Iterable[str] = (),
        last: int = 50,
        presence: bool = True,
        client_id: str = "",
        token: str = "",
        security: SecurityOptions | None = None,
    ) -> None:
        self._address = parse_address(host) if "://" in host else Address(host, port)
        chosen = tuple(check_room(room) for room in rooms) or (self._address.room,)
        session = ClientSession(
            client_id=derive_client_id(client_id or secrets.token_hex(16), self._address.server_key),
            make_nonce=lambda: secrets.token_urlsafe(NONCE_BYTES),
            name=name,
            rooms=((room, last) for room in chosen),
            presence=presence,
        )
        self._session = session
        self._security = security or SecurityOptions(token or self._address.token, self._address.pin)
        self._state = ConnectionState.CLOSED
        self._backoff = Backoff(random.random)
        self._updates: deque[Update] = deque()
        self._updated = asyncio.Event()
        self._wanted_count = 1
        """Number of unread updates from which `_updated` is set."""
        self._outgoing = asyncio.Event()
        self._wakeup = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._paused = False
        """Whether the user disconnected; then there are no reconnects until `reconnect_now`."""
        self._has_reader = False
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._outcomes: dict[str, asyncio.Future[Outcome]] = {}
        """Outcomes of own posts, notes and requests that the library API waits for, by nonce or ref."""
        self._connected: asyncio.Future[None] | None = None
        self._retry_connect = False
        self._typing_sent_at = float("-inf")

    # -- interface of ClientRequests

    @property
    def url(self) -> str:
        return self._address.url

    @property
    def name(self) -> str:
        return self._session.name

    @property
    def state(self) -> ConnectionState:
        return self._state

    @property
    def rooms(self) -> tuple[str, ...]:
        return tuple(self._session.cursors)

    @property
    def unacknowledged(self) -> int:
        return self._session.unacknowledged

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def batches(self) -> AsyncIterator[list[Update]]:
        """Iterate over updates in order, in batches of 1 to 500; ends after `close`. One reader.

        In a flood, there are fewer and larger batches.
        """
        self._has_reader = True
        is_flood, batch_at = False, time.monotonic()
        while True:
            while not self._updates:
                if self._connection is not None:
                    self._connection.resume()
                if self._closing and (self._task is None or self._task.done()):
                    return
                self._updated.clear()
                await self._updated.wait()
            if is_flood:
                await self._let_batch_grow(batch_at + GROW_S)
            count, now = min(BATCH_MAX, len(self._updates)), time.monotonic()
            is_flood, batch_at = count >= max(FLOOD_BATCH_MIN, FLOOD_PER_S * (now - batch_at)), now
            yield [self._updates.popleft() for _ in range(count)]
            # Other tasks get their turn, also during a flood.
            await asyncio.sleep(0)

    async def _let_batch_grow(self, deadline: float) -> None:
        """Wait until there are enough updates for a whole batch, at most until `deadline` (monotonic)."""
        wait_s = deadline - time.monotonic()
        if len(self._updates) >= BATCH_MAX or wait_s <= 0:
            return
        self._wanted_count = BATCH_MAX
        self._updated.clear()
        timer = asyncio.get_running_loop().call_later(wait_s, self._updated.set)
        try:
            await self._updated.wait()
        finally:
            timer.cancel()
            self._wanted_count = 1

    def say(self, room: str, text: str, *, re: str = "", ask: commands.Question | None = None) -> str:
        nonce = self._session.say(room, text, time.monotonic(), re=re, ask=ask)
        self._dispatch()
        return nonce

    def send_note(self, room: str, re: str, kind: NoteKind, *, text: str = "", on: bool = True) -> str:
        nonce = self._session.send_note(room, re, kind, time.monotonic(), text=text, on=on)
        self._dispatch()
        return nonce

    def rename(self, name: str) -> str:
        ref = super().rename(name)
        if not self._paused:
            self._wakeup.set()
        return ref

    def authenticate(self, token: str) -> None:
        self._security.token = normalize_token(token)
        self._wakeup.set()

    def send_typing(self, room: str) -> None:
        """Notify the others in a room that the user is typing; at most every 3 s."""
        now = time.monotonic()
        if now - self._typing_sent_at >= 3.0:
            self._typing_sent_at = now
            self._session.send_typing(room)
            self._dispatch()

    def reconnect_now(self) -> None:
        self._paused = False
        self._wakeup.set()

    def disconnect(self) -> None:
        self._paused = True
        self._wakeup.set()
        if self._connection is not None:
            self._connection.stop()

    async def close(self, reason: str = "", timeout_s: float = LEAVE_TIMEOUT_S) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(reason, timeout_s))
        await asyncio.shield(self._closing)  # the client closes even if the call is cancelled

    async def _close(self, reason: str, timeout_s: float) -> None:
        self._wakeup.set()
        try:
            if self._session.welcomed:
                async with asyncio.timeout(timeout_s):
                    await self._leave_rooms(reason, timeout_s / 2)
        except TimeoutError:
            log.debug("server did not complete the close in time")
        finally:
            if self._connection is not None:
                self._connection.abort()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._session.disconnected(ConnectionState.CLOSED, "")
        self._dispatch()
        if self._connected is not None and not self._connected.done():
            self._connected.set_exception(ConnectError("The client was closed before it had connected."))
        for outcome in self._outcomes.values():
            if not outcome.done():
                outcome.set_exception(ConnectError("The client was closed before the post was acknowledged."))

    def _request(self, build: Callable[[str], commands.Request]) -> str:
        ref = self._session.request(build)
        self._dispatch()
        return ref

    # -- library API

    @property
    def unsent(self) -> int:
        """Number of own posts not yet sent on this connection."""
        return self._session.unsent

    async def connect(self, *, retry: bool = False) -> None:
        """Connect, and return once the server has accepted the connection.

        Args:
            retry: Keep trying while the server cannot be reached.

        Raises:
            ConnectError: The server cannot be reached or refused the connection. The client is then closed,
                as it is if the call is cancelled.
        """
        if self._closing:
            raise ConnectError(CLIENT_CLOSED)
        if self._state is ConnectionState.ONLINE:
            return
        self._retry_connect = retry
        self._connected = asyncio.get_running_loop().create_future()
        self.start()
        try:
            await self._connected
        except (ConnectError, asyncio.CancelledError):
            await self.close()
            raise

    async def post(
        self, room: str, text: str, *, re: str = "", ask: commands.Question | None = None
    ) -> PostDelivered:
        """Send a post and wait until the server has acknowledged it.

        Args:
            re: Id of the post that it replies to.
            ask: Makes the post a question.

        Raises:
            RequestError: The server rejected it; the text says why.
            ConnectError: The client was closed first.
        """
        self._check_room(room)
        nonce = self._session.say(room, text, time.monotonic(), re=re, ask=ask)
        outcome = await self._outcome(nonce)
        assert isinstance(outcome, PostDelivered)
        return outcome

    async def reply(self, room: str, post_id: str, text: str) -> PostDelivered:
        """Send a reply to a post. Raises as `post` does."""
        return await self.post(room, text, re=post_id)

    async def ask(
        self,
        room: str,
        text: str,
        choices: Iterable[str] = ("ok",),
        *,
        to: Iterable[str] = (),
        timeout_s: float = 600.0,
    ) -> PostDelivered:
        """Send a question whose answers the server counts, and wait until it is stored, not answered.

        The answers arrive as `NoteArrived` with the id of the question. Raises as `post` does.

        Args:
            choices: The answers to choose from. A question with the one choice `ok` is an announcement.
            to: Names of the people asked; by default the people in the room.
            timeout_s: Seconds until the question closes.
        """
        return await self.post(room, text, ask=commands.Question(tuple(choices), timeout_s, tuple(to)))

    async def edit(self, room: str, post_id: str, text: str) -> NoteDelivered:
        """Change the text of an own post, and wait until the server has stored the change.

        Raises:
            RequestError: The server rejected it; the text says why.
            ConnectError: The client was closed first.
        """
        return await self._change(room, post_id, NoteKind.EDIT, text)

    async def delete(self, room: str, post_id: str, reason: str = "") -> NoteDelivered:
        """Delete an own post, as an admin also those of others. Raises as `edit` does."""
        return await self._change(room, post_id, NoteKind.DELETE, reason)

    async def react(self, room: str, post_id: str, emoji: str, *, on: bool = True) -> NoteDelivered:
        """Add a reaction to a post, or remove it. Raises as `edit` does."""
        return await self._change(room, post_id, NoteKind.REACT, emoji, on)

    async def pin(self, room: str, post_id: str, *, on: bool = True) -> NoteDelivered:
        """Pin a post to its room, or unpin it. Raises as `edit` does."""
        return await self._change(room, post_id, NoteKind.PIN, "", on)

    async def answer(self, room: str, post_id: str, choice: str) -> NoteDelivered:
        """Answer a question with one of its choices. Raises as `edit` does."""
        return await self._change(room, post_id, NoteKind.ANSWER, choice)

    async def open_direct(self, name: str, last: int = 50) -> DirectOpened:
        """Open the direct messages with a person and join their room, with its `last` posts.

        Raises:
            RequestError: The server rejected it, or there is no connection; the text says why.
            ConnectError: The client was closed first.
        """
        opened = await self._outcome(self._session.request(lambda ref: commands.Direct(name, ref)))
        assert isinstance(opened, DirectOpened)
        self.join(opened.room, last)
        return opened

    async def listen(self) -> AsyncIterator[Update]:
        """Iterate over everything that happens, such as posts and notes, until the client is closed."""
        async for batch in self.batches():
            for update in batch:
                yield update

    async def _change(
        self, room: str, post_id: str, kind: NoteKind, text: str, on: bool = True
    ) -> NoteDelivered:
        self._check_room(room)
        nonce = self._session.send_note(room, post_id, kind, time.monotonic(), text=text, on=on)
        outcome = await self._outcome(nonce)
        assert isinstance(outcome, NoteDelivered)
        return outcome

    def _check_room(self, room: str) -> None:
        if room not in self.rooms:
            raise RequestError(ErrorCode.NOT_IN_ROOM, "You are not in this room; join it first.")

    async def _outcome(self, key: str) -> Outcome:
        """The outcome of what was just passed to the session. `key`: its nonce or ref.

        Raises ConnectError if the client is closed.
        """
        if self._closing:
            raise ConnectError(CLIENT_CLOSED)
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._outcomes[key] = outcome
        self._dispatch()  # what was rejected at once already has its outcome
        try:
            return await outcome
        finally:
            self._outcomes.pop(key, None)

    def listen_for_messages(self) -> PostStream:
        """Iterate over posts as they arrive: `async for post in client.listen_for_messages()`.

        If awaited instead, it prints each post as a line until the client is closed.
        """
        return PostStream(self.batches())

    async def send_messages(
        self, messages: Iterable[str] | AsyncIterable[str] | None = None, room: str = ""
    ) -> list[str]:
        """Send posts one by one, each after the previous one was acknowledged.

        Args:
            messages: Texts; by default the lines of standard input. Empty ones are skipped.
            room: Room to post in; by default the first of `rooms`.

        Returns:
            The ids of the posts, in order.

        Raises:
            RequestError: The server rejected a post; those before it were sent.
        """
        target = room or self.rooms[0]
        ids = []
        async for text in texts_of(messages):
            if text.strip():
                ids.append((await self.post(target, text.rstrip("\n"))).post_id)
        return ids

    async def __aenter__(self) -> BroadcastClient:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # -- the connection

    async def _run(self) -> None:
        # Imported late: the first frame of the TUI must not wait for websockets.
        from broadcast_tui.client.connection import Connection

        self._connection = Connection(
            self._address, self._session, self._security, self._outgoing, self._dispatch
        )
        while not self._closing:
            self._wakeup.clear()
            if self._paused:
                self._session.disconnected(ConnectionState.CLOSED, "")
                self._dispatch()
                await self._wakeup.wait()
                continue
            self._session.connecting()
            self._dispatch()
            started = time.monotonic()
            try:
                end = await self._connection.run()
            except Exception as error:
                log.exception("unexpected error in the connection; reconnecting")
                end = Disconnect(f"internal error: {error!r}")
            self._session.cause = end.cause
            self._backoff.connected_for(time.monotonic() - started)
            if self._closing:
                return
            if self._paused:
                continue
            if end.final:
                self._session.disconnected(ConnectionState.REFUSED, end.reason)
                self._dispatch()
                await self._wakeup.wait()
                continue
            spread_s = self._session.drain_spread_s
            delay_s = self._backoff.next_delay_s(end.retry_after_s)
            if spread_s is not None:
                delay_s += self._backoff.spread_s(spread_s)
            self._session.disconnected(ConnectionState.WAITING, end.reason, delay_s)
            self._dispatch()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._wakeup.wait()

    async def _leave_rooms(self, reason: str, wait_s: float) -> None:
        """Wait up to `wait_s` for unacknowledged posts, then leave all rooms and close the connection."""
        deadline = time.monotonic() + wait_s
        while self._session.unacknowledged and self._session.welcomed and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        self._session.goodbye(reason)
        assert self._connection is not None
        await self._connection.close()

    # -- updates

    def _dispatch(self) -> None:
        """Deliver the updates of the session, and have its frames sent."""
        for update in self._session.pop_updates():
            if isinstance(update, ConnectionChanged):
                self._state = update.state
                self._report_connected(update)
            elif self._outcomes:
                self._report_outcome(update)
            self._updates.append(update)
        if not self._has_reader:
            while len(self._updates) > UNREAD_MAX:
                self._updates.popleft()
        elif (connection := self._connection) is not None and (
            len(self._updates) > READ_AHEAD_MAX or connection.unread_bytes > READ_AHEAD_BYTES_MAX
        ):
            connection.pause()
        if self._session.is_writing:
            self._outgoing.set()
        if len(self._updates) >= self._wanted_count or self._closing:
            self._updated.set()

    def _report_connected(self, change: ConnectionChanged) -> None:
        if self._connected is None or self._connected.done():
            return
        if change.state is ConnectionState.ONLINE:
            self._connected.set_result(None)
        elif change.state is ConnectionState.REFUSED or (
            change.state is ConnectionState.WAITING and not self._retry_connect
        ):
            error = Unauthorized if change.cause is DisconnectCause.UNAUTHORIZED else ConnectError
            self._connected.set_exception(error(change.reason, change.cause))

    def _report_outcome(self, update: Update) -> None:
        match update:
            case PostDelivered() | NoteDelivered():
                self._resolve(update.nonce, update)
                if isinstance(update, NoteDelivered) and update.kind is NoteKind.DELETE:
                    # If `re` is a nonce, the post was deleted before it was sent.
                    self._resolve(update.re, _error(ErrorCode.NO_SUCH_POST, "This message was deleted."))
            case PostRejected() | NoteRejected():
                self._resolve(update.nonce, _error(update.code, update.reason))
            case DirectOpened():
                self._resolve(update.ref, update)
            case Noticed(error=True):
                self._resolve(update.ref, _error(update.code, update.text))

    def _resolve(self, key: str, result: Outcome | RequestError) -> None:
        outcome = self._outcomes.get(key)
        if outcome is None or outcome.done():
            return
        if isinstance(result, RequestError):
            outcome.set_exception(result)
        else:
            outcome.set_result(result)


def _error(code: str, reason: str) -> RequestError:
    known = code in ErrorCode.__members__.values()
    return RequestError(ErrorCode(code) if known else ErrorCode.INTERNAL, reason)
