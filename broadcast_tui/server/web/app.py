"""`WebApp`: answers HTTP requests. Admission is decided for each request before its handler runs."""

from __future__ import annotations

import asyncio
import http
import logging
import math
from collections.abc import Callable

from aiohttp import web

from broadcast_tui.core.errors import ErrorCode, RequestError
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.hub.work_budget import TAKE_OVER_S, request_price_s
from broadcast_tui.core.network import is_loopback
from broadcast_tui.server.admission import (
    Admission,
    Rejection,
    is_allowed_origin,
    is_listed_origin,
    origin_host,
)
from broadcast_tui.server.client_address import client_address
from broadcast_tui.server.connection import HEAD_BYTES_MAX, PeerConnection
from broadcast_tui.server.http import is_local_host
from broadcast_tui.server.web import api, hooks, pages
from broadcast_tui.server.web.context import WebContext
from broadcast_tui.server.web.errors import HttpError, bad_request, error_response
from broadcast_tui.server.web.handoff import HttpConnection, HttpRequest, HttpServer
from broadcast_tui.server.web.routes import Route, Router, not_found

CLOSE_TIMEOUT_S = 1.0
"""Time for responses to end when the server stops."""
ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Name"
"""Headers that pages of an allowed origin may send."""
_CODES = {
    "draining": ErrorCode.DRAINING.value,
    "banned": ErrorCode.BANNED.value,
    "origin": ErrorCode.FORBIDDEN.value,
    "full": ErrorCode.TRY_LATER.value,
    "per_address": ErrorCode.RATE_LIMITED.value,
    "rate": ErrorCode.RATE_LIMITED.value,
}
"""Error codes by the reason of a rejection."""

ROUTES = (*pages.ROUTES, *api.ROUTES, *hooks.ROUTES)
"""All that is answered, except WebSocket handshakes."""

log = logging.getLogger("broadcast_tui.web")


