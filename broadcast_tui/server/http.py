"""Responses of the listeners of `websockets`: to rejected handshakes, and on the port of the metrics.

No part of a request is displayed.
"""

from __future__ import annotations

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
_POLICY = "default-src 'none'; frame-ancestors 'none'"


def is_health_check(request: Request) -> bool:
    """Whether a request asks for the state of the server, as load balancers do."""
    return request.path.partition("?")[0] in HEALTH_PATHS


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


def health_response(request: Request, not_ready_reason: str) -> Response:
    """The response to a health check.

    Args:
        not_ready_reason: Why load balancers should choose other servers; empty if this one is ready.
    """
    if request.path.partition("?")[0] == "/healthz":
        response = _text_response(http.HTTPStatus.OK, "ok")
    elif not_ready_reason:
        response = _text_response(http.HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: {not_ready_reason}")
        response.headers["Retry-After"] = "5"
    else:
        response = _text_response(http.HTTPStatus.OK, "ready")
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
