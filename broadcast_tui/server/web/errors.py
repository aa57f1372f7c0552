"""Errors of HTTP requests, and the responses to them."""

from __future__ import annotations

import http
import math
from collections.abc import Mapping

import msgspec
from aiohttp import web

from broadcast_tui.core.errors import ErrorCode, RequestError

STATUS = {
    ErrorCode.TOO_LONG: http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.NAME_TAKEN: http.HTTPStatus.CONFLICT,
    ErrorCode.NAME_RESERVED: http.HTTPStatus.CONFLICT,
    ErrorCode.ASK_CLOSED: http.HTTPStatus.CONFLICT,
    ErrorCode.RATE_LIMITED: http.HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.TOO_MANY_NOTES: http.HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.TRY_LATER: http.HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.DRAINING: http.HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.UNAUTHORIZED: http.HTTPStatus.UNAUTHORIZED,
    ErrorCode.FORBIDDEN: http.HTTPStatus.FORBIDDEN,
    ErrorCode.BANNED: http.HTTPStatus.FORBIDDEN,
    ErrorCode.MUTED: http.HTTPStatus.FORBIDDEN,
    ErrorCode.NO_SUCH_POST: http.HTTPStatus.NOT_FOUND,
    ErrorCode.UNKNOWN_PERSON: http.HTTPStatus.NOT_FOUND,
    ErrorCode.NOT_IN_ROOM: http.HTTPStatus.NOT_FOUND,
    ErrorCode.INTERNAL: http.HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Status codes of the errors of the WebSocket protocol; all others are 400."""
CHALLENGE = 'Bearer realm="broadcast-tui"'
RETRY_S = 5.0
"""Time after which a request that was answered 503 may be repeated, unless the error says otherwise."""


class HttpError(Exception):
    """A request that is answered with an error.

    Args:
        code: An `ErrorCode` of the WebSocket protocol, or a word of HTTP, such as `not_found`.
        text: What is wrong, and how to do it right. Never contains parts of the request.
        retry_after_s: Seconds after which the request may be repeated, if known.
        headers: Further headers of the response.
        close: Whether the connection closes, because the rest of the request is not read.
    """

    def __init__(
        self,
        status: http.HTTPStatus,
        code: str,
        text: str,
        *,
        retry_after_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.retry_after_s = retry_after_s
        self.headers = dict(headers or {})
        self.close = close

    @classmethod
    def of(cls, error: RequestError) -> HttpError:
        """The error of a request that the hub has denied."""
        status = STATUS.get(error.code, http.HTTPStatus.BAD_REQUEST)
        if error.retry_after is not None and status is http.HTTPStatus.UNAUTHORIZED:
            status = http.HTTPStatus.TOO_MANY_REQUESTS  # too many wrong tokens
        return cls(status, error.code.value, error.text, retry_after_s=error.retry_after)


def error_response(error: HttpError) -> web.Response:
    """The response `{"code", "message"}` to a request."""
    headers = dict(error.headers)
    wait_s = error.retry_after_s
    if wait_s is None and error.status is http.HTTPStatus.SERVICE_UNAVAILABLE:
        wait_s = RETRY_S
    if wait_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
    if error.status is http.HTTPStatus.UNAUTHORIZED:
        headers.setdefault("WWW-Authenticate", CHALLENGE)
    body = msgspec.json.encode({"code": error.code, "message": error.text}) + b"\n"
    response = web.Response(body=body, status=error.status, headers=headers, content_type="application/json")
    if error.close:
        response.force_close()
    return response


def bad_request(text: str) -> HttpError:
    """A 400 error that closes the connection."""
    return HttpError(http.HTTPStatus.BAD_REQUEST, "bad_request", text, close=True)
