"""Decoding any bytes results in a frame or a FrameError."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.errors import ErrorCode, FrameError
from broadcast_tui.core.protocol import codec, commands, events

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
types = st.sampled_from([*sorted(codec._COMMAND_TYPES), "welcome", "ack", "x"]) | json_values
frames = st.fixed_dictionaries(
    {"type": types},
    optional=dict.fromkeys(
        ("message", "sender", "room", "nonce", "ref", "name", "rooms", "before", "limit", "client_id"),
        json_values,
    ),
)


@given(st.binary(max_size=200) | json_values.map(lambda v: json.dumps(v).encode()))
def test_any_bytes_are_a_command_or_a_frame_error(data: bytes) -> None:
    try:
        command = codec.decode_command(data)
    except FrameError:
        return
    assert isinstance(command, commands.Command)


@given(frames.map(lambda frame: json.dumps(frame).encode()))
def test_any_frame_like_object_is_a_command_or_a_frame_error(data: bytes) -> None:
    try:
        command = codec.decode_command(data)
    except FrameError:
        return
    assert codec.decode_command(codec.encode(command)) == command


@given(st.binary(max_size=200) | frames.map(lambda frame: json.dumps(frame).encode()))
def test_any_bytes_are_an_event_or_nothing_or_a_frame_error(data: bytes) -> None:
    try:
        codec.decode_event(data)
    except FrameError:
        return


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", ErrorCode.BAD_JSON),
        (b"hello", ErrorCode.BAD_JSON),
        (b"[]", ErrorCode.BAD_FRAME),
        (b'"text"', ErrorCode.BAD_FRAME),
        (b"{}", ErrorCode.BAD_FRAME),
        (b'{"type":7}', ErrorCode.BAD_FRAME),
        (b'{"type":"dance"}', ErrorCode.UNKNOWN_TYPE),
        (b'{"type":"message"}', ErrorCode.BAD_FRAME),
        (b'{"type":"message","message":null}', ErrorCode.BAD_FRAME),
        (b'{"type":"message","message":"x","room":7}', ErrorCode.BAD_FRAME),
        (b'{"type":"message","message":"\\ud800"}', ErrorCode.BAD_JSON),
        (b'{"type":"message","message":"a","extra":"\xff"}', ErrorCode.BAD_UTF8),
        (b"[" * 100_000, ErrorCode.BAD_FRAME),
        (b'{"type":"message","message":"a","x":' + b"[" * 100_000, ErrorCode.BAD_JSON),
        (b'{"type":"message","message":"a","nonce":"' + b"n" * 65 + b'"}', ErrorCode.BAD_FRAME),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_frame_errors_name_the_problem(data: bytes, code: ErrorCode) -> None:
    with pytest.raises(FrameError) as caught:
        codec.decode_command(data)
    assert caught.value.code is code


def test_error_has_the_nonce_and_ref_of_its_frame() -> None:
    with pytest.raises(FrameError) as caught:
        codec.decode_command(b'{"type":"message","message":1,"nonce":"n1"}')
    assert caught.value.nonce == "n1"
    with pytest.raises(FrameError) as caught:
        codec.decode_command(b'{"type":"join","room":1,"ref":"r1"}')
    assert caught.value.ref == "r1"


def test_unknown_keys_are_ignored_and_unknown_events_are_none() -> None:
    assert codec.decode_command(b'{"type":"message","message":"x","shoe":44}') == commands.Say("x")
    assert codec.decode_event(b'{"type":"fireworks","n":1}') is None


def test_event_without_a_type_is_an_error() -> None:
    with pytest.raises(FrameError):
        codec.decode_event(b'{"message":"x"}')
    with pytest.raises(FrameError):
        codec.decode_event(b"nonsense")


@pytest.mark.parametrize(
    "data",
    [
        b'{"type":5}',
        b'{"type":"message","message":"x","sender":"ana","timestamp":7}',
    ],
)
def test_invalid_event_is_an_error_and_not_unknown(data: bytes) -> None:
    with pytest.raises(FrameError) as caught:
        codec.decode_event(data)
    assert caught.value.code is ErrorCode.BAD_FRAME


@given(st.integers(0, 70_000))
def test_framed_payload_can_be_decoded(size: int) -> None:
    payload = b"x" * size
    framed = codec.frame(payload)
    assert codec.text_frames(framed * 2) == ([payload, payload], 2 * len(framed))
    assert codec.frame_extent(b"." + framed, 1) == (len(framed) - size + 1, len(framed) + 1)


@pytest.mark.parametrize(
    "after", [b"\x89\x00", b"\x01\x01x", b"\x82\x01x", codec.frame(b"x" * 300)[:-1], b"\x81"]
)
def test_text_frames_end_where_something_else_begins_or_the_data_ends(after: bytes) -> None:
    framed = codec.frame(b"hello")
    assert codec.text_frames(framed + after) == ([b"hello"], len(framed))


@pytest.mark.parametrize("size", [5, 300, 70_000])
def test_incomplete_frame_header_has_no_extent(size: int) -> None:
    framed = codec.frame(b"x" * size)
    head = len(framed) - size
    assert [codec.frame_extent(framed[:n], 0) for n in range(head)] == [(0, 0)] * head
    assert codec.frame_extent(framed[:head], 0) == (head, head + size)


def test_frame_is_encoded_as_by_websockets() -> None:
    from websockets.frames import Frame, Opcode

    for size in (0, 125, 126, 65_535, 65_536):
        payload = b"p" * size
        assert codec.frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


def test_command_types_match_the_structs() -> None:
    tags = {struct.__struct_config__.tag for struct in get_args(commands.Command)}
    assert tags == codec._COMMAND_TYPES


def test_plain_message_starts_with_the_documented_keys() -> None:
    event = events.Message("Hello", "Ana", "2025-08-30T10:30:40.123456+00:00", "e-1", "lobby")
    assert list(json.loads(codec.encode(event)))[:4] == ["type", "message", "sender", "timestamp"]


def test_schema_describes_every_frame_type() -> None:
    schema = codec.schema()
    text = json.dumps(schema)
    for struct in (*get_args(commands.Command), *get_args(events.Event)):
        assert f'"{struct.__struct_config__.tag}"' in text
    assert set(schema["properties"]) == {"client_to_server", "server_to_client"}  # type: ignore[call-overload]
