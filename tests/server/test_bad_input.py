"""Invalid input gets a clear error and does not affect other connections."""

from __future__ import annotations

import pytest

from broadcast_tui.core.limits import Limits
from tests.support.plain import plain_client, v1_client
from tests.support.raw_socket import BINARY, CONTINUATION, PING, PONG, TEXT, frame, raw_socket
from tests.support.running import running_server

BAD_FRAMES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "bad_json"),
    "blank": (" \n ", "bad_json"),
    "no JSON": ("hello", "bad_json"),
    "half of an object": ('{"type":"message","message":"x"', "bad_json"),
    "two objects": ('{"type":"typing"}{"type":"typing"}', "bad_json"),
    "bare NUL": ("\x00", "bad_json"),
    "NUL in a string": ('{"type":"message","message":"\x00"}', "bad_json"),
    "NaN": ('{"type":"history","limit":NaN}', "bad_json"),
    "byte order mark": ('\ufeff{"type":"typing"}', "bad_json"),
    "single quotes": ("{'type':'message'}", "bad_json"),
    "comment": ('{"type":"typing"/**/}', "bad_json"),
    "array": ("[]", "bad_frame"),
    "string": ('"message"', "bad_frame"),
    "number": ("42", "bad_frame"),
    "null": ("null", "bad_frame"),
    "true": ("true", "bad_frame"),
    "no type": ("{}", "bad_frame"),
    "type a number": ('{"type":1}', "bad_frame"),
    "type null": ('{"type":null}', "bad_frame"),
    "type an object": ('{"type":{"type":"message"}}', "bad_frame"),
    "type empty": ('{"type":""}', "bad_frame"),
    "type unknown": ('{"type":"dance"}', "unknown_type"),
    "type in capitals": ('{"type":"MESSAGE","message":"x"}', "unknown_type"),
    "type of the server": ('{"type":"system","message":"x"}', "unknown_type"),
    "type hostile": ('{"type":"\\u001b]0;x\\u0007\\n"}', "unknown_type"),
    "no message": ('{"type":"message"}', "bad_frame"),
    "message null": ('{"type":"message","message":null}', "bad_frame"),
    "message a number": ('{"type":"message","message":5}', "bad_frame"),
    "message a list": ('{"type":"message","message":["x"]}', "bad_frame"),
    "sender a number": ('{"type":"message","message":"x","sender":7}', "bad_frame"),
    "sender very long": ('{"type":"message","message":"x","sender":"%s"}' % ("y" * 600), "bad_frame"),
    "room a number": ('{"type":"message","message":"x","room":1}', "bad_frame"),
    "nonce very long": ('{"type":"message","message":"x","nonce":"%s"}' % ("n" * 65), "bad_frame"),
    "limit too large a number": ('{"type":"history","limit":1e999}', "bad_frame"),
    "limit a fraction": ('{"type":"history","limit":1.5}', "bad_frame"),
    "lone surrogate": ('{"type":"message","message":"\\ud800"}', "bad"),
    "lone surrogate in a name": ('{"type":"message","message":"x","sender":"\\udfff"}', "bad"),
    "lone surrogate in a key": ('{"type":"message","message":"x","\\ud800":1', "bad"),
    "deep arrays": ("[" * 30_000, "bad"),
    "deep objects": ('{"a":' * 10_000, "bad"),
    "deep in an unknown key": (
        '{"type":"message","message":"x","z":' + "[" * 20_000 + "]" * 20_000 + "}",
        "bad",
    ),
    "deep message": ('{"type":"message","message":' + "[" * 20_000 + "]" * 20_000 + "}", "bad"),
    "message too long": ('{"type":"message","message":"%s"}' % ("x" * 20_000), "too_long"),
    "name reserved": ('{"type":"message","message":"x","sender":"SYSTEM"}', "name_reserved"),
    "room never joined": ('{"type":"message","message":"x","room":"dev"}', "not_in_room"),
    "room impossible": ('{"type":"message","message":"x","room":"a b"}', "bad_room"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FRAMES)
