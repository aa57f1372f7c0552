"""The plain protocol: clients that send nothing first and know two types of frames."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from broadcast_tui.core.limits import Limits
from tests.support.plain import Frame, plain_client, silent_v1_client, v1_client
from tests.support.running import running_server


def assert_recent(frame: Frame) -> None:
    assert str(frame["timestamp"]).endswith("+00:00")
    at = datetime.fromisoformat(frame["timestamp"])
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=5)


async def test_a_plain_client_is_welcomed_with_the_count() -> None:
    async with running_server() as server, plain_client(server.url) as ana:
        [welcome] = ana.frames
        assert welcome["type"] == "system"
        assert welcome["message"] == (
            "Welcome! You are now connected to the broadcast server. 1 client(s) online."
        )
        assert_recent(welcome)


async def test_join_is_announced_to_the_others_only() -> None:
    async with (
        running_server() as server,
        plain_client(server.url) as ana,
        plain_client(server.url) as ben,
        plain_client(server.url) as cleo,
    ):
        assert ben.frames[0]["message"].endswith("2 client(s) online.")
        assert cleo.frames[0]["message"].endswith("3 client(s) online.")
        first = await ana.next_of(type="system")
        assert first["message"] == "A new client has joined the chat. 2 client(s) online."
        assert_recent(first)
        second = await ana.next_of(type="system")
        assert second["message"] == "A new client has joined the chat. 3 client(s) online."
        await cleo.say("hi", sender="Cleo")
        assert [frame["type"] for frame in await cleo.until(type="message")] == ["message"]


async def test_leave_of_an_unnamed_client_is_announced() -> None:
    async with running_server() as server, plain_client(server.url) as ana:
        async with plain_client(server.url):
            await ana.next_of(event="join")
        left = await ana.next_of(type="system")
        assert left["message"] == "A client has left the chat. 1 client(s) online."
        assert left["event"] == "leave"


async def test_a_message_reaches_everyone_and_its_author_with_name_and_time() -> None:
    async with (
        running_server() as server,
        plain_client(server.url) as alice,
        plain_client(server.url) as bob,
        v1_client(server.url, "cleo") as cleo,
    ):
        await alice.send_raw('{"type":"message","message":"Hello, world!","sender":"Alice"}')
        frames = [await client.next_of(type="message") for client in (alice, bob, cleo)]
        for frame in frames:
            assert frame["message"] == "Hello, world!"
            assert frame["sender"] == "Alice"
            assert_recent(frame)
        assert frames[0] == frames[1] == frames[2]


async def test_everyone_sees_the_same_order() -> None:
    async with (
        running_server(limits=Limits(message_rate=0)) as server,
        plain_client(server.url) as ana,
        plain_client(server.url) as ben,
    ):
        for number in range(50):
            await ana.say(f"a{number}", sender="Ana")
            await ben.say(f"b{number}", sender="Ben")
        seen = [
            [(await client.next_of(type="message"))["message"] for _ in range(100)] for client in (ana, ben)
        ]
        assert seen[0] == seen[1]
        assert [text for text in seen[0] if text[0] == "a"] == [f"a{number}" for number in range(50)]


async def test_the_first_sender_is_the_clients_name_from_then_on() -> None:
    async with running_server() as server, plain_client(server.url) as ana, plain_client(server.url) as ben:
        await ana.say("one", sender="Ana")
        await ana.say("two", sender="Ben")
        await ana.say("three")
        assert [(await ben.next_of(type="message"))["sender"] for _ in range(3)] == ["Ana"] * 3


async def test_a_client_without_a_sender_is_a_guest() -> None:
    async with running_server() as server, plain_client(server.url) as ana:
        await ana.say("who am I?")
        assert (await ana.next_of(type="message"))["sender"].startswith("guest-")


async def test_leave_is_announced_with_the_name() -> None:
    limits = Limits(leave_grace_s=0.05)
    async with running_server(limits=limits) as server, plain_client(server.url) as ana:
        async with plain_client(server.url) as ben:
            await ben.say("hi", sender="Ben")
            await ana.next_of(type="message")
        left = await ana.next_of(type="system")
        assert left["message"] == "Ben has left the chat. 1 client(s) online."


async def test_a_plain_client_is_sent_message_and_system_frames_only() -> None:
    async with (
        running_server(limits=Limits(leave_grace_s=0.05)) as server,
        plain_client(server.url) as plain,
        v1_client(server.url, "ana", client_id="a") as ana,
    ):
        await ana.send("typing", room="lobby")
        await ana.say("hi", room="lobby", nonce="n1")
        await ana.send("rename", name="ana2", ref="r1")
        await ana.next_of(type="renamed")
        for frame_type in ("presence", "history", "join", "hello", "rename", "typing", "leave", "nonsense"):
            await plain.send(frame_type, room="lobby", name="Paul", ref="x", nonce="y")
        await plain.send_raw("not json")
        await server.broadcast_to_all("Maintenance at noon.")
        await ana.say("the end", room="lobby")
        await plain.until(message="the end")
        types = {frame["type"] for frame in plain.frames}
        assert types <= {"message", "system"}, "presence and history answers are for v1 clients"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("nonsense", "bad_json"),
        ('{"type":"dance"}', "unknown_type"),
        ('{"type":"message","message":""}', "empty"),
        ('{"type":"message","message":"x","sender":"SYSTEM"}', "name_reserved"),
        ('{"type":"message","message":"x","sender":""}', None),
        ('{"type":"message","message":"x","sender":null}', None),
    ],
)
async def test_plain_errors_are_system_frames(sent: str, code: str | None) -> None:
    async with running_server() as server, plain_client(server.url) as ana:
        await ana.send_raw(sent)
        frame = await ana.next_frame()
        if code is None:
            assert frame["type"] == "message"
        else:
            assert (frame["type"], frame["event"], frame["code"]) == ("system", "error", code)
            assert len(frame["message"]) > 10
            assert frame["message"].endswith((".", "}", "."))
            assert_recent(frame)


async def test_unknown_keys_are_ignored() -> None:
    async with running_server() as server, plain_client(server.url) as ana:
        await ana.say("hi", sender="Ana", color="red", timestamp="1999-01-01T00:00:00", id="x-1")
        frame = await ana.next_frame()
        assert (frame["message"], frame["sender"]) == ("hi", "Ana")
        assert_recent(frame)
        assert "colour" not in frame


async def test_unknown_subprotocols_are_plain() -> None:
    from websockets.asyncio.client import connect
    from websockets.typing import Subprotocol

    async with running_server() as server:
        async with connect(
            server.url, subprotocols=[Subprotocol("chat"), Subprotocol("mqtt")], proxy=None
        ) as ws:
            assert ws.subprotocol is None
            assert '"welcome"' in str(await ws.recv())
        async with connect(
            server.url, subprotocols=[Subprotocol("chat"), Subprotocol("broadcast-tui.v1")], proxy=None
        ) as ws:
            assert ws.subprotocol == "broadcast-tui.v1"


async def test_plain_clients_get_no_history() -> None:
    async with running_server() as server, plain_client(server.url) as ana:
        await ana.say("before", sender="Ana")
        await ana.next_of(type="message")
        async with plain_client(server.url) as ben, silent_v1_client(server.url) as cleo:
            await cleo.send("hello", name="cleo", rooms=[{"room": "lobby"}])
            await cleo.next_of(type="synced")
            await ana.say("after")
            assert [
                frame["message"] for frame in await ben.until(type="message") if frame["type"] == "message"
            ] == ["after"]
            assert [
                frame["message"] for frame in await cleo.until(type="message") if frame["type"] == "message"
            ] == ["after"]