class WebApp:
    """The HTTP side of a server.

    Args:
        own_name: Host name or address that the server listens on.
        watch: Called with the protocol of each new HTTP connection.
    """

    def __init__(
        self,
        context: WebContext,
        admission: Admission,
        own_name: str,
        watch: Callable[[asyncio.BaseProtocol], None],
    ) -> None:
        self.context = context
        self._admission = admission
        self._own_name = own_name
        self._router = Router(ROUTES)
        self._http = HttpServer(self._handle, admission.rest, admission.end, watch)

    @property
    def connections(self) -> set[HttpConnection]:
        """The open HTTP connections."""
        return self._http.connections

    def take_over(self, connection: PeerConnection, data: bytes) -> None:
        """Answer the requests of a connection from now on; `data` is what it has sent."""
        connection.budget.charge(TAKE_OVER_S, connection.loop.time())
        http = self._http.take_over(connection, lambda http: self._admission.take_over(connection, http))
        http.data_received(data)

    def check(self, now: float) -> None:
        """Drop the connections whose clients have stopped reading."""
        for connection in self._http.stalled(now, self.context.limits.stall_timeout_s):
            connection.abort()

    def drain(self) -> None:
        """End endless responses, since the server is stopping."""
        self.context.stop()

    async def close(self) -> None:
        """Close all connections, in at most twice `CLOSE_TIMEOUT_S`."""
        self.drain()
        await self._http.close(CLOSE_TIMEOUT_S)

    # -- requests

    async def _handle(self, request: HttpRequest) -> web.StreamResponse:
        connection = request.connection
        connection.begin(request)
        try:
            response = await self._answer(connection, request)
        except HttpError as error:
            response = self._failed(request, error)
        except RequestError as error:
            response = self._failed(request, HttpError.of(error))
        except web.RequestPayloadError:
            response = self._failed(request, bad_request("The body of the request is not valid."))
        except Exception as error:
            if request.transport is None:  # the client has gone
                raise ConnectionResetError from error
            log.error("cannot answer an HTTP request", exc_info=error)
            text = "The server could not answer. See its log."
            internal = http.HTTPStatus.INTERNAL_SERVER_ERROR
            response = self._failed(request, HttpError(internal, "internal", text, close=True))
        if not response.prepared and not (
            self._admission.is_admitted(connection) and request.content.is_eof()
        ):
            response.force_close()
        request.is_handled = True
        if request.content.exception() is not None:
            request.content.feed_eof()  # aiohttp reads the rest of a body before it closes
        return response

    def _failed(self, request: HttpRequest, error: HttpError) -> web.StreamResponse:
        """The response to a request that failed.

        Raises:
            ConnectionAbortedError: A part of another response has been sent; the connection must close.
        """
        if request.writer.output_size > 0:
            request.connection.abort()
            raise ConnectionAbortedError("the response had begun")
        return error_response(error)

    async def _answer(self, connection: HttpConnection, request: HttpRequest) -> web.StreamResponse:
        forwarded = request.headers.getall("X-Forwarded-For", [])
        address = client_address(connection.peer, forwarded, self._admission.trusted)
        request.client_address = address
        path = request.raw_path.partition("?")[0]
        head_bytes = sum(len(name) + len(value) + 4 for name, value in request.raw_headers) + len(path)
        is_probe = path in ("/healthz", "/readyz") and not forwarded
        request.budget, wait_s = self._admission.pay(
            connection, address, request_price_s(head_bytes), is_probe=is_probe
        )
        connection.budget = request.budget
        if wait_s > 0:
            text = f"The requests from your address take too much time. Wait {math.ceil(wait_s)} s."
            raise HttpError(
                http.HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", text, retry_after_s=wait_s, close=True
            )
        _check_form(request, head_bytes)
        if not is_probe:
            self._check_origin(request)
        if request.method == "OPTIONS" and request.allowed_origin:
            return self._preflight(path)
        route, parameters = self._router.find(request.method, path)
        self._admit(connection, request, route)
        response = await route.handler(self.context, request, **parameters)
        if not route.keeps_alive or route.is_probe:
            response.force_close()
        return response

    def _check_origin(self, request: HttpRequest) -> None:
        """Reject requests of web pages of foreign origins. Raises HttpError."""
        origins, hosts = request.headers.getall("Origin", []), request.headers.getall("Host", [])
        listed = self._admission.limits.origins
        if not is_allowed_origin(origins, hosts, listed, local=is_loopback(request.client_address)):
            self._admission.log_rejection("origin", request.client_address)
            text = "Web pages from this origin may not use this server."
            raise HttpError(http.HTTPStatus.FORBIDDEN, _CODES["origin"], text, close=True)
        if origins and is_listed_origin(origins[0], listed):
            request.allowed_origin = origins[0]

    def _preflight(self, path: str) -> web.StreamResponse:
        """What pages of an allowed origin may send to a path."""
        methods = self._router.allowed(path)
        if not methods:
            raise not_found()
        headers = {
            "Access-Control-Allow-Methods": ", ".join(methods),
            "Access-Control-Allow-Headers": ALLOWED_HEADERS,
            "Access-Control-Max-Age": "600",
        }
        return web.Response(status=http.HTTPStatus.NO_CONTENT, headers=headers)

    def _admit(self, connection: HttpConnection, request: HttpRequest, route: Route) -> None:
        """Count the connection for the address of a request. Raises HttpError if there is no place."""
        address = request.client_address
        if route.is_public:
            if route.keeps_alive and not route.is_probe:
                self._admission.count(connection, address)
            return
        self._check_host(request)
        rejection = self._admission.reject_caller(address, is_admin=lambda: self._is_admin(request))
        if rejection is None:
            rejection = self._admission.count(connection, address)
        if rejection is None and connection.is_new:
            rejection = self._admission.count_new(connection, address)
        if rejection is not None:
            self._admission.log_rejection(rejection.reason, address)
            raise _rejected(rejection)
        connection.is_new = False

    def _check_host(self, request: HttpRequest) -> None:
        """Reject requests on this machine for a host name that may not be its own. Raises HttpError."""
        if not is_loopback(request.client_address):
            return
        hosts = request.headers.getall("Host", [])
        origins = self._admission.limits.origins
        if is_local_host(hosts, self._own_name) or "*" in origins:
            return
        if len(hosts) == 1 and hosts[0].casefold() in (origin_host(origin) for origin in origins):
            return
        text = "This host name is not one of the server. Use localhost, or name its origin with --origin."
        raise HttpError(http.HTTPStatus.MISDIRECTED_REQUEST, "bad_host", text, close=True)

    def _is_admin(self, request: HttpRequest) -> bool:
        """Whether a request has an admin's token, to which bans do not apply."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        authenticator = self.context.authenticator
        if authenticator is None or scheme.casefold() != "bearer":
            return False
        when = self.context.runner.instant()
        return authenticator.authenticate(token.strip(), request.client_address, when).role is Role.ADMIN


def _check_form(request: HttpRequest, head_bytes: int) -> None:
    """Reject requests that a proxy before this server may understand differently. Raises HttpError."""
    headers = request.headers
    if head_bytes > HEAD_BYTES_MAX:
        status = http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        raise HttpError(status, "head_too_long", "The head of the request is too long.", close=True)
    if not request.raw_path.startswith("/"):
        raise bad_request("The target of the request must be a path.")
    if "Host" not in headers and request.version >= (1, 1):
        raise bad_request("Host is missing.")
    if len(headers.getall("Host", [])) > 1 or len(headers.getall("Content-Length", [])) > 1:
        raise bad_request("Host and Content-Length must not be repeated.")
    encodings = headers.getall("Transfer-Encoding", [])
    if encodings:
        is_chunked = len(encodings) == 1 and encodings[0].strip().lower() == "chunked"
        if not is_chunked or "Content-Length" in headers or request.version < (1, 1):
            raise bad_request("The length of the body is ambiguous.")
    if "Trailer" in headers:
        raise bad_request("Trailers are not supported.")
    if "websocket" in headers.get("Upgrade", "").lower():
        raise bad_request("Open a WebSocket with GET, on a connection of its own.")


def _rejected(rejection: Rejection) -> HttpError:
    return HttpError(
        rejection.status,
        _CODES[rejection.reason],
        rejection.text,
        retry_after_s=rejection.retry_after_s,
        close=True,
    )
