"""What the handlers of HTTP requests get."""

from __future__ import annotations

import asyncio
import http
import re
from collections.abc import Callable

from aiohttp import web

from broadcast_tui.core.hub.auth import Identity
from broadcast_tui.core.hub.work_budget import UNLIMITED, frame_price_s
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.network import rate_limit_key
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.runner import HubRunner
from broadcast_tui.server.web.errors import HttpError
from broadcast_tui.server.web.handoff import HttpRequest
from broadcast_tui.server.web.hook_posts import HookPosts
from broadcast_tui.server.web.visitor import Visitor, Visitors

BODY_TIMEOUT_S = 10.0
"""Time for the body of a request that contains one post."""
_HOST = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


class WebContext:
    """The server, as far as handlers of HTTP requests need it.

    Args:
        limits: Returns the current limits.
        url: Returns the WebSocket URL of the server, for requests without a valid `Host`.
        not_ready_reason: Returns why load balancers should choose other servers; empty if this one is ready.
    """

    def __init__(
        self,
        runner: HubRunner,
        authenticator: TokenAuthenticator | None,
        *,
        limits: Callable[[], Limits],
        url: Callable[[], str],
        not_ready_reason: Callable[[], str],
    ) -> None:
        self.runner = runner
        self.authenticator = authenticator
        self.hook_posts = HookPosts(is_shared=runner.hub.cluster.is_shared)
        self._visitors = Visitors(runner)
        self.is_stopping = False
        """Whether the server stops: endless responses end."""
        self.streams: set[Visitor] = set()
        """The visitors of endless responses."""
        self._limits = limits
        self._url = url
        self._not_ready_reason = not_ready_reason

    @property
    def limits(self) -> Limits:
        return self._limits()

    @property
    def not_ready_reason(self) -> str:
        return self._not_ready_reason()

    def stop(self) -> None:
        """End endless responses, since the server is stopping."""
        self.is_stopping = True
        for visitor in self.streams:
            visitor.wake()

    def client_address(self, request: web.BaseRequest) -> str:
        """Address of the client, even behind a trusted proxy."""
        assert isinstance(request, HttpRequest)
        return request.client_address

    def secure(self, request: web.BaseRequest) -> bool:
        """Whether a request uses TLS."""
        assert isinstance(request, HttpRequest)
        return request.connection.secure

    def public_url(self, request: web.BaseRequest) -> str:
        """The WebSocket URL of the server by the request's own `Host`, if that is valid."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) == 1 and _HOST.fullmatch(hosts[0]):
            return f"{'wss' if self.secure(request) else 'ws'}://{hosts[0]}"
        return self._url()

    def visit(self, request: web.BaseRequest, *, identity: Identity | None = None) -> Visitor:
        """A visitor of the hub from the address of a request, to be used as a context manager.

        Args:
            identity: Identity from its token; None without one.
        """
        assert isinstance(request, HttpRequest)
        is_exempt = request.budget is UNLIMITED
        key = "" if is_exempt else rate_limit_key(request.client_address)
        peername = request.transport.get_extra_info("peername") if request.transport is not None else None
        address = f"{request.client_address}:{peername[1] if peername else 0}"
        return self._visitors.open(address, rate_limit_key=key, identity=identity)

    async def read_body(
        self, request: web.BaseRequest, bytes_max: int, timeout_s: float = BODY_TIMEOUT_S
    ) -> bytes:
        """The body of a request, of at most `bytes_max` bytes; 0: unlimited.

        Raises:
            HttpError: It is too long, compressed, or incomplete after `timeout_s`.
        """
        assert isinstance(request, HttpRequest)
        if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            text = "Send the body without Content-Encoding."
            raise HttpError(http.HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "bad_encoding", text, close=True)
        if bytes_max and (request.content_length or 0) > bytes_max:
            raise _too_long(bytes_max)
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # the response itself has not started
        body = bytearray()
        try:
            async with asyncio.timeout(timeout_s):
                async for piece in request.content.iter_any():
                    body += piece
                    if bytes_max and len(body) > bytes_max:
                        raise _too_long(bytes_max)
        except TimeoutError:
            text = f"The body of the request did not arrive within {timeout_s:g} s."
            raise HttpError(http.HTTPStatus.REQUEST_TIMEOUT, "timeout", text, close=True) from None
        request.budget.charge(frame_price_s(len(body)), asyncio.get_running_loop().time())
        return bytes(body)


def _too_long(bytes_max: int) -> HttpError:
    text = f"The body is too long: {bytes_max} bytes is the maximum."
    return HttpError(http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_long", text, close=True)
