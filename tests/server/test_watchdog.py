"""The watchdog reports each callback that holds the event loop, by name, and no others."""

from __future__ import annotations

import asyncio
import logging

import pytest

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.watchdog import Watchdog
from tests.support.plain import plain_client


class Clock:
    """Processor time that passes only in `spend`."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("module", ["asyncio", "uvloop"])
def test_each_long_callback_is_reported_by_name(module: str, caplog: pytest.LogCaptureFixture) -> None:
    new_loop = pytest.importorskip(module).new_event_loop
    clock = Clock()
    watchdog = Watchdog(clock=clock)

    async def step() -> None:
        clock.spend(0.04)
        await asyncio.sleep(0)
        clock.spend(0.06)
        await asyncio.sleep(0.001)
        clock.spend(0.04)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        watchdog.watch_loop(loop)
        loop.call_soon(clock.spend, 0.07)
        loop.call_later(0.001, clock.spend, 0.08)
        loop.call_at(loop.time(), clock.spend, 0.09)
        loop.call_soon_threadsafe(clock.spend, 0.1)
        loop.call_soon(clock.spend, 0.03)
        await loop.create_task(step())
        await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    assert watchdog.held_count == 5
    expected = [("Clock.spend", ms) for ms in (70, 80, 90, 100)] + [(step.__qualname__, 60)]
    assert sorted(caplog.messages) == sorted(
        f"{name} held the event loop for {ms} ms" for name, ms in expected
    )


async def test_frame_that_takes_too_long_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    watchdog = Watchdog(clock=clock)
    server = BroadcastServer("127.0.0.1", 0, watchdog=watchdog)
    async with server, plain_client(server.url) as ana:
        await ana.say("hello", sender="ana")
        await ana.next_of(type="message")
        assert watchdog.held_count == 0
        receive = server._runner.hub.receive

        def receive_slowly(peer: Peer, data: bytes, when: Instant) -> None:
            clock.spend(0.06)
            receive(peer, data, when)

        monkeypatch.setattr(server._runner.hub, "receive", receive_slowly)
        with caplog.at_level(logging.WARNING, "broadcast_tui.server"):
            await ana.say("hello")
            await ana.next_of(type="message")
        assert caplog.messages == ["OpenConnection.data_received held the event loop for 60 ms"]
