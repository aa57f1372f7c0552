"""Rates and limits per connection."""

from __future__ import annotations

import asyncio

import pytest

from broadcast_tui.core.errors import SearchTooCostlyError
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.post import Post
from broadcast_tui.engine.memory import MemoryEngine
from tests.support.plain import WireClient, plain_client, silent_v1_client, v1_client
from tests.support.running import running_server


async def test_posts_above_the_burst_are_rejected_temporarily() -> None:
    limits = Limits(message_rate=0.5, message_burst=3)
    async with (
        running_server(limits=limits) as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben") as ben,
    ):
        for number in range(5):
            await ana.say(f"post {number}", nonce=f"n{number}")
        error = await ana.next_of(type="error")
        assert (error["code"], error["temporary"], error["nonce"]) == ("rate_limited", True, "n3")
        assert 0 < error["retry_after"] <= 2.0
        assert f"{error['retry_after']:.1f} s" in error["message"]
        await ben.say("my rate is my own", nonce="b1")
        frames = await ben.until(message="my rate is my own")
        assert [frame["message"] for frame in frames if frame["type"] == "message"] == [
            "post 0",
            "post 1",
            "post 2",
            "my rate is my own",
        ]


async def test_plain_client_gets_rate_errors_as_system_frames() -> None:
    limits = Limits(message_rate=0.5, message_burst=1)
    async with running_server(limits=limits) as server, plain_client(server.url) as ana:
        await ana.say("one")
        await ana.say("two")
        error = await ana.next_of(event="error")
        assert (error["type"], error["code"], error["temporary"]) == ("system", "rate_limited", True)
        assert error["retry_after"] > 0


async def test_rejected_post_succeeds_when_resent_later() -> None:
    limits = Limits(message_rate=20.0, message_burst=1)
    async with running_server(limits=limits) as server, v1_client(server.url, "ana") as ana:
        sent = 0
        while sent < 5:
            await ana.say("again", nonce=f"n{sent}")
            answer = await ana.next_frame()
            while answer["type"] not in ("ack", "error"):
                answer = await ana.next_frame()
            sent += answer["type"] == "ack"
            await asyncio.sleep(answer.get("retry_after", 0.0))


async def test_zero_rate_is_unlimited() -> None:
    limits = Limits(message_rate=0, message_burst=0)
    async with running_server(limits=limits) as server, v1_client(server.url, "ana") as ana:
        for number in range(200):
            await ana.say("x", nonce=f"n{number}")
        for number in range(200):
            await ana.next_of(type="ack", nonce=f"n{number}")


async def next_answer(client: WireClient, *types: str) -> str:
    """The type of the next frame of one of `types`; errors overtake answers from the log."""
    while (frame := await client.next_frame())["type"] not in types:
        pass
    return str(frame["type"])


async def test_bytes_above_the_burst_are_rejected_temporarily() -> None:
    limits = Limits(message_rate=1_000.0, byte_rate=100.0, byte_burst=1_000)
    async with running_server(limits=limits) as server, v1_client(server.url, "ana") as ana:
        await ana.say("x" * 1_000, nonce="n0")
        await ana.next_of(type="ack", nonce="n0")
        await ana.say("x" * 500, nonce="n1")
        error = await ana.next_of(type="error")
        assert (error["code"], error["temporary"], error["nonce"]) == ("rate_limited", True, "n1")
        assert 0 < error["retry_after"] <= 5.0


@pytest.mark.parametrize(("size", "taken"), [(16_383, True), (16_384, True), (16_385, False)])
async def test_the_longest_post_by_default(size: int, taken: bool) -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        await ana.say("x" * size, nonce="n")
        answer = await ana.next_of(nonce="n")
        assert (answer["type"], answer.get("code")) == (("ack", None) if taken else ("error", "too_long"))


@pytest.mark.parametrize(("size", "taken"), [(131_071, True), (131_072, True), (131_073, False)])
async def test_the_longest_frame_by_default(size: int, taken: bool) -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        start, end = '{"type":"list","ref":"r","x":"', '"}'
        await ana.send_raw(start + "x" * (size - len(start) - len(end)) + end)
        if taken:
            assert (await ana.next_of(ref="r"))["type"] == "list"
        else:
            assert (await ana.closed())[0] == 1009


