"""Encoding and decoding of frames, WebSocket framing, and the JSON schema.

The structs of `commands` and `events` declare the protocol: msgspec validates frames against them and
generates the schema from them. Decoding any bytes results in a frame or a `FrameError`, never in another
exception.
"""

from __future__ import annotations

from collections.abc import Iterable
from inspect import cleandoc

import msgspec

from broadcast_tui.core.errors import ErrorCode, FrameError
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.protocol.handshake import SUBPROTOCOL

_TEXT_FRAME = b"\x81"
"""First byte of an unfragmented text frame."""
_COMMAND_TYPES = frozenset(
    (
        *("hello", "message", "note", "join", "leave", "history", "presence", "direct"),
        *("rename", "search", "list", "topic", "away", "typing"),
        *("kick", "ban", "unban", "mute", "unmute", "bans"),
    )
)
"""The tags of the commands; a test compares them with the structs."""


class _Envelope(msgspec.Struct):
    """The parts of an invalid frame that are needed to reply to it."""

    type: msgspec.Raw = msgspec.Raw(b"null")
    nonce: msgspec.Raw = msgspec.Raw(b'""')
    ref: msgspec.Raw = msgspec.Raw(b'""')


_encoder = msgspec.json.Encoder()
_command_decoder: msgspec.json.Decoder[commands.Command] = msgspec.json.Decoder(commands.Command)
_event_decoder: msgspec.json.Decoder[events.Event] = msgspec.json.Decoder(events.Event)
_envelope_decoder = msgspec.json.Decoder(_Envelope)

encode = _encoder.encode
"""Encode a command or event as JSON in UTF-8, without white space."""


def decode_command(data: bytes) -> commands.Command:
    """Decode the command in a text frame.

    Raises:
        FrameError: It is not UTF-8, not a JSON object, or has an unknown type or an invalid field. Contains
            the `nonce` and `ref` of the frame, if they could be read.
    """
    try:
        if not data.isascii():
            data.decode()  # msgspec does not validate skipped strings, but RFC 6455 8.1 requires it
        return _command_decoder.decode(data)
    except UnicodeDecodeError:
        raise FrameError(ErrorCode.BAD_UTF8, "The frame is not valid UTF-8.") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _explain(data, error) from None


def decode_event(data: bytes) -> events.Event | None:
    """Decode the event in a text frame; None if its type is unknown, which clients ignore.

    Raises:
        FrameError: The frame is invalid: the server's fault.
    """
    try:
        return _event_decoder.decode(data)
    except msgspec.ValidationError as error:
        if str(error).startswith("Invalid value") and str(error).endswith("`$.type`"):
            return None
        raise FrameError(ErrorCode.BAD_FRAME, f"The server sent an invalid frame: {error}.") from None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise FrameError(ErrorCode.BAD_JSON, "The server sent a frame that is not JSON.") from None


def _explain(data: bytes, error: Exception) -> FrameError:
    if not isinstance(error, msgspec.ValidationError):
        return FrameError(
            ErrorCode.BAD_JSON,
            "The frame is not valid JSON. Send an object "
            'like {"type":"message","message":"Hi","sender":"Ana"}.',
        )
    try:
        envelope = _envelope_decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return FrameError(ErrorCode.BAD_FRAME, "The frame is not a JSON object.")
    nonce, ref = _short_string(envelope.nonce), _short_string(envelope.ref)
    kind = _short_string(envelope.type)
    if not kind:
        return FrameError(
            ErrorCode.BAD_FRAME, 'The frame has no "type", or it is not a string.', nonce=nonce, ref=ref
        )
    if kind not in _COMMAND_TYPES:
        known = ", ".join(sorted(_COMMAND_TYPES))
        return FrameError(
            ErrorCode.UNKNOWN_TYPE, f"Unknown frame type. Known types: {known}.", nonce=nonce, ref=ref
        )
    return FrameError(ErrorCode.BAD_FRAME, f"Invalid {kind} frame: {error}.", nonce=nonce, ref=ref)


def _short_string(raw: msgspec.Raw) -> str:
    try:
        value = msgspec.json.decode(raw, type=str)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    return value if len(value) <= 64 else ""


def frame(payload: bytes) -> bytes:
    """Wrap `payload` in an unmasked WebSocket text frame (RFC 6455 5.2).

    The same bytes are valid for all connections, since no extensions are negotiated.
    """
    size = len(payload)
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big") + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def text_frames(data: bytes, start: int = 0) -> tuple[list[bytes], int]:
    """The payloads of the frames, as made by `frame`, at the start of `data[start:]`, and their end offset.

    Parsing stops before the first frame that is incomplete or of another kind.
    """
    payloads = []
    while data[start : start + 1] == _TEXT_FRAME:
        head, end = frame_extent(data, start)
        if not head or end > len(data) or data[start + 1] > 0x7F:
            break
        payloads.append(data[head:end])
        start = end
    return payloads, start


def frame_extent(data: bytes, start: int) -> tuple[int, int]:
    """Start and end offset of the payload of the unmasked frame at `start`.

    (0, 0) if its header is incomplete.
    """
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
    """Encode an event as a WebSocket frame. Encode once, then write to all recipients."""
    return frame(_encoder.encode(event))


def with_nonce(message: bytes, nonce: str) -> bytes:
    """The frame of a `message` event for the author of the post: with its nonce."""
    start, end = frame_extent(message, 0)
    return frame(b'%b,"nonce":%b}' % (message[start : end - 1], _encoder.encode(nonce)))


def schema() -> dict[str, object]:
    """The JSON schema of the protocol, generated from the structs."""
    roots: Iterable[type] = (commands.Command, events.Event)  # type: ignore[assignment]
    (command, event), components = msgspec.json.schema_components(roots, ref_template="#/$defs/{name}")
    for component in components.values():
        if "description" in component:  # versions of msgspec differ in the indentation of docstrings
            component["description"] = cleandoc(component["description"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SUBPROTOCOL,
        "description": "One JSON object per WebSocket text frame.",
        "properties": {"client_to_server": command, "server_to_client": event},
        "$defs": components,
    }