async def test_invalid_frame_affects_only_its_sender(case: str) -> None:
    data, code = BAD_FRAMES[case]
    async with (
        running_server() as server,
        plain_client(server.url) as mallory,
        plain_client(server.url) as ana,
    ):
        await mallory.next_of(event="join")
        await mallory.send_raw(data)
        error = await mallory.next_frame()
        assert (error["type"], error["event"]) == ("system", "error")
        assert error["code"].startswith(code)
        assert error["message"]
        assert error["message"].isprintable()
        await mallory.say("sorry")
        assert [frame.get("message") for frame in await ana.until(type="message")] == ["sorry"]
        await ana.say("never mind", sender="Ana")
        await mallory.next_of(message="never mind")


@pytest.mark.parametrize("case", [case for case, (_, code) in BAD_FRAMES.items() if code != "name_reserved"
                                  and not case.startswith("lone surrogate in a n")])  # fmt: skip
async def test_a_bad_frame_of_a_v1_client_is_answered_with_an_error_frame(case: str) -> None:
    data, code = BAD_FRAMES[case]
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        await ana.next_of(type="synced")
        await ana.send_raw(data)
        error = await ana.next_frame()
        assert error["type"] == "error"
        assert error["code"].startswith(code)
        assert error.get("temporary", False) is False
        await ana.say("sorry", nonce="n1")
        await ana.next_of(type="ack")


@pytest.mark.parametrize(
    "bad_part",
    ['"type":"dance"', '"type":"message","message":5', '"type":"join"', '"type":"history","limit":"x"'],
)
async def test_an_error_names_the_nonce_and_ref_of_the_frame_it_answers(bad_part: str) -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        await ana.send_raw(f'{{{bad_part},"nonce":"n7","ref":"r7"}}')
        error = await ana.next_of(type="error")
        assert (error.get("nonce"), error.get("ref")) == ("n7", "r7")


async def test_a_binary_frame_ends_the_connection_with_1003() -> None:
    async with (
        running_server() as server,
        plain_client(server.url) as mallory,
        plain_client(server.url) as ana,
    ):
        await mallory.next_of(event="join")
        await mallory.send_raw(b'{"type":"message","message":"x"}')
        error = await mallory.next_frame()
        assert (error["event"], error["code"]) == ("error", "binary")
        assert (await mallory.closed())[0] == 1003
        assert [frame["event"] for frame in await ana.until(event="leave")] == ["leave"]


@pytest.mark.parametrize(
    "data",
    [b"\xff", b'{"type":"message","message":"\xff"}', b'{"type":"message","message":"\xed\xa0\x80"}',
     b'{"type":"message","message":"x","other":"\xc0\xaf"}'],
    ids=["bare", "in a message", "an encoded surrogate", "in an unknown key"],
)  # fmt: skip
async def test_invalid_utf8_ends_the_connection_with_1007(data: bytes) -> None:
    async with (
        running_server() as server,
        plain_client(server.url) as mallory,
        plain_client(server.url) as ana,
    ):
        await mallory.send_raw(data, text=True)
        assert (await mallory.closed())[0] == 1007
        assert [frame["type"] for frame in await ana.until(event="leave")] == ["system"]


async def test_a_frame_over_the_limit_ends_the_connection_with_1009() -> None:
    async with (
        running_server() as server,
        plain_client(server.url) as mallory,
        plain_client(server.url) as ana,
    ):
        await mallory.say("x" * 200_000)
        assert (await mallory.closed())[0] == 1009
        await ana.next_of(event="leave")
        await ana.say("still here", sender="Ana")
        await ana.next_of(type="message")


async def test_a_message_in_many_fragments_over_the_limit_ends_with_1009() -> None:
    async with running_server() as server, raw_socket(server.port) as mallory:
        await mallory.handshake()
        await mallory.send(frame(TEXT, b"x" * 30_000, final=False))
        for _ in range(4):
            await mallory.send(frame(CONTINUATION, b"x" * 30_000, final=False))
        assert (await mallory.read_close())[0] == 1009


async def test_the_longest_message_fits_even_if_every_character_is_escaped() -> None:
    async with running_server() as server, plain_client(server.url) as ana:
        await ana.send_raw('{"type":"message","message":"%s"}' % ("\\u0041" * 16_384))
        assert (await ana.next_of(type="message"))["message"] == "A" * 16_384


