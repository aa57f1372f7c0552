"""The HTTP API for scripts: post to a room, read and follow it, and list the rooms.

Invariants: 201 is sent only after the engine has stored the post. A request with the same `Idempotency-Key`
from the same caller is stored once. Rooms for direct messages have no address here: `check_room` rejects
their names.
"""

from __future__ import annotations

import http
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

import msgspec
from aiohttp import web

from broadcast_tui.core.errors import ErrorCode
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.names import check_room
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.codec import encode
from broadcast_tui.core.text import visible, visible_line
from broadcast_tui.server.web import events as streams
from broadcast_tui.server.web.bodies import TOKEN_CHARS_MAX, NewPost, Published, RoomPage
from broadcast_tui.server.web.browser_page import page_or
from broadcast_tui.server.web.callers import accepts, bad_query, name_of, open_visitor, query_of
from broadcast_tui.server.web.context import WebContext
from broadcast_tui.server.web.errors import HttpError
from broadcast_tui.server.web.openapi import describe
from broadcast_tui.server.web.routes import Route

LAST_DEFAULT = 50
JSON_BYTES_PER_BYTE = 6
"""JSON may escape each byte of a text as six."""
JSON_OVERHEAD_BYTES = 4_096
JSON = "application/json"
LINES = "application/x-ndjson"
TEXT_TYPES = ("", "application/x-www-form-urlencoded", "application/octet-stream")
"""Content types of a body that is taken as it is, besides `text/*`: those of clients that do not say what
they send, such as curl."""


# -- posting


async def publish(context: WebContext, request: web.BaseRequest, room: str) -> web.StreamResponse:
    """Post the body of a request to a room."""
    query = query_of(request, "name", "reply_to")
    room, name, key = check_room(room), name_of(request), _idempotency_key(request)
    new_post = await _read_post(context, request)
    say = commands.Say(
        new_post.message, room=room, nonce=key, re=new_post.reply_to or query.get("reply_to", "")
    )
    async with open_visitor(context, request) as visitor:
        await visitor.enter(commands.RoomRequest(room), name=name)
        ack = await visitor.publish(say)
    return _json(Published(ack.id, ack.room, ack.dup), http.HTTPStatus.CREATED)


async def _read_post(context: WebContext, request: web.BaseRequest) -> NewPost:
    """The post in the body of a request. Raises HttpError."""
    content_type, charset = _content_type(request)
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise _unsupported("Send the body in UTF-8.")
    is_json = content_type == JSON
    if not (is_json or content_type in TEXT_TYPES or content_type.startswith("text/")):
        raise _unsupported(f"Send text, or JSON with Content-Type: {JSON}.")
    body = await context.read_body(request, _body_bytes_max(context.limits, is_json=is_json))
    if is_json:
        try:
            return msgspec.json.decode(body, type=NewPost)
        except msgspec.ValidationError as error:
            raise _bad_body(ErrorCode.BAD_FRAME, f"Invalid body: {error}.") from None
        except (msgspec.MsgspecError, ValueError, RecursionError):
            text = 'The body is not valid JSON. Send an object like {"message":"Hi"}.'
            raise _bad_body(ErrorCode.BAD_JSON, text) from None
    try:
        return NewPost(body.decode())
    except UnicodeDecodeError:
        raise _bad_body(ErrorCode.BAD_UTF8, "The body is not valid UTF-8.") from None


def _content_type(request: web.BaseRequest) -> tuple[str, str]:
    """The content type of a request and its charset, in lower case; empty if the header is missing."""
    content_type, _, parameters = request.headers.get("Content-Type", "").casefold().partition(";")
    charsets = [
        value.strip().strip('"')
        for name, _, value in (part.partition("=") for part in parameters.split(";"))
        if name.strip() == "charset"
    ]
    return content_type.strip(), charsets[0] if charsets else ""


def _body_bytes_max(limits: Limits, *, is_json: bool) -> int:
    """Maximum size of a body with a post; 0: unlimited."""
    text_max = limits.max_message_bytes or limits.max_frame_bytes
    return JSON_BYTES_PER_BYTE * text_max + JSON_OVERHEAD_BYTES if is_json and text_max else text_max


def _idempotency_key(request: web.BaseRequest) -> str:
    """The nonce of a request, perhaps in quotes; empty without one. Raises HttpError."""
    keys = request.headers.getall("Idempotency-Key", [])
    if not keys:
        return ""
    key = keys[0].removeprefix('"').removesuffix('"')
    if len(keys) > 1 or not key or len(key) > TOKEN_CHARS_MAX or not (key.isascii() and key.isprintable()):
        raise bad_query(f"Idempotency-Key must be 1 to {TOKEN_CHARS_MAX} printable ASCII characters.")
    return key


# -- reading


