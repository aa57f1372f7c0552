"""The chat in a browser: the page for those who ask for HTML, and its files.

Invariants: the page and its scripts contain nothing of a request but a valid host name. The page may load
and connect to nothing but this server, and no text in it can become a script (Content-Security-Policy).
"""

from __future__ import annotations

import gzip
import hashlib
import http
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from aiohttp import web

from broadcast_tui.server.web.context import WebContext
from broadcast_tui.server.web.errors import HttpError
from broadcast_tui.server.web.routes import Handler

CONTENT_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
INDEX = "index.html"
VERSION_CHARS = 12
_COMMENTS_AND_INDENTATION = re.compile(rb"^ *(?:(?://.*|/\*\*(?:[^*]|\*(?!/))*\*/)\n *)*", re.MULTILINE)
_STYLE_COMMENTS_AND_INDENTATION = re.compile(rb"^ *(?:/\*[^*]*\*/\n *)*", re.MULTILINE)
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class StaticFile:
    """A file of the page, also compressed."""

    content_type: str
    body: bytes
    compressed: bytes
    etag: str


@cache
def static_files() -> dict[str, StaticFile]:
    """The files by name. In the page itself, the addresses of the others contain their version."""
    directory = files("broadcast_tui.server.web") / "static"
    bodies = {
        entry.name: _shortened(entry.name, entry.read_bytes())
        for entry in directory.iterdir()
        if _suffix(entry.name) in CONTENT_TYPES
    }
    digest = hashlib.sha256()
    for name in sorted(bodies):
        digest.update(name.encode() + b"\0" + bodies[name])
    version = digest.hexdigest()[:VERSION_CHARS]
    bodies[INDEX] = bodies[INDEX].replace(b'"/static/', f'"/static/{version}/'.encode())
    return {
        name: StaticFile(CONTENT_TYPES[_suffix(name)], body, gzip.compress(body, mtime=0), f'W/"{version}"')
        for name, body in bodies.items()
    }


def _shortened(name: str, body: bytes) -> bytes:
    """A script or style sheet as browsers get it: without comment lines and indentation.

    No text in them extends over several lines. Other files are sent as they are.
    """
    pattern = {".js": _COMMENTS_AND_INDENTATION, ".css": _STYLE_COMMENTS_AND_INDENTATION}.get(_suffix(name))
    return pattern.sub(b"", body) if pattern else body


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]


def wants_page(request: web.BaseRequest) -> bool:
    """Whether a request is one of a browser for a page, and not of a script."""
    return "text/html" in ",".join(request.headers.getall("Accept", [])).lower()


def page(context: WebContext, request: web.BaseRequest) -> web.Response:
    """The page. It may connect to this server only."""
    # Not all browsers count the WebSocket of the page's own host as 'self'.
    own = context.public_url(request)
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {own}; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    response = _response(request, static_files()[INDEX], "no-cache")
    response.headers["Content-Security-Policy"] = policy
    return response


def page_or(handler: Handler) -> Handler:
    """A handler that answers browsers with the page, and leaves other requests to `handler`."""

    async def negotiated(
        context: WebContext, request: web.BaseRequest, **parameters: str
    ) -> web.StreamResponse:
        if wants_page(request):
            return page(context, request)
        response = await handler(context, request, **parameters)
        if not response.prepared:
            response.headers["Vary"] = "Accept"
        return response

    return negotiated


async def static_file(
    context: WebContext, request: web.BaseRequest, version: str, name: str
) -> web.StreamResponse:
    """A file of the page. With its own version in the address, it never changes.

    The version of another server, before or after an update, gets the file of this one, for now.
    """
    file = static_files().get(name)
    if file is None or name == INDEX:
        raise HttpError(http.HTTPStatus.NOT_FOUND, "not_found", "There is no such file.")
    is_current = file.etag == f'W/"{version}"'
    return _response(request, file, _FOREVER if is_current else "no-cache")


def _response(request: web.BaseRequest, file: StaticFile, caching: str) -> web.Response:
    headers = {"ETag": file.etag, "Cache-Control": caching, "Vary": "Accept, Accept-Encoding"}
    known = ",".join(request.headers.getall("If-None-Match", []))
    if file.etag in (tag.strip() for tag in known.split(",")):
        return web.Response(status=http.HTTPStatus.NOT_MODIFIED, headers=headers)
    body = file.body
    if _accepts_gzip(",".join(request.headers.getall("Accept-Encoding", []))):
        body = file.compressed
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, content_type=file.content_type, charset="utf-8", headers=headers)


def _accepts_gzip(accepted: str) -> bool:
    """Whether an `Accept-Encoding` header names gzip, and not with the weight 0."""
    for item in accepted.lower().split(","):
        name, _, weight = item.replace(" ", "").partition(";q=")
        if name == "gzip":
            return weight.strip("0.") != "" or not weight
    return False
