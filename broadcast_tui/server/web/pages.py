"""The health checks and the landing page.

Invariants: no part of a request is displayed, except a valid host name. The page loads no external resources.
"""

from __future__ import annotations

import base64
import hashlib
import html

from aiohttp import web

from broadcast_tui.server.web import browser_page
from broadcast_tui.server.web.context import WebContext
from broadcast_tui.server.web.routes import Route

STYLE = (
    "body{max-width:38rem;margin:3rem auto;padding:0 1rem;font:1rem/1.6 sans-serif;color-scheme:light dark}"
    "pre{padding:.6rem 1rem;border:1px solid;overflow:auto}"
)
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A chat room in the terminal</title>
<style>{style}</style>
</head>
<body>
<h1>A chat room in the terminal</h1>
<p>This is a broadcast-tui server. To join, open a terminal and type:</p>
<pre>broadcast-tui chat {url}</pre>
<p>To follow the room without a chat screen:</p>
<pre>broadcast-tui tail --follow {url}</pre>
<p>You can also use any WebSocket library: connect to <code>{url}</code> and send
<code>{{"type": "message", "message": "Hello, world!", "sender": "Alice"}}</code>.</p>
</body>
</html>
"""


async def healthz(context: WebContext, request: web.BaseRequest) -> web.StreamResponse:
    """Whether the server lives."""
    return web.Response(text="ok\n")


async def readyz(context: WebContext, request: web.BaseRequest) -> web.StreamResponse:
    """Whether load balancers should choose this server."""
    reason = context.not_ready_reason
    if reason:
        return web.Response(status=503, text=f"not ready: {reason}\n", headers={"Retry-After": "5"})
    return web.Response(text="ready\n")


async def landing_page(context: WebContext, request: web.BaseRequest) -> web.StreamResponse:
    """How to join."""
    page = _PAGE.format(style=STYLE, url=html.escape(context.public_url(request)))
    return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": _POLICY})


ROUTES = (
    Route("GET", "/healthz", healthz, is_public=True, is_probe=True),
    Route("GET", "/readyz", readyz, is_public=True, is_probe=True),
    Route("GET", "/", browser_page.page_or(landing_page), is_public=True, keeps_alive=False),
    Route("GET", "/static/{version}/{name}", browser_page.static_file, is_public=True),
)
