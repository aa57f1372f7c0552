"""Bytes to frames and back. Any bytes in: a frame or a `FrameError` out, never another exception.

The structs of `commands` and `events` are the declaration; msgspec checks types against them and
makes the JSON schema from them.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from broadcast_tui.core.clock import Instant, parse_time, timestamp
from broadcast_tui.core.errors import ErrorCode, FrameError
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.events import Message
from broadcast_tui.core.protocol.handshake import SUBPROTOCOL

_encoder = msgspec.json.Encoder()


_command_decoder: msgspec.json.Decoder[commands.Command] = msgspec.json.Decoder(commands.Command)


_event_decoder: msgspec.json.Decoder[events.Event] = msgspec.json.Decoder(events.Event)


encode = _encoder.encode
"""A command or event as JSON in UTF-8, without white space."""


class _Envelope(msgspec.Struct):
    """What can be said of a frame whose body is wrong: enough to answer it."""

    type: msgspec.Raw = msgspec.Raw(b"null")
    nonce: msgspec.Raw = msgspec.Raw(b'""')
    ref: msgspec.Raw = msgspec.Raw(b'""')


_TEXT = b"\x81"
"""How a text frame that is no fragment begins."""


_envelope_decoder = msgspec.json.Decoder(_Envelope)


_COMMAND_TYPES = frozenset(
    (
        *("hello", "message", "join", "leave", "history", "presence"),
        *("rename", "search", "list", "topic", "away", "typing"),
        *("kick", "ban", "unban", "mute", "unmute", "bans"),
    )
)  # the tags; test_codec holds them against the structs


def decode_command(data: bytes) -> commands.Command:
    """The command in one text frame.

    Raises:
        FrameError: the peer's fault: not UTF-8, not JSON, not an object, no known type, a field of
            the wrong type. Carries `nonce` and `ref` of the frame where they could be read.
    """
    try:
        if not data.isascii():
            data.decode()  # msgspec does not look into the strings it skips; RFC 6455 8.1 asks for all
        return _command_decoder.decode(data)
    except UnicodeDecodeError:
        raise FrameError(ErrorCode.BAD_UTF8, "The frame is not valid UTF-8.") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _explain(data, error) from None


def decode_event(data: bytes) -> events.Event | None:
    """The event in one text frame, or None if its type is unknown (clients ignore those).

    Raises:
        FrameError: the server sent something that is no event; the server's fault.
    """
    try:
        return _event_decoder.decode(data)
    except msgspec.ValidationError as error:
        if str(error).startswith("Invalid value") and str(error).endswith("`$.type`"):
            return None
        raise FrameError(
            ErrorCode.BAD_FRAME, f"The server sent a frame that is not right: {error}."
        ) from None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise FrameError(ErrorCode.BAD_JSON, "The server sent a frame that is not JSON.") from None


def _explain(data: bytes, error: Exception) -> FrameError:
    if not isinstance(error, msgspec.ValidationError):
        return FrameError(
            ErrorCode.BAD_JSON,
            "The frame is not valid JSON; send one object, "
            'like {"type":"message","message":"Hi","sender":"Ana"}.',
        )
    try:
        envelope = _envelope_decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return FrameError(ErrorCode.BAD_FRAME, "The frame is not a JSON object; send one object a frame.")
    nonce, ref = _short_string(envelope.nonce), _short_string(envelope.ref)
    kind = _short_string(envelope.type)
    if not kind:
        return FrameError(
            ErrorCode.BAD_FRAME, 'The frame has no "type"; it must be a string.', nonce=nonce, ref=ref
        )
    if kind not in _COMMAND_TYPES:
        known = ", ".join(sorted(_COMMAND_TYPES))
        return FrameError(
            ErrorCode.UNKNOWN_TYPE, f"This type of frame is unknown; known are {known}.", nonce=nonce, ref=ref
        )
    return FrameError(ErrorCode.BAD_FRAME, f"The {kind} frame is not right: {error}.", nonce=nonce, ref=ref)


def _short_string(raw: msgspec.Raw) -> str:
    try:
        value = msgspec.json.decode(raw, type=str)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    return value if len(value) <= 64 else ""


def frame(payload: bytes) -> bytes:
    """`payload` as one unmasked WebSocket text frame (RFC 6455 5.2), ready to be written to any peer.

    Valid only on connections without extensions: the same bytes go to everyone.
    """
    size = len(payload)
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big") + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def text_frames(data: bytes, start: int = 0) -> tuple[list[bytes], int]:
    """The payloads of the frames, such as `frame` makes, that `data[start:]` begins with, and their end.

    They end before the first one that is not whole, or is something else.
    """
    payloads = []
    while data[start : start + 1] == _TEXT:
        head, end = frame_extent(data, start)
        if not head or end > len(data) or data[start + 1] > 0x7F:
            break
        payloads.append(data[head:end])
        start = end
    return payloads, start


def frame_extent(data: bytes, start: int) -> tuple[int, int]:
    """Where the payload of the unmasked frame at `start` begins and ends; (0, 0) if its head is not whole."""
    head = start + 2
    if head > len(data):
        return 0, 0
    size = data[start + 1] & 0x7F
    if size > 125:
        width = 2 if size == 126 else 8
        head += width
        if head > len(data):
            return 0, 0
        size = int.from_bytes(data[head - width : head], "big")
    return head, head + size


def framed(event: events.Event) -> bytes:
    """`event` encoded and framed: encode once, write to everyone."""
    return frame(_encoder.encode(event))


def schema() -> dict[str, object]:
    """The protocol's JSON schema, made from the structs."""
    roots: Iterable[type] = (commands.Command, events.Event)  # type: ignore[assignment]
    (command, event), components = msgspec.json.schema_components(roots, ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SUBPROTOCOL,
        "description": "One JSON object a WebSocket text frame.",
        "properties": {"client_to_server": command, "server_to_client": event},
        "$defs": components,
    }


def message_of(post: Post) -> Message:
    """The `message` event of a post."""
    return Message(post.text, post.sender, timestamp(post.at), str(post.position), post.room, post.nonce)


def post_of(event: Message, when: Instant) -> Post:
    """The post in a `message` event; without a usable id its position is `("", 0)`."""
    position = Position.parse(event.id) or Position("", 0)
    return Post(
        event.room, position, event.sender, event.message, parse_time(event.timestamp, when), event.nonce
    )
