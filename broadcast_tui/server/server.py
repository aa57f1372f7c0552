"""`BroadcastServer`: listen, take connections in, stop in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from weakref import WeakSet

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from broadcast_tui.core.clock import timestamp
from broadcast_tui.core.errors import BroadcastError, CloseCode
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.limits import DEFAULT_ROOM, AdmissionLimits, Limits
from broadcast_tui.core.names import check_name, check_room
from broadcast_tui.core.post import NewPost
from broadcast_tui.core.protocol.events import Drain, Message, System
from broadcast_tui.core.protocol.handshake import SUBPROTOCOL, websocket_url
from broadcast_tui.core.text import clean_post, log_safe
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.server.activity_log import LoopErrors
from broadcast_tui.server.admission import Admission
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.connection import PeerConnection, address_of
from broadcast_tui.server.keepalive import CLOSE_TIMEOUT_S
from broadcast_tui.server.listen import BACKLOG, ListenError, choose_addresses
from broadcast_tui.server.runner import HubRunner
from broadcast_tui.server.sanction_store import SanctionFile, SanctionFileError
from broadcast_tui.server.tls import ServerTls
from broadcast_tui.server.tls_handshake import TlsHandshakeProtocol

SPREAD_MAX_S = 15.0
STOP_DEADLINE_S = 20.0

log = logging.getLogger("broadcast_tui.server")
_websockets_log = logging.getLogger("broadcast_tui.websockets")
_websockets_log.setLevel(logging.WARNING)
# At DEBUG, whoever asks for it, the library would log the headers of handshakes, and with them tokens.
_websockets_log.addFilter(lambda record: record.levelno > logging.DEBUG)


class BroadcastServer:
    """A chat server: every post reaches everyone in its room, in one order.

    Args:
        host: Name or address to listen on.
        port: TCP port; 0 takes a free one, which `port` then says.
        limits: Ceilings of the protocol.
        engine: Where posts are kept; the default keeps the last 10,000 of a room in memory.
        admission: Who is let in at all.
        sanctions: File that keeps bans and mutes; without one they end with the server.
        authenticator: Who may come in with which token; by default everyone may, and there are no tokens.
        tls: The certificate to serve `wss://` with; by default `ws://` is served.

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
    ) -> None:
        self.host = host
        self.port = port
        self.limits = limits if limits is not None else Limits()
        self._engine = engine if engine is not None else MemoryEngine()
        self._authenticator = authenticator
        self._tls = tls
        self._watch: asyncio.Task[None] | None = None
        self._admission = Admission(
            admission or AdmissionLimits(),
            url=lambda: self.url,
            is_banned=self._ban_of,
            check_token=self._check_token,
        )
        self._sanction_file = SanctionFile(sanctions) if sanctions is not None else None
        self._runner = HubRunner(
            self._engine,
            self.limits,
            secrets.token_hex(3),
            authenticator,
            on_tick=self._admission.sweep,
            sanction_file=self._sanction_file,
        )
        self._peers: dict[ServerConnection, Peer] = {}
        self._connections: WeakSet[PeerConnection] = WeakSet()
        self._server: Server | None = None
        self._stopped = asyncio.Event()

    # -- life

    @property
    def url(self) -> str:
        """Address for clients on this machine, such as `ws://localhost:8765`."""
        return websocket_url(self.host, self.port, secure=self._tls is not None)

    @property
    def connection_count(self) -> int:
        """Open connections, of both kinds."""
        return len(self._runner.connections)

    async def start_server(self) -> None:
        """Listen; returns once clients can connect.

        Raises:
            ListenError: host or port cannot be had.
            SanctionFileError: the bans cannot be read.
            EngineError: the log cannot be opened.
            TokenFileError: the tokens cannot be read.
        """
        if self._authenticator is not None:
            self._authenticator.load()
        self.reload_sanctions()()
        addresses, port = await choose_addresses(self.host, self.port)
        await self._runner.start()
        asyncio.get_running_loop().set_exception_handler(LoopErrors())
        try:
            self._server = await serve(
                self.handle_client,
                addresses,  # type: ignore[arg-type]  # create_server takes several hosts
                port,
                create_connection=self._make_connection,  # type: ignore[arg-type]  # a factory will do
                select_subprotocol=_select_subprotocol,
                process_request=self._admission.process_request,  # type: ignore[arg-type]  # ours are PeerConnections
                compression=None,
                max_size=_frame_bytes(self.limits),
                max_queue=None,
                write_limit=(65_536, 16_384),
                ping_interval=None,
                open_timeout=None,
                close_timeout=CLOSE_TIMEOUT_S,
                backlog=BACKLOG,
                logger=_websockets_log,
                server_header=None,
            )
        except OSError as error:
            await self._runner.stop()
            raise ListenError(
                f"Cannot listen on {self.host}:{port}: {error.strerror}; change --host or --port."
            ) from error
        self.port = port
        if self._authenticator is not None:
            self._watch = asyncio.create_task(self._authenticator.watch(self._runner.close_expired))
        self._admission.ready = True
        log.info("listening on %s", self.url)

    async def serve_forever(self) -> None:
        """Wait until `stop_server` has stopped the server."""
        await self._stopped.wait()

    def reload(self) -> None:
        """Read tokens and certificate again; if one cannot be used, that is logged and neither changes."""
        try:
            self.reload_security()()
        except BroadcastError as error:
            log.error("each of certificate and tokens stays as it was: %s", log_safe(str(error), 400))

    def reload_security(self) -> Callable[[], None]:
        """Read tokens and certificate; what is returned puts them in force.

        Raises:
            CertificateError: the certificate cannot be used.
            TokenFileError: the tokens cannot be read.
        """
        changes = [part.read() for part in (self._tls, self._authenticator) if part is not None]

        def apply() -> None:
            for change in changes:
                change()
            if self._authenticator is not None and self._authenticator.refresh(self._runner.instant().at):
                self._runner.close_expired()

        return apply

    async def stop_server(
        self, code: CloseCode = CloseCode.GOING_AWAY, deadline_s: float = STOP_DEADLINE_S
    ) -> None:
        """Stop in order: no new connections, tell v1 clients, close all, keep what was posted.

        Clients are closed with `code` a few at a time, so that they do not all come back at once;
        whoever has not gone `deadline_s` seconds later is cut off.
        """
        if self._admission.draining:
            await self._stopped.wait()
        if self._server is None:
            return
        self._admission.draining = True
        self._runner.hub.draining = True
        connections = list(self._runner.connections.values())
        spread_s = min(SPREAD_MAX_S, len(connections) / 500)
        log.info("stopping, %d client(s) to close", len(connections))
        self._runner.hub.broadcaster.broadcast_all(
            Drain("restart" if code == CloseCode.RESTART else "stop", round(spread_s, 1))
        )
        self._runner.wake()
        await self._runner.flushed()
        await self._close_all(connections, code, spread_s, deadline_s)
        await self._runner.stop()
        if self._watch is not None:
            self._watch.cancel()
        self._server = None
        self._stopped.set()
        log.info("stopped")

    async def _close_all(
        self, connections: list[PeerConnection], code: CloseCode, spread_s: float, deadline_s: float
    ) -> None:
        batch = max(1, len(connections) // max(1, int(spread_s / 0.1)))
        reason = "The server is restarting." if code == CloseCode.RESTART else "The server is stopping."
        for start in range(0, len(connections), batch):
            for connection in connections[start : start + batch]:
                connection.end(code, reason)
            if start + batch < len(connections):
                await asyncio.sleep(0.1)
        gone = [connection.connection_lost_waiter for connection in connections]
        if gone:
            remaining_s = min(CLOSE_TIMEOUT_S + 1.0, max(0.0, deadline_s - spread_s))
            _, late = await asyncio.wait(gone, timeout=remaining_s)
            if late:
                log.warning("%d client(s) did not close in time and were cut off", len(late))
        assert self._server is not None
        # Open until here, so that a load balancer and those who come meanwhile are told to go elsewhere.
        self._server.close(close_connections=False)
        for left in list(self._connections):
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
        connection.protocol.max_message_size = _frame_bytes(self.limits)
        self._connections.add(connection)
        return connection if self._tls is None else TlsHandshakeProtocol(connection, self._tls.context)

    def _check_token(self, connection: PeerConnection, request: Request) -> Response | None:
        """The handshake's answer if its token is wrong, or if it needs one and has none."""
        if self._authenticator is None:
            return None
        found = self._authenticator.check_handshake(request, address_of(connection), self._runner.instant())
        if isinstance(found, Response):
            return found
        connection.identity = found
        return None

    async def handle_client(self, websocket: ServerConnection) -> None:
        """Serve one connection until it is gone. The handler that `start_server` gives to websockets."""
        self.register_client(websocket)
        try:
            await asyncio.shield(websocket.connection_lost_waiter)
        finally:
            self.unregister_client(websocket)

    def register_client(self, websocket: ServerConnection) -> None:
        """Take an open connection in: it is told the room it is in, the others that it came.

        Raises:
            TypeError: the connection was not made by this server's listener; the caller's fault.
        """
        if websocket in self._peers:
            return
        if not isinstance(websocket, PeerConnection):
            raise TypeError("register_client takes connections made with create_connection=PeerConnection")
        v1 = websocket.subprotocol == SUBPROTOCOL
        self._peers[websocket] = self._runner.attach(websocket, v1=v1, address=address_of(websocket))

    def unregister_client(self, websocket: ServerConnection) -> None:
        """Forget a connection; the others are told that it left. Harmless if it is unknown."""
        peer = self._peers.pop(websocket, None)
        if peer is not None:
            self._runner.detach(peer)

    def set_limits(self, limits: Limits, admission: AdmissionLimits) -> None:
        """Other limits from now on, for those who are here too; frames of theirs keep their size.

        Raises:
            NetworkError: a trusted proxy is none; nothing has changed.
        """
        self._admission.set_limits(admission)
        self.limits = limits
        self._runner.set_limits(limits)

    def reload_sanctions(self) -> Callable[[], None]:
        """Read the file of bans and mutes; what is returned puts them in force.

        Raises:
            SanctionFileError: it cannot be read, or what was decided since is not in it yet.
        """
        if self._runner.sanction_store.unsaved:
            raise SanctionFileError("The last bans are not in their file yet; see that it can be written.")
        kept = self._sanction_file.load() if self._sanction_file is not None else None

        def apply() -> None:
            if kept is not None:
                self._runner.hub.moderation.sanctions.replace(kept)
                if self._server is not None:
                    self._runner.hub.moderation.enforce(self._runner.instant())
                    self._runner.wake()

        return apply

    def _ban_of(self, address: str) -> tuple[str, float | None] | None:
        at = datetime.now(UTC)
        ban = self._runner.hub.moderation.sanctions.find_by_address(address, at)
        return (ban.describe(at) + ".", ban.remaining_s(at)) if ban is not None else None

    # -- words of the server's own

    async def broadcast_to_all(self, message: str | Mapping[str, str]) -> int:
        """Send to every client; returns how many there were.

        A `message` mapping with `sender` and `message` is a post: it enters the log of its `room`
        (default: the lobby) and reaches those in it in order. A string is a notice of the server:
        told now, kept nowhere.

        Raises:
            Refused: text or name break the rules; the caller's fault.
            EngineError: the post could not be kept.
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
        """Tell every client but `sender` something that no log keeps; returns how many were told.

        A string becomes a notice of the server, a mapping with `sender` and `message` a message
        without an id.
        """
        when = self._runner.instant()
        excepted = self._peers.get(sender) if sender is not None else None
        event: System | Message
        if isinstance(message, str):
            text = clean_post(message, self.limits.max_message_bytes)
            event = System("notice", text, timestamp(when.at))
        else:
            text = clean_post(message["message"], self.limits.max_message_bytes)
            room = check_room(message.get("room", DEFAULT_ROOM))
            event = Message(text, check_name(message["sender"]), timestamp(when.at), "", room)
        told = self._runner.hub.broadcaster.broadcast_all(event, but=excepted)
        self._runner.wake()
        return told


def _frame_bytes(limits: Limits) -> int | None:
    """Longest message that is read at all: a post may come with each of its bytes escaped as six."""
    if not limits.max_frame_bytes or not limits.max_message_bytes:
        return None
    return max(limits.max_frame_bytes, 6 * limits.max_message_bytes + 4096)


def _select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """v1 for those who offer it, plain for everyone else; nobody is refused."""
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None