@pytest.mark.parametrize(("posts", "refused"), [(29, 0), (30, 0), (31, 1)])
async def test_burst_of_posts_is_accepted_and_the_next_is_rejected(posts: int, refused: int) -> None:
    limits = Limits(message_rate=0.001)
    assert limits.message_burst == 30
    async with running_server(limits=limits) as server, v1_client(server.url, "ana") as ana:
        for number in range(posts):
            await ana.say("line", nonce=f"n{number}")
        answers = [await next_answer(ana, "ack", "error") for _ in range(posts)]
        assert answers.count("error") == refused


@pytest.mark.parametrize(("posts", "refused"), [(63, 0), (64, 0), (65, 1)])
async def test_the_bytes_of_a_connection_by_default(posts: int, refused: int) -> None:
    limits = Limits(message_rate=1_000.0, message_burst=1_000, byte_rate=0.001)
    assert limits.byte_burst == 64 * 16_384
    async with running_server(limits=limits) as server, v1_client(server.url, "ana") as ana:
        for number in range(posts):
            await ana.say("x" * 16_384, nonce=f"n{number}")
        answers = [await next_answer(ana, "ack", "error") for _ in range(posts)]
        assert answers.count("error") == refused


@pytest.mark.parametrize(("count", "taken"), [(31, True), (32, True), (33, False)])
async def test_the_rooms_of_a_connection_by_default(count: int, taken: bool) -> None:
    async with running_server() as server, silent_v1_client(server.url) as ana:
        await ana.send("hello", name="ana", rooms=[{"room": f"r{number}"} for number in range(count)])
        answer = await ana.next_frame()
        assert answer["type"] == ("welcome" if taken else "error")


@pytest.mark.parametrize(("count", "closed"), [(49, False), (50, False), (51, True)])
async def test_the_bad_frames_of_a_connection_by_default(count: int, closed: bool) -> None:
    limits = Limits(error_window_s=1e9)
    async with running_server(limits=limits) as server, plain_client(server.url) as ana:
        for _ in range(count):
            await ana.send_raw("nonsense")
        if closed:
            assert (await ana.closed())[0] == 4505
        else:
            await ana.say("still here")
            await ana.next_of(type="message")


@pytest.mark.parametrize(("count", "refused"), [(19, 0), (20, 0), (21, 1)])
async def test_the_requests_of_a_connection_by_default(count: int, refused: int) -> None:
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        bucket = next(iter(server._runner.connections)).fetch_bucket
        bucket._rate = 0.001
        for number in range(count):
            await ana.send("history", ref=f"h{number}")
        answers = [await next_answer(ana, "history", "error") for _ in range(count)]
        assert answers.count("error") == refused


async def test_zero_means_unlimited_for_all_connection_limits() -> None:
    limits = Limits(
        message_rate=0, message_burst=0, byte_rate=0, byte_burst=0, max_message_bytes=0, max_frame_bytes=0,
        max_rooms_per_peer=0, max_errors=0, history_rate=0,
    )  # fmt: skip
    async with running_server(limits=limits) as server, silent_v1_client(server.url) as ana:
        await ana.send("hello", name="ana", rooms=[{"room": f"r{number}"} for number in range(60)])
        await ana.next_of(type="welcome")
        for number in range(100):
            await ana.send_raw("nonsense")
            await ana.send("history", room="r0", ref=f"h{number}")
            await ana.say("x" * 20_000, room="r0", nonce=f"n{number}")
            await ana.next_of(type="ack", nonce=f"n{number}")
        errors = [frame for frame in ana.frames if frame["type"] == "error"]
        assert {frame["code"] for frame in errors} == {"bad_json"}


class CostlyEngine(MemoryEngine):
    """An engine for which every search takes too long."""

    async def search(
        self, room: str, query: str, *, before: int | None = None, limit: int, root: int = 0
    ) -> list[Post]:
        raise SearchTooCostlyError


async def test_a_search_that_takes_too_long_is_an_error_with_its_ref() -> None:
    async with running_server(engine=CostlyEngine()) as server, v1_client(server.url, "ana") as ana:
        await ana.send("search", room="lobby", ref="s", query="e")
        error = await ana.next_of(ref="s")
        assert (error["type"], error["code"]) == ("error", "search_too_costly")
        assert error.get("temporary", False) is False
        assert "takes too long" in error["message"]
        await ana.send("history", room="lobby", ref="h")
        assert (await ana.next_of(ref="h"))["type"] == "history"
