"""`BroadcastServer`: listens, accepts connections, and stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.errors import BroadcastError, CloseCode
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.sanctions import Sanction
from broadcast_tui.core.limits import AdmissionLimits, Limits
from broadcast_tui.core.names import DEFAULT_ROOM, check_name, check_room
from broadcast_tui.core.post import NewPost
from broadcast_tui.core.protocol.events import Drain, Message, System
from broadcast_tui.core.protocol.handshake import SUBPROTOCOL, websocket_url
from broadcast_tui.core.text import clean_post, log_safe
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.store_stats import HasStoreStats
from broadcast_tui.engine.volatile import with_volatile_rooms
from broadcast_tui.server.activity_log import LoopErrors
from broadcast_tui.server.admission import Admission
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.connection import PeerConnection, address_of
from broadcast_tui.server.keepalive import CLOSE_TIMEOUT_S
from broadcast_tui.server.listen import ACCEPTS_PER_TURN, ListenError, choose_addresses, widen_backlog
from broadcast_tui.server.open_connection import OpenConnection, connection_class
from broadcast_tui.server.runner import HubRunner
from broadcast_tui.server.sanction_store import SanctionFile, SanctionFileError
from broadcast_tui.server.store_health import StoreHealth
from broadcast_tui.server.tls import ServerTls
from broadcast_tui.server.tls_handshake import TlsHandshakeProtocol, separate_buffers
from broadcast_tui.server.watchdog import Watchdog

if TYPE_CHECKING:
    from broadcast_tui.server.cluster.redis_link import RedisLink
    from broadcast_tui.server.web.app import WebApp

SPREAD_MAX_S = 15.0
"""Maximum time over which the connections are closed."""
STOP_DEADLINE_S = 20.0
"""Time after which remaining connections are dropped."""

_CLIENT_METHODS = ("handle_client", "register_client", "unregister_client")
"""Methods that get connections of the library."""

log = logging.getLogger("broadcast_tui.server")
_websockets_log = logging.getLogger("broadcast_tui.websockets")
_websockets_log.setLevel(logging.WARNING)
# At DEBUG, the library logs the headers of handshakes, which contain tokens.
_websockets_log.addFilter(lambda record: record.levelno > logging.DEBUG)


class BroadcastServer:
    """A chat server: every post reaches everyone in its room, in the same order.

    Args:
        host: Name or address to listen on.
        port: TCP port; with 0, a free port is chosen and stored in `port`.
        limits: Limits per connection and room.
        engine: Storage of posts; by default, the last 10,000 posts of each room are stored in memory.
        admission: Limits of connections before they are accepted.
        sanctions: File of bans and mutes; without a file, they are lost on restart.
        authenticator: Checks tokens; by default there are none, and everyone may connect.
        tls: Certificate for `wss://`; by default, `ws://` is served.
        cluster: Link to the other nodes of a shared engine; it replaces the file of bans and mutes.
        share_port: Listen on the port together with other processes that have the same engine. The system
            gives each new connection to one of them.
        watchdog: Reports callbacks that hold the event loop for too long; by default, none are timed.

    Example:
        async with BroadcastServer("localhost", 8765) as server:
            await server.serve_forever()
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 8765,
        *,
        limits: Limits | None = None,
        engine: Engine | None = None,
        admission: AdmissionLimits | None = None,
        sanctions: Path | None = None,
        authenticator: TokenAuthenticator | None = None,
        tls: ServerTls | None = None,
        watchdog: Watchdog | None = None,
        cluster: RedisLink | None = None,
        share_port: bool = False,
    ) -> None:
        self.host = host
        self.port = port
        self.limits = limits if limits is not None else Limits()
        self._engine = _complete(engine)
        if share_port and not self._engine.is_shared:
            raise ValueError("share_port requires an engine that all processes share, such as RedisEngine")
        self._share_port = share_port
        self._authenticator = authenticator
        self._tls = tls
        self.watchdog = watchdog
        self._watcher: asyncio.Task[None] | None = None
        self.cluster = cluster
        self._store_health = StoreHealth(self._is_store_up)
        self._admission = Admission(
            admission or AdmissionLimits(),
            find_ban=self._find_ban,
            check_token=self._check_token,
            budget_of=lambda key: self._runner.hub.budgets.of(key),
            store_fault=lambda: self._store_health.reason,
        )
        self._sanction_file = SanctionFile(sanctions) if sanctions is not None else None
        self._runner = HubRunner(
            self._engine,
            self.limits,
            cluster.node if cluster is not None else secrets.token_hex(3),
            authenticator,
            on_tick=self._check,
            on_closed=self._admission.end,
            sanctions=self._sanction_file if cluster is None else cluster.sanctions,
            cluster=cluster,
        )
        if cluster is not None:
            self._connect(cluster)
        self._runner.hub.moderation.protects_loopback = not self._admission.trusts_loopback
        self._keeps_websockets = any(
            getattr(type(self), name) is not getattr(BroadcastServer, name) for name in _CLIENT_METHODS
        )
        """Whether a subclass may use the connections of the library that it gets, until they close."""
        self._connections: WeakSet[PeerConnection] = WeakSet()
        self._server: Server | None = None
        self._web: WebApp | None = None
        self._delay_ended = asyncio.Event()
        self._stopping: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()

    def _connect(self, cluster: RedisLink) -> None:
        """Let a link read and update what nodes share, apart from rooms."""
        self._sanction_file = None

        def replace_sanctions(sanctions: Sequence[Sanction]) -> None:
            self._runner.hub.moderation.sanctions.replace(sanctions)
            self._runner.enforce_bans()

        cluster.lists.on_sanctions = replace_sanctions
        cluster.lists.has_unsaved_sanctions = lambda: self._runner.sanction_store.unsaved
        cluster.record = lambda: {
            "connections": self.connection_count,
            "rooms": len(self._runner.hub.rooms.by_name),
            "draining": int(self._admission.leaving),
            "lag_ms": round(1000 * self._runner.take_lag_s()),
        }
        if self._authenticator is not None:
            cluster.count_failures(self._authenticator.failures)
            cluster.lists.on_tokens = self._refresh_tokens

    def _refresh_tokens(self) -> None:
        """Apply changed tokens."""
        if self._authenticator is not None and self._authenticator.refresh(self._runner.instant().at):
            self._runner.close_expired()

    def _check(self, now: float) -> None:
        self._admission.sweep(now)
        if self._web is not None:
            self._web.check(now)
        self._store_health.check(now)

    def _is_store_up(self) -> bool:
        """Whether a store in another process responded to the last requests."""
        if self.cluster is not None and not self.cluster.is_up:
            return False
        return not isinstance(self._engine, HasStoreStats) or self._engine.store_stats.is_up

    # -- start and stop

    @property
    def url(self) -> str:
        """URL for clients on this machine, such as `ws://localhost:8765`."""
        return websocket_url(self.host, self.port, secure=self._tls is not None)

    @property
    def connection_count(self) -> int:
        """Number of open connections, v1 and plain."""
        return len(self._runner.connections)

    @property
    def http_connection_count(self) -> int:
        """Number of open connections for HTTP requests."""
        return len(self._web.connections) if self._web is not None else 0

    async def start_server(self) -> None:
        """Start listening; returns when clients can connect.

        Raises:
            ListenError: The server cannot listen on host and port.
            SanctionFileError: The bans cannot be read.
            EngineError: The log cannot be opened.
            TokenFileError: The tokens cannot be read.
            RuntimeError: The server has been started before.
        """
        if self._server is not None or self._stopping is not None:
            raise RuntimeError("This server has been started before; create a new one.")
        if self._authenticator is not None:
            self._authenticator.load()
        self.reload_sanctions()()
        addresses, port = await choose_addresses(self.host, self.port, share_port=self._share_port)
        if self._tls is not None:
            separate_buffers()
        self._web = self._make_web()  # before the watchdog: it loads a library
        if self.watchdog is not None:
            self.watchdog.watch_loop(asyncio.get_running_loop())
        await self._runner.start()
        loop = asyncio.get_running_loop()
        if loop.get_exception_handler() is None:  # that of an application remains
            loop.set_exception_handler(LoopErrors())
        try:
            self._server = await serve(
                self.handle_client if self._keeps_websockets else self._open_client,
                addresses,  # type: ignore[arg-type]  # create_server takes several hosts
                port,
                create_connection=self._make_connection,  # type: ignore[arg-type]  # a factory will do
                select_subprotocol=_select_subprotocol,
                process_request=self._admission.process_request,  # type: ignore[arg-type]  # all connections are PeerConnections
                compression=None,
                max_size=_frame_bytes(self.limits),
                max_queue=None,
                write_limit=(65_536, 16_384),
                ping_interval=None,
                open_timeout=None,
                close_timeout=CLOSE_TIMEOUT_S,
                backlog=ACCEPTS_PER_TURN,
                reuse_port=self._share_port or None,
                logger=_websockets_log,
                server_header=None,
            )
        except OSError as error:
            await self._runner.stop()
            raise ListenError(f"Cannot listen on {self.host}:{port}: {error.strerror}.") from error
        widen_backlog(self._server.sockets)
        self.port = port
        if self._authenticator is not None:
            self._watcher = asyncio.create_task(self._authenticator.watch(self._runner.close_expired))
        self._admission.ready = True
        log.info("listening on %s", self.url, extra={"event": "listening", "url": self.url})

    def _make_web(self) -> WebApp:
        """The HTTP side; its library is loaded only here."""
        from broadcast_tui.server.web.app import WebApp
        from broadcast_tui.server.web.context import WebContext

        context = WebContext(
            self._runner,
            self._authenticator,
            limits=lambda: self.limits,
            url=lambda: self.url,
            not_ready_reason=lambda: self._admission.not_ready_reason,
        )
        watch = self.watchdog.watch_protocol if self.watchdog is not None else lambda _: None
        return WebApp(context, self._admission, self.host, watch)

    async def serve_forever(self) -> None:
        """Wait until the server has been stopped by `stop_server`."""
        await self._stopped.wait()

    def reload(self) -> None:
        """Reload tokens and certificate; on an error, logs it and changes neither."""
        try:
            self.reload_security()()
        except BroadcastError as error:
            extra = {"event": "reload_failed", "reason": str(error)}
            log.error("cannot reload certificate and tokens: %s", log_safe(str(error), 400), extra=extra)

    @property
    def active_token_count(self) -> int:
        """Number of tokens that have not expired; 0 without an authenticator."""
        if self._authenticator is None:
            return 0
        return self._authenticator.active_token_count(self._runner.instant().at)

    def reload_security(self) -> Callable[[], None]:
        """Read tokens and certificate and return a function that applies them.

        Raises:
            CertificateError: The certificate cannot be used.
            TokenFileError: The tokens cannot be read.
        """
        changes = [part.prepare_reload() for part in (self._tls, self._authenticator) if part is not None]

        def apply() -> None:
            for change in changes:
                change()
            self._refresh_tokens()

        return apply

    async def stop_server(
        self,
        code: CloseCode = CloseCode.GOING_AWAY,
        deadline_s: float = STOP_DEADLINE_S,
        *,
        delay_s: float = 0.0,
    ) -> None:
        """Stop in order: notify v1 clients, close all connections, store pending posts.

        Connections are closed with `code` a few at a time, so that clients do not reconnect all at once.
        Those that remain after `deadline_s` seconds are dropped. For `delay_s` seconds before, or until the
        next call, the server only says that it is not ready, so that load balancers choose others. It leaves
        a shared port at once.

        The server stops even if the call is cancelled; further calls wait for the end.
        """
        if self._stopping is not None:
            self._delay_ended.set()
        elif self._server is None:
            return
        else:
            self._stopping = asyncio.create_task(self._stop(code, deadline_s, delay_s))
        await asyncio.shield(self._stopping)

    async def _stop(self, code: CloseCode, deadline_s: float, delay_s: float) -> None:
        assert self._server is not None
        self._admission.leaving = True
        if self._share_port:
            self._server.close(close_connections=False)
        if self.cluster is not None:
            self.cluster.announce()
        if delay_s:
            log.info("stopping in %g s", delay_s, extra={"event": "stopping", "seconds": delay_s})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._delay_ended.wait()
        self._admission.draining = True
        self._runner.hub.posting.draining = True
        if self._web is not None:
            self._web.drain()
        connections = list(self._runner.connections.values())
        spread_s = min(SPREAD_MAX_S, len(connections) / 500)
        extra = {"event": "stopping", "count": len(connections)}
        log.info("stopping; closing %d client(s)", len(connections), extra=extra)
        self._runner.hub.broadcaster.broadcast_all(
            Drain("restart" if code == CloseCode.RESTART else "stop", round(spread_s, 1))
        )
        self._runner.wake()
        await self._runner.flushed()
        try:
            await self._close_all(connections, code, spread_s, deadline_s)
            await self._runner.stop()
        finally:
            if self._watcher is not None:
                self._watcher.cancel()
            self._server = None
            self._stopped.set()
        log.info("stopped", extra={"event": "stopped"})

    async def _close_all(
        self, connections: list[OpenConnection], code: CloseCode, spread_s: float, deadline_s: float
    ) -> None:
        batch = max(1, len(connections) // max(1, int(spread_s / 0.1)))
        reason = "The server is restarting." if code == CloseCode.RESTART else "The server is stopping."
        for start in range(0, len(connections), batch):
            for connection in connections[start : start + batch]:
                connection.end(code, reason)
            if start + batch < len(connections):
                await asyncio.sleep(0.1)
        counted = set(self._admission.connections)
        waiters = [connection.closed_future() for connection in connections if connection in counted]
        if waiters:
            timeout_s = min(CLOSE_TIMEOUT_S + 1.0, max(0.0, deadline_s - spread_s))
            _, late = await asyncio.wait(waiters, timeout=timeout_s)
            if late:
                extra = {"event": "dropped", "count": len(late)}
                log.warning("%d client(s) did not close in time and were dropped", len(late), extra=extra)
        assert self._server is not None
        # A port of its own stays open until here, so that load balancers and new clients get a 503 response.
        self._server.close(close_connections=False)
        if self._web is not None:
            await self._web.close()
        for left in (*self._connections, *self._admission.connections):
            left.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._server.wait_closed()

    async def __aenter__(self) -> BroadcastServer:
        await self.start_server()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop_server()

    # -- connections

    def _make_connection(self, *args: Any, **kwargs: Any) -> PeerConnection | TlsHandshakeProtocol:
        connection = PeerConnection(*args, **kwargs)
        connection.on_tcp_connected = self._admission.register
        if self._web is not None:
            connection.on_http = self._web.take_over
        connection.protocol.max_message_size = _frame_bytes(self.limits)
        self._connections.add(connection)
        if self.watchdog is not None:
            self.watchdog.watch_protocol(connection)
        return connection if self._tls is None else TlsHandshakeProtocol(connection, self._tls.context)

    def _check_token(self, connection: PeerConnection, request: Request) -> Response | None:
        """The response to a handshake with an invalid or missing token; None to accept it."""
        if self._authenticator is None:
            return None
        found = self._authenticator.check_handshake(request, address_of(connection), self._runner.instant())
        if isinstance(found, Response):
            return found
        connection.identity = found
        return None

    async def handle_client(self, websocket: ServerConnection) -> None:
        """Serve a connection until it is closed. A subclass may override it, to do something before or after.

        Unless it or the next two methods are overridden, connections are served without a task each.
        """
        self.register_client(websocket)
        try:
            await asyncio.shield(websocket.connection_lost_waiter)
        finally:
            self.unregister_client(websocket)

    async def _open_client(self, websocket: ServerConnection) -> None:
        """Serve a connection, and return at once: the library's object is no longer needed."""
        self.register_client(websocket)

    def register_client(self, websocket: ServerConnection) -> None:
        """Add an open connection; it enters the lobby, and the others are notified.

        Raises:
            TypeError: The connection was not created by this server.
        """
        if not isinstance(websocket, PeerConnection):
            raise TypeError(
                "register_client requires a connection made with create_connection=PeerConnection"
            )
        if websocket.opened is not None or websocket.connection_lost_waiter.done():
            return
        v1, address = websocket.subprotocol == SUBPROTOCOL, address_of(websocket)
        kind = connection_class(is_secure=websocket.secure, is_watched=self.watchdog is not None)
        opened = websocket.opened = kind(
            websocket, self._runner, self._runner.turns, keep=self._keeps_websockets
        )
        if self.watchdog is not None:
            self.watchdog.watch_protocol(opened)
        self._admission.opened(websocket, opened)
        opened.take_over(websocket)
        self._runner.attach(opened, v1=v1, address=address, identity=websocket.identity)

    def unregister_client(self, websocket: ServerConnection) -> None:
        """Remove a connection and notify the others; does nothing if it is unknown."""
        peer = _peer_of(websocket)
        if peer is not None:
            self._runner.detach(peer)

    def set_limits(self, limits: Limits, admission: AdmissionLimits) -> None:
        """Apply new limits, to open connections too, except for the maximum length of their frames.

        Raises:
            NetworkError: A trusted proxy is not a valid network; nothing has changed.
        """
        self._admission.set_limits(admission)
        self._runner.hub.moderation.protects_loopback = not self._admission.trusts_loopback
        self.limits = limits
        self._runner.set_limits(limits)

    def reload_sanctions(self) -> Callable[[], None]:
        """Read the file of bans and mutes and return a function that applies it.

        Raises:
            SanctionFileError: It cannot be read, or recent changes have not been saved to it yet.
        """
        if self._runner.sanction_store.unsaved:
            raise SanctionFileError(
                "Recent bans have not been saved yet. Make sure that their file is writable."
            )
        sanctions = self._sanction_file.load() if self._sanction_file is not None else None

        def apply() -> None:
            if sanctions is not None:
                self._runner.hub.moderation.sanctions.replace(sanctions)
                if self._server is not None:
                    self._runner.enforce_bans()

        return apply

    def _find_ban(self, address: str) -> tuple[str, float | None] | None:
        at = datetime.now(UTC)
        ban = self._runner.hub.moderation.sanctions.find_by_address(address, at)
        return (ban.describe(at) + ".", ban.remaining_s(at)) if ban is not None else None

    # -- messages from the server

    async def broadcast_to_all(self, message: str | Mapping[str, str]) -> int:
        """Send a message to all clients; returns the number of recipients.

        A mapping with `sender` and `message` is a post: it is appended to the log of its `room` (default: the
        lobby) and delivered in order. A string is a notice from the server, which is not stored.

        Raises:
            RequestError: The text or name is invalid.
            EngineError: The post could not be stored.
        """
        if isinstance(message, str):
            return await self.broadcast_to_others(message, None)
        new_post = NewPost(
            check_room(message.get("room", DEFAULT_ROOM)),
            check_name(message["sender"]),
            clean_post(message["message"], self.limits.max_message_bytes),
            self._runner.instant().at,
        )
        await self._engine.append([new_post])
        room = self._runner.hub.rooms.by_name.get(new_post.room)
        return len(room.subscriptions) if room is not None else 0

    async def broadcast_to_others(
        self, message: str | Mapping[str, str], sender: ServerConnection | None
    ) -> int:
        """Send a message to all clients except `sender`, without storing it.

        Returns the number of recipients.

        A string becomes a notice from the server, a mapping with `sender` and `message` a message without an
        id.
        """
        when = self._runner.instant()
        sender_peer = _peer_of(sender) if sender is not None else None
        event: System | Message
        if isinstance(message, str):
            text = clean_post(message, self.limits.max_message_bytes)
            event = System("notice", text, timestamp(when.at))
        else:
            text = clean_post(message["message"], self.limits.max_message_bytes)
            room = check_room(message.get("room", DEFAULT_ROOM))
            event = Message(text, check_name(message["sender"]), timestamp(when.at), "", room)
        count = self._runner.hub.broadcaster.broadcast_all(event, but=sender_peer)
        self._runner.wake()
        return count


def _complete(engine: Engine | None) -> Engine:
    """The engine to use: with rooms for people without tokens, or in memory by default."""
    if engine is None:
        return MemoryEngine()
    return engine if engine.is_shared else with_volatile_rooms(engine)


def _peer_of(websocket: ServerConnection) -> Peer | None:
    """The peer of a registered connection, until it closes."""
    opened = websocket.opened if isinstance(websocket, PeerConnection) else None
    return opened.peer if opened is not None else None


def _frame_bytes(limits: Limits) -> int | None:
    """Maximum length of a message: JSON may escape each byte of a post as six."""
    if not limits.max_frame_bytes or not limits.max_message_bytes:
        return None
    return max(limits.max_frame_bytes, 6 * limits.max_message_bytes + 4096)


def _select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """v1 for clients that offer it, plain for all others."""
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None
