"""Connections that do not ask for a WebSocket: aiohttp takes them over with what was read.

Invariants: a connection is counted by admission from its acceptance to its end, whoever handles it. No head
of a request is longer than `HEAD_BYTES_MAX`. An idle connection, or one whose next head is late, closes after
`KEEPALIVE_S`; one that stops reading a response, after the timeout for stalled peers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from broadcast_tui.core.hub.work_budget import UNLIMITED, WorkBudget, request_price_s
from broadcast_tui.server.connection import HEAD_BYTES_MAX, HEAD_TOO_LONG, PeerConnection
from broadcast_tui.server.web.errors import bad_request, error_response

KEEPALIVE_S = 15.0
"""Time from a response to the complete head of the next request."""
LINGERING_S = 1.0
"""Time for which the rest of a body is read that nobody wants, so that the client gets its response."""
FIELD_BYTES_MAX = 8_190
"""Maximum size of the request line, and of a header field."""
CLOSING_S = 10.0
"""Time for a client to read the rest of the last response."""

log = logging.getLogger("broadcast_tui.web")


class HttpRequest(web.BaseRequest):
    """A request whose response has the headers that every response has."""

    client_address = ""
    """Address of the client, even behind a proxy."""
    budget: WorkBudget = UNLIMITED
    """Server time for the requests of that address."""
    allowed_origin = ""
    """The `Origin` of the request, if `--origin` names it: its pages may read the response."""

    is_handled = False
    """Whether its handler has returned."""
    is_endless = False
    """Whether the response goes on until the client closes the connection, or its side of it."""

    @property
    def connection(self) -> HttpConnection:
        return cast("HttpConnection", self.protocol)

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        """Complete the headers, just before aiohttp writes them."""
        headers = response.headers
        headers.popall("Server", None)
        if self.allowed_origin:
            headers["Access-Control-Allow-Origin"] = self.allowed_origin
            headers["Vary"] = "Origin"
        headers.setdefault("Cache-Control", "no-store")
        headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        headers.setdefault("Referrer-Policy", "no-referrer")
        headers.setdefault("X-Content-Type-Options", "nosniff")


class HttpConnection(RequestHandler):
    """A connection of HTTP requests, one after the other.

    Args:
        on_response: Called when a response has been written.
        on_end: Called once, when the connection has ended.
    """

    def __init__(
        self,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        on_response: Callable[[HttpConnection], None],
        on_end: Callable[[HttpConnection], None],
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=KEEPALIVE_S,
            logger=log,
            access_log=None,  # type: ignore[arg-type]  # none
            max_line_size=FIELD_BYTES_MAX,
            max_field_size=FIELD_BYTES_MAX,
            lingering_time=LINGERING_S,
            auto_decompress=False,
        )
        self.loop = loop
        self.peer = "unknown"
        """Address of the peer of the TCP connection."""
        self.secure = False
        """Whether it uses TLS."""
        self.budget: WorkBudget = UNLIMITED
        """Server time for requests that cannot be parsed."""
        self.is_new = True
        """Whether it has not counted as a new connection of an address yet: only files were asked for."""
        self.on_flow: Callable[[bool], None] | None = None
        """Called with whether the write buffer is full."""
        self.blocked_at: float | None = None
        """Loop time at which the write buffer became full, or was last seen to shrink."""
        self._blocked_bytes = 0
        self._on_response = on_response
        self._on_end = on_end
        self._request: HttpRequest | None = None
        """The request that is being answered."""
        self._tcp: asyncio.Transport | None = None
        """The transport until the connection is lost; that of aiohttp is None as soon as it closes."""
        self._closing_at: float | None = None
        self._has_ended = False
        """Whether the client has closed its side."""
        self._received_bytes = 0
        """Size of the last data from the client."""
        self._is_between = False
        """Whether the head of the next request is awaited."""
        self._head = bytearray()
        """Bytes of that head, until it is complete."""
        self._passed = b""
        """The last bytes before them, since a client may have sent part of the head early."""

    # -- requests

    def begin(self, request: HttpRequest) -> None:
        """Note that a request has started; further bytes belong to its body, or to later requests."""
        self._request = request
        self._is_between = False
        self._pass_on()
        self._check_body()
        if self._has_ended:
            self.close()

    def log_access(self, request: web.BaseRequest, response: web.StreamResponse, time: float | None) -> None:
        """Note that a response has been written; after the body of the request, the next head is awaited."""
        self._request = None
        self._on_response(self)
        self._is_between = request.content.is_eof() and not self._messages  # which are pipelined requests

    def data_received(self, data: bytes) -> None:
        if data:
            self._received_bytes = len(data)
        if not data or not self._is_between:  # without data, aiohttp resumes parsing
            self._passed = (self._passed + data[-3:])[-3:]
            super().data_received(data)
            self._check_body()
            return
        known = max(0, len(self._head) - 3)
        self._head += data
        has_end = self._head.find(b"\r\n\r\n", known) >= 0 or b"\r\n\r\n" in self._passed + self._head[:3]
        if has_end:
            self._is_between = False
            self._pass_on()
        elif len(self._head) > HEAD_BYTES_MAX:
            self.budget.charge(request_price_s(len(self._head)), self.loop.time())
            self._head.clear()
            if self._tcp is not None and not self._tcp.is_closing():
                self._tcp.write(HEAD_TOO_LONG)
            self.force_close()

    def _pass_on(self) -> None:
        if self._head:
            data = bytes(self._head)
            self._head.clear()
            self._passed = data[-3:]
            super().data_received(data)

    def _check_body(self) -> None:
        """Tell the reader of an invalid body. aiohttp only queues an error, as if for the next request."""
        request = self._request
        if request is not None and self._messages and not (request.content.is_eof() or request.is_handled):
            request.content.set_exception(web.RequestPayloadError("invalid body"))

    def eof_received(self) -> bool | None:  # type: ignore[override]  # as asyncio.Protocol allows
        """Answer a request that is complete, although the client sends no more."""
        request = self._request
        if self._is_between or self.secure:
            return None
        if request is not None and (request.is_endless or not request.content.is_eof()):
            return None
        self._has_ended = True
        if request is not None:
            self.close()
        return True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The response to a request that is not valid HTTP. The messages of aiohttp quote it."""
        head_bytes = min(self._received_bytes, HEAD_BYTES_MAX)
        self.budget.charge(request_price_s(head_bytes), self.loop.time())
        if request.writer.output_size > 0:
            raise ConnectionAbortedError("the response had begun")
        return error_response(bad_request("This is not a valid HTTP request."))

    # -- writing

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.on_flow is not None:
            self.on_flow(True)
        self.blocked_at = self.loop.time()
        if self._tcp is not None:
            self._blocked_bytes = self._tcp.get_write_buffer_size()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_flow is not None:
            self.on_flow(False)
        self.blocked_at = None

    def is_stalled(self, now: float, timeout_s: float) -> bool:
        """Whether the client has read nothing from a full write buffer for `timeout_s`, or delays closing."""
        if self._tcp is None:
            return False
        if self._tcp.is_closing():
            self._closing_at = now if self._closing_at is None else self._closing_at
            return now - self._closing_at > CLOSING_S
        if self.blocked_at is None:
            return False
        buffered = self._tcp.get_write_buffer_size()
        if buffered < self._blocked_bytes:
            self.blocked_at = now
        self._blocked_bytes = buffered
        return now - self.blocked_at > timeout_s

    # -- the end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tcp = cast("asyncio.Transport", transport)
        super().connection_made(transport)

    def abort(self) -> None:
        """Drop the connection."""
        if self._tcp is not None:
            self._tcp.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._tcp = None
        self._head.clear()
        self._request = None
        self._on_end(self)


