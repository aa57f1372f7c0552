"""What the port answers to plain HTTP: is it alive, is it ready, and to a person how to join.

Invariants: a WebSocket handshake is never answered here, on whatever path; nothing of a request is
shown unless it is a host name; a page loads nothing from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import html
import http
import re
from email.utils import formatdate

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

METHODS = ("GET", "HEAD")
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
<p>To read along without a screen of its own:</p>
<pre>broadcast-tui tail --follow {url}</pre>
<p>Any WebSocket library can take part too: connect to <code>{url}</code> and send
<code>{{"type": "message", "message": "Hello, world!", "sender": "Alice"}}</code>.</p>
</body>
</html>
"""


def is_handshake(request: Request) -> bool:
    """Whether a request asks for a WebSocket, rightly or wrongly."""
    return any(
        token.strip().lower() == "websocket"
        for value in request.headers.get_all("Upgrade")
        for token in value.split(",")
    )


def answer(request: Request, *, unready: str, url: str, secure: bool = False) -> Response | None:
    """The answer to a request that is no handshake; None for one that is.

    Args:
        unready: Why no new connections are taken now; empty if they are.
        url: Address of the server, for a request whose own `Host` cannot be shown.
        secure: Whether the request came over TLS.
    """
    if is_handshake(request):
        return None
    if request.method not in METHODS:
        return method_not_allowed()
    path = request.path.partition("?")[0]
    if path == "/healthz":
        response = _text(http.HTTPStatus.OK, "ok")
    elif path == "/readyz" and unready:
        response = _text(http.HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: {unready}")
        response.headers["Retry-After"] = "5"
    elif path == "/readyz":
        response = _text(http.HTTPStatus.OK, "ready")
    elif path == "/":
        page = _PAGE.format(style=_STYLE, url=html.escape(_shown_url(request, url, secure)))
        response = respond(http.HTTPStatus.OK, page.encode(), "text/html; charset=utf-8")
    else:
        response = _text(http.HTTPStatus.NOT_FOUND, "Nothing is here. See / for how to join.")
    if request.method == "HEAD":
        response.body = b""
    return response


def method_not_allowed() -> Response:
    """405: there is nothing here to write to but through a WebSocket."""
    response = _text(http.HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are answered here.")
    response.headers["Allow"] = ", ".join(METHODS)
    return response


def respond(status: http.HTTPStatus, body: bytes, content_type: str) -> Response:
    """A whole answer, after which the connection ends."""
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


def refuse(status: http.HTTPStatus, text: str, retry_after_s: float | None = None) -> Response:
    """A handshake denied: one sentence that says why, and in how many seconds to try again."""
    response = _text(status, text)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, round(retry_after_s)))
    return response


def _text(status: http.HTTPStatus, text: str) -> Response:
    return respond(status, text.encode() + b"\n", "text/plain; charset=utf-8")


def _shown_url(request: Request, url: str, secure: bool) -> str:
    """The address as whoever asks knows it, if that can be shown."""
    hosts = request.headers.get_all("Host")
    if len(hosts) == 1 and _HOST.fullmatch(hosts[0]):
        return f"{'wss' if secure else 'ws'}://{hosts[0]}"
    return url
