"""An author gets the ack before its post, and alone its nonce, in whatever order the engine works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from broadcast_tui.core.notes import NewEntry
from broadcast_tui.core.post import AppendResult
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.support.plain import plain_client, v1_client
from tests.support.running import in_time, running_server


class LateEngine(MemoryEngine):
    """Its tail has the posts long before `append` returns."""

    async def append(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        results = await super().append(entries)
        for _ in range(20):
            await asyncio.sleep(0)
        return results


class GatedEngine(MemoryEngine):
    """Returns from the first append when the next post is there, and stores that when the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.has_next: Callable[[], bool] = lambda: False
        self.gate = asyncio.Event()
        self.first = asyncio.Event()
        self.second = asyncio.Event()

    async def append(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        if self.first.is_set():
            self.second.set()
            await self.gate.wait()
            return await super().append(entries)
        self.first.set()
        results = await super().append(entries)
        while not self.has_next():
            await asyncio.sleep(0.001)
        return results


ENGINES: dict[str, Callable[[Path], Engine]] = {
    "memory": lambda directory: MemoryEngine(),
    "sqlite": lambda directory: SqliteEngine(directory / "history.db"),
    "late": lambda directory: LateEngine(),
}


@pytest.mark.parametrize("kind", sorted(ENGINES))
async def test_author_gets_the_ack_first_and_the_nonce_alone(kind: str, tmp_path: Path) -> None:
    async with (
        running_server(engine=ENGINES[kind](tmp_path)) as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben") as ben,
        plain_client(server.url) as plain,
    ):
        for number in range(30):
            nonce = f'n"{number}é'
            await ana.say(f"post {number}", nonce=nonce)
            if number % 3 == 0:
                await ben.say(f"from ben {number}", nonce=f"b{number}")
                await ben.next_of(type="message", nonce=f"b{number}")
            frames = await ana.until(type="message", nonce=nonce)
            acks = [frame for frame in frames if frame["type"] == "ack"]
            assert [ack["nonce"] for ack in acks] == [nonce]
            assert acks[0]["id"] == frames[-1]["id"]
            assert not any(frame.get("nonce", "").startswith("b") for frame in frames)
        for other in (ben, plain):
            seen = [
                await other.next_of(type="message", sender="ana") for _ in range(30 if other is plain else 1)
            ]
            assert all("nonce" not in frame for frame in seen)


async def test_replays_and_history_have_no_nonces() -> None:
    async with running_server() as server:
        async with v1_client(server.url, "ana") as ana:
            await ana.say("hi", nonce="n1")
            await ana.next_of(type="ack")
        async with v1_client(server.url, "ana", rooms=[{"room": "lobby", "last": 5}]) as ana:
            assert "nonce" not in await ana.next_of(type="message")
            await ana.send("history", room="lobby", ref="h", latest=True)
            [item] = (await ana.next_of(ref="h"))["items"]
            assert "nonce" not in item
            await ana.send("search", room="lobby", query="hi", ref="s")
            [item] = (await ana.next_of(ref="s"))["items"]
            assert "nonce" not in item


async def test_stranger_with_a_copied_client_id_learns_nothing() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ana", client_id="copied") as ana,
        v1_client(server.url, "eve", client_id="copied") as eve,
    ):
        await ana.say("first", nonce="n1")
        await ana.next_of(type="ack", nonce="n1")
        for nonce in ("n1", "n2"):
            await eve.say("guess", nonce=nonce, sender="ana")
            assert not (await eve.next_of(type="ack", nonce=nonce))["dup"]
        await ana.say("second", nonce="n2")
        assert not (await ana.next_of(type="ack", nonce="n2"))["dup"]


async def test_delivery_does_not_wait_for_later_appends() -> None:
    engine = GatedEngine()
    async with (
        running_server(engine=engine) as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben") as ben,
    ):
        engine.has_next = lambda: bool(server._runner.hub.effects.pending_entries)
        await ana.say("one", nonce="n1")
        await in_time(engine.first.wait())
        await ana.say("two", nonce="n2")
        assert (await ben.next_of(type="message"))["message"] == "one"
        await in_time(engine.second.wait())
        engine.gate.set()
        assert (await ben.next_of(type="message"))["message"] == "two"