class HttpServer:
    """The connections that speak HTTP.

    Args:
        handler: Answers a request; never raises errors of the request.
        on_response: Called with a connection when a response has been written.
        on_end: Called with each connection that has ended.
        watch: Called with each new connection.
    """

    def __init__(
        self,
        handler: Callable[[HttpRequest], Awaitable[web.StreamResponse]],
        on_response: Callable[[HttpConnection], None],
        on_end: Callable[[HttpConnection], None],
        watch: Callable[[asyncio.BaseProtocol], None],
    ) -> None:
        self.connections: set[HttpConnection] = set()
        self._on_response = on_response
        self._on_end = on_end
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._server = web.Server(
            cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", handler),
            request_factory=self._make_request,
            handler_cancellation=True,
        )

    def _make_request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> HttpRequest:
        return HttpRequest(message, payload, protocol, writer, task, self._loop)

    def take_over(
        self, connection: PeerConnection, counted: Callable[[HttpConnection], None]
    ) -> HttpConnection:
        """The HTTP connection that has replaced another; `counted` is called before that one ends."""
        http = HttpConnection(self._server, self._loop, self._on_response, self._ended)
        http.peer = connection.peer
        http.secure = connection.secure
        http.budget = connection.budget
        self._watch(http)
        self.connections.add(http)
        counted(http)
        transport = connection.give_over()
        transport.set_protocol(http)
        http.connection_made(transport)
        return http

    def _ended(self, http: HttpConnection) -> None:
        self.connections.discard(http)
        self._on_end(http)

    def stalled(self, now: float, timeout_s: float) -> list[HttpConnection]:
        """The connections whose clients have stopped reading."""
        return [http for http in self.connections if http.is_stalled(now, timeout_s)]

    async def close(self, timeout_s: float) -> None:
        """Close idle connections at once, and the others after their response or `timeout_s`.

        Handlers that go on are cancelled, for which they have as much time again.
        """
        self._server.pre_shutdown()
        await self._server.shutdown(timeout_s)
        for http in list(self.connections):
            http.abort()
