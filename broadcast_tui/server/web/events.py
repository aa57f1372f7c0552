"""Server-sent events: a room followed over HTTP.

Each event has the id of its post or note, or the position that it announces, so that `Last-Event-ID` is the
`since` of the protocol: a reader that reconnects gets what it has missed, or a gap.

Events are written by the hub as those of WebSockets are: without a task for each reader, and converted once
for all readers at the same position. A reader that stops reading is dropped like a WebSocket client.
"""

from __future__ import annotations

import contextlib
import random
from functools import lru_cache
from typing import Any

import msgspec
from aiohttp import HttpVersion11, web

from broadcast_tui.core.protocol import commands
from broadcast_tui.core.protocol.codec import encode, text_frames
from broadcast_tui.server.web.callers import bad_query, open_visitor, query_of
from broadcast_tui.server.web.context import WebContext
from broadcast_tui.server.web.errors import HttpError
from broadcast_tui.server.web.handoff import HttpRequest
from broadcast_tui.server.web.visitor import Visitor, VisitorClosedError

CONTENT_TYPE = "text/event-stream"
HEARTBEAT_S = 15.0
"""Time between two comments, so that proxies and clients know that the connection lives."""
RETRY_MS = 2_000
"""Time after which a reader reconnects, and half of it, so that not all do it at once."""
CACHED_WRITES = 32
"""Converted writes of the hub that are stored for other readers; each is about 64 KiB at most."""
_ID_FIELDS = {"message": "id", "note": "id", "synced": "id", "gap": "to", "epoch": "to", "topic": ""}
"""The types of events that readers get, with the field that contains the id."""


class _Head(msgspec.Struct):
    """The parts of an event that its conversion needs."""

    type: str
    id: str = ""
    to: str = ""


_head_decoder = msgspec.json.Decoder(_Head)


@lru_cache(maxsize=CACHED_WRITES)
def convert(frames: bytes, *, is_chunked: bool = False) -> bytes:
    """WebSocket frames as events of a stream, perhaps as a chunk; empty if readers get none of them.

    Cached, since all readers at one position get the same bytes object.
    """
    parts = []
    for payload in text_frames(frames)[0]:
        head = _head_decoder.decode(payload)
        field = _ID_FIELDS.get(head.type)
        if field is not None:
            parts.append(event(head.type, payload, head.id if field == "id" else head.to if field else ""))
    events = b"".join(parts)
    return chunk(events) if is_chunked and events else events


def chunk(data: bytes) -> bytes:
    """Data, which is not empty, as a chunk of a body (RFC 9112 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(name: str, data: bytes, event_id: str = "") -> bytes:
    """One event of a stream; `data` is JSON in one line."""
    id_line = f"id: {event_id}\n" if event_id else ""
    return f"event: {name}\n{id_line}data: ".encode() + data + b"\n\n"


class StreamWriter:
    """Writes to the body of a response whose head has been sent, without waiting."""

    def __init__(self, request: HttpRequest) -> None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has left")
        self._transport: Any = transport
        self._is_chunked = request.version >= HttpVersion11

    def write_frames(self, frames: bytes) -> None:
        """Write what the hub has written for a reader (hot path)."""
        data = convert(frames, is_chunked=self._is_chunked)
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def write(self, data: bytes) -> None:
        """Write to the body; does nothing if the connection is closed."""
        if data and not self._transport.is_closing():
            self._transport.write(chunk(data) if self._is_chunked else data)


async def follow(context: WebContext, request: web.BaseRequest, room: str) -> web.StreamResponse:
    """Stream the events of a room: those after `Last-Event-ID` or `after`, or the `last` ones, then new ones.

    Raises HttpError or RequestError before the stream starts.
    """
    assert isinstance(request, HttpRequest)
    start = _start_of(request, room, context.limits.replay_posts)
    async with open_visitor(context, request) as visitor:
        await visitor.enter(start)
        response = web.StreamResponse(headers={"X-Accel-Buffering": "no"})
        response.content_type, response.charset = CONTENT_TYPE, "utf-8"
        request.is_endless = True
        await response.prepare(request)
        retry_ms = RETRY_MS + random.randrange(RETRY_MS // 2)
        await response.write(f"retry: {retry_ms}\n\n".encode())
        writer = StreamWriter(request)
        request.connection.on_flow = visitor.set_blocked
        try:
            visitor.forward(writer.write_frames)
            ending = await _until_closed(context, visitor, writer)
        finally:
            request.connection.on_flow = None
        writer.write(ending)
    with contextlib.suppress(ConnectionError):
        await response.write_eof()
    response.force_close()
    return response


def _start_of(request: HttpRequest, room: str, replay_max: int) -> commands.RoomRequest:
    """Where a stream starts. Raises HttpError."""
    query = query_of(request, "after", "last", "name", "format")
    since = request.headers.get("Last-Event-ID") or query.get("after", "")
    last = query.get("last", "0")
    if not (last.isascii() and last.isdecimal() and len(last) <= 9 and int(last) <= replay_max):
        raise bad_query(f"last must be a number from 0 to {replay_max}.")
    if len(since) > 64:
        raise bad_query("This is not the id of a post.")
    return commands.RoomRequest(room, since, 0 if since else int(last))


async def _until_closed(context: WebContext, visitor: Visitor, writer: StreamWriter) -> bytes:
    """Write heartbeats until the server stops or closes the visitor; returns the last event."""
    context.streams.add(visitor)
    try:
        while (closed := visitor.closed) is None and not context.is_stopping:
            if not visitor.peer.blocked:
                writer.write(b":\n\n")
            await visitor.wait(HEARTBEAT_S)
    finally:
        context.streams.discard(visitor)
    return event("drain", b'{"type":"drain"}') if closed is None else _closed_event(closed)


def _closed_event(error: VisitorClosedError) -> bytes:
    """The last event for a reader that the server has closed."""
    failure = HttpError.of(error)
    return event("closed", encode({"code": failure.code, "message": failure.text}))
