"""Joins and leaves as other clients see them: people, not connections."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack

import pytest

from broadcast_tui.core.limits import Limits
from tests.support.plain import plain_client, v1_client
from tests.support.running import eventually, running_server

LONG_GRACE = Limits(leave_grace_s=60.0)
SHORT_GRACE = Limits(leave_grace_s=0.05)


async def test_one_person_on_two_connections_counts_once() -> None:
    async with running_server(limits=SHORT_GRACE) as server, v1_client(server.url, "ben") as ben:
        async with v1_client(server.url, "ana", client_id="a"):
            joined = await ben.next_of(event="join")
            assert (joined["name"], joined["online"]) == ("ana", 2)
            async with v1_client(server.url, "ana", client_id="a") as second:
                await second.say("from the second", nonce="n1")
                frames = await ben.until(type="message")
                assert [frame["type"] for frame in frames] == ["message"]
            await eventually(lambda: server.connection_count == 2)
            assert await ben.settle() == []
        left = await ben.next_of(event="leave")
        assert (left["name"], left["online"]) == ("ana", 1)


async def test_reconnect_within_the_grace_period_is_silent() -> None:
    async with running_server(limits=LONG_GRACE) as server, v1_client(server.url, "ben") as ben:
        async with v1_client(server.url, "ana", client_id="a") as ana:
            await ben.next_of(event="join")
            ana.drop()
        await eventually(lambda: server.connection_count == 1)
        await ben.send("presence", room="lobby", ref="p1")
        assert (await ben.next_of(ref="p1"))["online"] == 2, "who is in their grace still counts"
        async with v1_client(server.url, "ana", client_id="a") as ana:
            await ana.say("back", nonce="n1")
            assert [frame["type"] for frame in await ben.until(message="back")] == ["message"]


async def test_lost_connection_is_announced_after_the_grace_period() -> None:
    async with running_server(limits=SHORT_GRACE) as server, v1_client(server.url, "ben") as ben:
        async with v1_client(server.url, "ana") as ana:
            await ben.next_of(event="join")
            ana.drop()
            left = await ben.next_of(event="leave")
        assert (left["name"], left["online"], left["room"]) == ("ana", 1, "lobby")
        assert left["message"] == "ana has left the chat. 1 client(s) online."


async def test_explicit_leave_is_announced_at_once() -> None:
    async with (
        running_server(limits=LONG_GRACE) as server,
        v1_client(server.url, "ben") as ben,
        v1_client(server.url, "ana") as ana,
    ):
        await ben.next_of(event="join")
        await ana.send("leave", room="lobby", ref="l1")
        left = await ben.next_of(event="leave")
        assert (left["name"], left["online"]) == ("ana", 1)


async def test_first_name_is_announced_to_v1_clients_only() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ana") as ana,
        plain_client(server.url) as plain,
        plain_client(server.url) as ben,
    ):
        await plain.next_of(event="join")
        await ben.say("hi", sender="Ben")
        line = await ana.next_of(event="rename")
        assert (line["name"], line["online"]) == ("Ben", 3)
        assert [frame["type"] for frame in await plain.until(type="message")] == ["message"]


async def test_joins_of_the_same_moment_are_one_line() -> None:
    limits = Limits(presence_burst=1, presence_rate=2.0)
    async with (
        running_server(limits=limits) as server,
        v1_client(server.url, "watcher") as watcher,
        AsyncExitStack() as stack,
    ):
        names = [f"person{number}" for number in range(12)]
        for name in names:
            await stack.enter_async_context(v1_client(server.url, name))
        lines, joined = [], set[str]()
        while joined != set(names):
            line = await watcher.next_of(event="join")
            lines.append(line)
            joined |= set(line.get("names", [])) | ({line["name"]} if "name" in line else set())
        assert len(lines) < len(names)
        merged = max(lines, key=lambda line: len(line.get("names", [])))
        assert "and" in merged["message"]
        assert "have joined the chat." in merged["message"]
        assert lines[-1]["online"] == 13


async def test_large_room_announces_only_counts() -> None:
    limits = Limits(presence_detail_max=3, presence_count_interval_s=0.05, leave_grace_s=0.05)
    async with running_server(limits=limits) as server, v1_client(server.url, "watcher") as watcher:
        async with AsyncExitStack() as stack:
            for number in range(8):
                await stack.enter_async_context(v1_client(server.url, f"person{number}"))
            line = await watcher.next_of(event="online", online=9)
            assert line["message"] == "9 client(s) online."
            assert "name" not in line
        assert (await watcher.next_of(online=1))["event"] in ("online", "leave")


async def test_many_people_joining_cost_few_frames_each() -> None:
    """N people joining cost O(N) frames, not O(N²)."""
    count = 40
    limits = Limits(presence_detail_max=5, presence_count_interval_s=0.5)
    async with (
        running_server(limits=limits) as server,
        v1_client(server.url, "watcher") as watcher,
        AsyncExitStack() as stack,
    ):
        for number in range(count):
            await stack.enter_async_context(v1_client(server.url, f"person{number}"))
        frames = await watcher.until(online=count + 1)
        assert len(frames) <= 5 + count // 2


async def test_unseen_reader_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "broadcast_tui.server")
    async with running_server() as server, v1_client(server.url, "ana") as ana:
        async with v1_client(server.url, "spy", presence=False):
            assert server.connection_count == 2
        await eventually(lambda: server.connection_count == 1)
        assert all(frame["type"] == "synced" for frame in await ana.settle())
    assert "spy" in caplog.text
