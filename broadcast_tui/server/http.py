"""Responses to plain HTTP requests: health checks and a landing page.

Invariants: WebSocket handshakes are not handled here, whatever their path. No part of a request is displayed,
except a valid host name. The page loads no external resources.
"""

from __future__ import annotations

import base64
import hashlib
import html
import http
import re
from collections.abc import Sequence
from email.utils import formatdate

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from broadcast_tui.core.network import is_loopback_host, parse_ip

METHODS = ("GET", "HEAD")
HEALTH_PATHS = ("/healthz", "/readyz")
_HOST = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_STYLE = (
    "body{max-width:38rem;margin:3rem auto;padding:0 1rem;font:1rem/1.6 sans-serif;color-scheme:light dark}"
    "pre{padding:.6rem 1rem;border:1px solid;overflow:auto}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
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


def is_handshake(request: Request) -> bool:
    """Whether a request asks for a WebSocket upgrade, even an invalid one."""
    return any(
        token.strip().lower() == "websocket"
        for value in request.headers.get_all("Upgrade")
        for token in value.split(",")
    )


def is_health_check(request: Request) -> bool:
    """Whether a request asks for the state of the server, as load balancers do."""
    return request.path.partition("?")[0] in HEALTH_PATHS and not is_handshake(request)


def is_local_host(hosts: Sequence[str], own_name: str) -> bool:
    """Whether the `Host` headers of a request from this machine name the machine itself.

    Any other name may have been made to resolve to it by a web page (DNS rebinding). IP addresses are safe,
    and so are requests without the header, which browsers do not send.
    """
    if not hosts:
        return True
    if len(hosts) > 1 or not _HOST.fullmatch(hosts[0]):
        return False
    name = re.sub(r":[0-9]*\Z", "", hosts[0]).casefold()
    is_known = is_loopback_host(name) or name.endswith(".localhost") or name == own_name.casefold()
    return is_known or parse_ip(name) is not None


def response_to(
    request: Request, *, not_ready_reason: str, url: str, secure: bool = False
) -> Response | None:
    """The response to a plain HTTP request; None for a WebSocket handshake.

    Args:
        not_ready_reason: Why load balancers should choose other servers; empty if this one is ready.
        url: URL of the server, for requests without a valid `Host`.
        secure: Whether the request uses TLS.
    """
    if is_handshake(request):
        return None
    if request.method not in METHODS:
        return method_not_allowed()
    path = request.path.partition("?")[0]
    if path == "/healthz":
        response = _text_response(http.HTTPStatus.OK, "ok")
    elif path == "/readyz" and not_ready_reason:
        response = _text_response(http.HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: {not_ready_reason}")
        response.headers["Retry-After"] = "5"
    elif path == "/readyz":
        response = _text_response(http.HTTPStatus.OK, "ready")
    elif path == "/":
        page = _PAGE.format(style=_STYLE, url=html.escape(_shown_url(request, url, secure)))
        response = make_response(http.HTTPStatus.OK, page.encode(), "text/html; charset=utf-8")
    else:
        response = _text_response(http.HTTPStatus.NOT_FOUND, "Not found. See / for how to join.")
    if request.method == "HEAD":
        response.body = b""
    return response


def method_not_allowed() -> Response:
    """A 405 response."""
    response = _text_response(http.HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are allowed.")
    response.headers["Allow"] = ", ".join(METHODS)
    return response


def make_response(status: http.HTTPStatus, body: bytes, content_type: str) -> Response:
    """A complete response that closes the connection."""
    headers = Headers(
        {
            "Date": formatdate(usegmt=True),
            "Connection": "close",
            "Content-Length": str(len(body)),
            "Content-Type": content_type,
            "Cache-Control": "no-store",
            "Content-Security-Policy": _POLICY,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
    )
    return Response(status.value, status.phrase, headers, body)


def rejection(status: http.HTTPStatus, text: str, retry_after_s: float | None = None) -> Response:
    """A response that rejects a handshake, with the reason and when to try again."""
    response = _text_response(status, text)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, round(retry_after_s)))
    return response


def _text_response(status: http.HTTPStatus, text: str) -> Response:
    return make_response(status, text.encode() + b"\n", "text/plain; charset=utf-8")


def _shown_url(request: Request, url: str, secure: bool) -> str:
    """The URL of the server by the request's own `Host` header, if that is valid; otherwise `url`."""
    hosts = request.headers.get_all("Host")
    if len(hosts) == 1 and _HOST.fullmatch(hosts[0]):
        return f"{'wss' if secure else 'ws'}://{hosts[0]}"
    return url
