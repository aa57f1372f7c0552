"""Routes of the tests, for what no route of the server does yet."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from broadcast_tui.server.web import app
from broadcast_tui.server.web.context import WebContext
from broadcast_tui.server.web.handoff import HttpRequest
from broadcast_tui.server.web.routes import Route

BODY_BYTES_MAX = 100_000


class TestRoutes:
    """Counts the requests that had an effect."""

    __test__ = False

    def __init__(self) -> None:
        self.posts = 0
        self.started = asyncio.Event()
        self.may_end = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.body_timeout_s = 20.0

    async def echo(self, context: WebContext, request: web.BaseRequest, name: str) -> web.StreamResponse:
        """The body, as it came."""
        self.posts += 1
        body = await context.read_body(request, BODY_BYTES_MAX, self.body_timeout_s)
        return web.Response(body=f"{name}:".encode() + body)

    async def address(self, context: WebContext, request: web.BaseRequest) -> web.StreamResponse:
        """The address of the client."""
        return web.Response(text=context.client_address(request))

    async def wait(self, context: WebContext, request: web.BaseRequest) -> web.StreamResponse:
        """An answer that may be given late."""
        self.started.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return web.Response(text="late")

    async def endless(self, context: WebContext, request: web.BaseRequest) -> web.StreamResponse:
        """Data until the client has enough, or the server stops."""
        assert isinstance(request, HttpRequest)
        request.is_endless = True
        response = web.StreamResponse()
        await response.prepare(request)
        self.started.set()
        try:
            while not context.is_stopping:
                await response.write(b"x" * 10_000)
                await asyncio.sleep(0)
        except (asyncio.CancelledError, ConnectionError):
            self.cancelled.set()
            raise
        await response.write(b"the end")
        return response

    async def broken(self, context: WebContext, request: web.BaseRequest) -> web.StreamResponse:
        """A defect."""
        raise ZeroDivisionError("a secret of the server")


@pytest.fixture
def routes(monkeypatch: pytest.MonkeyPatch) -> TestRoutes:
    """More routes for the servers of a test."""
    added = TestRoutes()
    own = (
        Route("POST", "/echo/{name}", added.echo),
        Route("GET", "/address", added.address),
        Route("GET", "/wait", added.wait),
        Route("GET", "/endless", added.endless),
        Route("GET", "/broken", added.broken),
    )
    monkeypatch.setattr(app, "ROUTES", (*app.ROUTES, *own))
    return added