async def read_room(context: WebContext, request: web.BaseRequest, room: str) -> web.StreamResponse:
    """Read a room, or follow it if the request accepts an event stream."""
    name = check_room(room)
    if accepts(request, streams.CONTENT_TYPE) and request.method == "GET":
        return await streams.follow(context, request, name)
    query = query_of(request, "last", "after", "before", "limit", "q", "format", "name")
    as_text = _wants_text(query)
    page_max = context.limits.history_page_max
    request_page = _page_request(name, query, page_max)
    async with open_visitor(context, request) as visitor:
        await visitor.enter(commands.RoomRequest(name))
        page = await visitor.request(request_page)
    assert isinstance(page, events.History | events.Found)
    headers = _links(name, query, page)
    if as_text:
        lines = [text_line(item) for item in page.items if isinstance(item, events.Message)]
        return web.Response(text="".join(lines), headers=headers, content_type="text/plain")
    body = b"".join(encode(item) + b"\n" for item in page.items)
    return web.Response(body=body, headers=headers, content_type=LINES, charset="utf-8")


def _page_request(
    room: str, query: Mapping[str, str], page_max: int
) -> commands.FetchHistory | commands.Search:
    """The request for the page that the parameters of a URL describe. Raises HttpError."""
    if sum(name in query for name in ("last", "after", "before")) > 1 or (
        "q" in query and ("last" in query or "after" in query)
    ):
        raise bad_query("Use one of last, after and before; with q, only before.")
    if "last" in query and "limit" in query:
        raise bad_query("Use last, or limit with after, before or q.")
    count = number_of(query, "last", page_max) or number_of(query, "limit", page_max)
    limit = count or min(LAST_DEFAULT, page_max)
    before = query.get("before", "")
    if "q" in query:
        return commands.Search(query["q"], room, "page", before, limit)
    return commands.FetchHistory(room, "page", before, query.get("after", ""), limit=limit)


def number_of(query: Mapping[str, str], name: str, highest: int) -> int:
    """The number in a parameter; 0 if that is missing. Raises HttpError."""
    value = query.get(name)
    if value is None:
        return 0
    if not (value.isascii() and value.isdecimal() and len(value) <= 9 and 1 <= int(value) <= highest):
        raise bad_query(f"{name} must be a number from 1 to {highest}.")
    return int(value)


def _wants_text(query: Mapping[str, str]) -> bool:
    """Whether the response is to be lines of text, instead of JSON. Raises HttpError."""
    format_name = query.get("format", "json")
    if format_name not in ("json", "text"):
        raise bad_query("format must be json or text.")
    return format_name == "text"


def _links(room: str, query: Mapping[str, str], page: events.History | events.Found) -> dict[str, str]:
    """The header with the address of the next page in the direction of a request (RFC 8288)."""
    if not (page.more and page.items):
        return {}
    kept = {name: value for name, value in query.items() if name not in ("last", "after", "before", "name")}
    if "last" in query:
        kept["limit"] = query["last"]
    if "after" in query:
        relation, kept["after"] = "next", page.items[-1].id
    else:
        relation, kept["before"] = "prev", page.items[0].id
    return {"Link": f'</rooms/{quote(room)}?{urlencode(kept)}>; rel="{relation}"'}


def text_line(post: events.Message) -> str:
    """`timestamp name: text` and a line end. Further lines are indented: they cannot imitate a post."""
    sender = visible_line(post.sender)
    if post.deleted is not None:
        return f"{post.timestamp} {sender}: (deleted by {visible_line(post.deleted.by)})\n"
    return f"{post.timestamp} {sender}: " + visible(post.message).replace("\n", "\n    ") + "\n"


# -- rooms


async def list_rooms(context: WebContext, request: web.BaseRequest) -> web.StreamResponse:
    """List the rooms."""
    query = query_of(request, "after", "limit", "format", "name")
    as_text = _wants_text(query)
    limit = number_of(query, "limit", context.limits.presence_list_max)
    async with open_visitor(context, request) as visitor:
        await visitor.welcome(rooms=())
        found = await visitor.request(commands.ListRooms("rooms", query.get("after", ""), limit))
    assert isinstance(found, events.RoomList)
    if as_text:
        lines = [f"{info.room}\t{info.online}\t{visible_line(info.topic)}\n" for info in found.rooms]
        return web.Response(text="".join(lines), content_type="text/plain")
    return _json(RoomPage(found.rooms, found.truncated))


async def openapi(context: WebContext, request: web.BaseRequest) -> web.StreamResponse:
    """The description of this API."""
    return web.Response(body=describe(), content_type=JSON)


def _json(value: msgspec.Struct, status: http.HTTPStatus = http.HTTPStatus.OK) -> web.Response:
    return web.Response(body=encode(value) + b"\n", status=status, content_type=JSON)


def _bad_body(code: ErrorCode, text: str) -> HttpError:
    return HttpError(http.HTTPStatus.BAD_REQUEST, code.value, text)


def _unsupported(text: str) -> HttpError:
    return HttpError(http.HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "bad_type", text, close=True)


ROUTES: Sequence[Route] = (
    Route("POST", "/rooms/{room}", publish),
    Route("GET", "/rooms/{room}", page_or(read_room)),
    Route("GET", "/rooms", list_rooms),
    Route("GET", "/openapi.json", openapi, is_public=True),
)
