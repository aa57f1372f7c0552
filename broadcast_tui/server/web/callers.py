"""Callers of HTTP requests: who they are, and their visitors of the hub."""

from __future__ import annotations

import http

from aiohttp import web

from broadcast_tui.core.errors import ErrorCode
from broadcast_tui.core.hub.auth import Identity, OpenAuthenticator
from broadcast_tui.server.web.context import WebContext
from broadcast_tui.server.web.errors import HttpError
from broadcast_tui.server.web.visitor import Visitor

NAME_CHARS_MAX = 512


def open_visitor(context: WebContext, request: web.BaseRequest) -> Visitor:
    """A visitor with the token of a request, or without one.

    Raises:
        HttpError: The request has several tokens.
        RequestError: The token is invalid, or the address has sent too many invalid ones.
    """
    return context.visit(request, identity=identify(context, request))


def identify(context: WebContext, request: web.BaseRequest) -> Identity | None:
    """The identity of the bearer token of a request; None without one. Raises as `open_visitor`.

    Other credentials are those of a proxy before this server.
    """
    tokens = [
        token.strip()
        for scheme, _, token in (
            value.partition(" ") for value in request.headers.getall("Authorization", [])
        )
        if scheme.casefold() == "bearer"
    ]
    if not tokens:
        return None
    if len(tokens) > 1:
        raise HttpError(http.HTTPStatus.BAD_REQUEST, ErrorCode.BAD_FRAME.value, "Send one token.")
    authenticator = context.authenticator or OpenAuthenticator()
    address, when = context.client_address(request), context.runner.instant()
    return authenticator.authenticate(tokens[0], address, when)


def name_of(request: web.BaseRequest) -> str:
    """The name that the caller asks for, not validated yet; empty without one. Raises HttpError."""
    name = request.headers.get("X-Name") or query_of(request).get("name", "")
    if len(name) > NAME_CHARS_MAX or not _is_text(name):
        text = "The name is too long, or not valid UTF-8."
        raise HttpError(http.HTTPStatus.BAD_REQUEST, ErrorCode.BAD_NAME.value, text)
    return name


def query_of(request: web.BaseRequest, *known: str) -> dict[str, str]:
    """The parameters in the URL of a request.

    Args:
        known: Their names, if all others are errors.

    Raises:
        HttpError: A parameter is unknown, repeated, or not valid UTF-8.
    """
    query: dict[str, str] = {}
    for key, value in request.query.items():
        if known and key not in known:
            raise bad_query(f"Unknown parameter. Known ones: {', '.join(known)}.")
        if key in query or not _is_text(key + value):
            raise bad_query("A parameter is repeated, or not valid UTF-8.")
        query[key] = value
    return query


def bad_query(text: str) -> HttpError:
    """The error of a request with invalid parameters."""
    return HttpError(http.HTTPStatus.BAD_REQUEST, ErrorCode.BAD_FRAME.value, text)


def accepts(request: web.BaseRequest, content_type: str) -> bool:
    """Whether the `Accept` header names a content type; wildcards do not count."""
    return any(
        part.partition(";")[0].strip().casefold() == content_type
        for value in request.headers.getall("Accept", [])
        for part in value.split(",")
    )


def _is_text(value: str) -> bool:
    """Whether a header or parameter was valid UTF-8; aiohttp leaves other bytes as surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