async def test_unlimited_messages_allow_a_megabyte() -> None:
    limits = Limits(max_message_bytes=0, message_rate=0)
    async with running_server(limits=limits) as server, plain_client(server.url) as ana:
        await ana.say("x" * 1_000_000)
        assert len((await ana.next_of(type="message"))["message"]) == 1_000_000


async def test_character_split_by_fragments_is_joined() -> None:
    async with running_server() as server, raw_socket(server.port) as sock, plain_client(server.url) as ana:
        await sock.handshake()
        payload = '{"type":"message","message":"né 😀"}'.encode()
        cut = payload.index("é".encode()) + 1
        await sock.send(frame(TEXT, payload[:cut], final=False))
        await sock.send(frame(PING, b"between"))
        await sock.send(frame(CONTINUATION, b"", final=False))
        await sock.send(frame(CONTINUATION, payload[cut:]))
        assert (await ana.next_of(type="message"))["message"] == "né 😀"
        while (received := await sock.read_frame())[0] != PONG:
            pass
        assert received == (PONG, b"between")


async def test_frames_are_read_at_any_boundaries() -> None:
    limits = Limits(message_rate=0)
    async with (
        running_server(limits=limits) as server,
        raw_socket(server.port) as sock,
        plain_client(server.url) as ana,
    ):
        await sock.handshake()
        stream = b"".join(frame(TEXT, b'{"type":"message","message":"%d"}' % number) for number in range(300))
        for start in range(0, len(stream), 1_777):
            await sock.send(stream[start : start + 1_777])
        seen = [(await ana.next_of(type="message"))["message"] for _ in range(300)]
        assert seen == [str(number) for number in range(300)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"{}", masked=False), 1002),
        (frame(CONTINUATION, b"{}"), 1002),
        (frame(0x3, b"{}"), 1002),
        (b"\xc1\x80\0\0\0\0", 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(TEXT, b"{", final=False) + frame(TEXT, b"}"), 1002),
        (frame(BINARY, b"x", final=False) + frame(CONTINUATION, b"y"), 1003),
        (frame(TEXT, b"\xff", final=False) + frame(CONTINUATION, b""), 1007),
    ],
    ids=["no mask", "nothing to continue", "unknown opcode", "reserved bit", "long ping", "text in text",
         "binary in fragments", "bad UTF-8 in fragments"],
)  # fmt: skip
async def test_invalid_websocket_data_closes_only_that_connection(data: bytes, code: int) -> None:
    async with (
        running_server() as server,
        plain_client(server.url) as ana,
        raw_socket(server.port) as mallory,
    ):
        await mallory.handshake()
        await ana.next_of(event="join")
        await mallory.send(data)
        assert (await mallory.read_close())[0] == code
        mallory.reset()
        assert [frame["event"] for frame in await ana.until(event="leave")] == ["leave"]


async def test_too_many_bad_frames_end_the_connection_with_4505() -> None:
    limits = Limits(max_errors=5)
    async with (
        running_server(limits=limits) as server,
        plain_client(server.url) as mallory,
        plain_client(server.url) as ana,
    ):
        for _ in range(6):
            await mallory.send_raw("nonsense")
        code, reason = await mallory.closed()
        assert code == 4505
        assert reason
        errors = [frame for frame in mallory.frames if frame.get("event") == "error"]
        assert len(errors) == 6
        assert [frame["event"] for frame in await ana.until(event="leave")] == ["leave"]


async def test_bad_frames_within_the_limit_are_only_answered() -> None:
    limits = Limits(max_errors=5)
    async with running_server(limits=limits) as server, plain_client(server.url) as ana:
        for _ in range(5):
            await ana.send_raw("nonsense")
        for _ in range(5):
            assert (await ana.next_frame())["code"] == "bad_json"
        await ana.say("sorry")
        await ana.next_of(type="message")


async def test_invalid_http_is_rejected_without_side_effects() -> None:
    async with (
        running_server() as server,
        plain_client(server.url) as ana,
        raw_socket(server.port) as mallory,
    ):
        await mallory.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10 + b"\r\n\r\n")
        await mallory.read_to_end()
        await ana.say("hi", sender="Ana")
        assert [frame["type"] for frame in await ana.until(type="message")] == ["message"]
