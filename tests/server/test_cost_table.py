"""Nothing that one address may ask for, in its most expensive form, holds the server up for the others.

Each frame type is sent over all connections of one address at the rate that its limits allow, and also as
fast as possible. The reports of the watchdog are counted, so the speed of the machine does not matter.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from tests.cli.program import EXECUTED
from tests.support.hostile_load import (
    AS_FAST_AS_POSSIBLE,
    COMMANDS,
    REQUEST_FLOODS,
    Bystanders,
    ServerProcess,
    attack,
    bystanders,
    fill_history,
    flood,
    most_expensive,
    request_pages,
    running_behind_proxy,
)
from tests.support.profile import by_profile
from tests.support.raw_socket import CONTINUATION, PING, PONG, TEXT, frame

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

ATTACKER = "198.51.100.7"
EVALUATIONS = by_profile(2, 60)
ATTACK_S = by_profile(0.3, 10.0)
FLOOD_S = by_profile(0.2, 5.0)
LOBBY_POSTS = by_profile(2_000, 100_000)
ROOMS = by_profile(1_000, 9_000)
CODE = by_profile("", EXECUTED)
"""By default, a fork that starts fast. It shares some 100 MB with others, so that its limit is stricter."""
MEMORY_BYTES = 256_000_000
PAGES = {
    **REQUEST_FLOODS,
    "landing page": ("/", ""),
    "health": ("/healthz", ""),
    "readiness": ("/readyz?" + "x" * 8_000, ""),
    "unknown": ("/" + "é" * 6_000, ""),
    "many headers": ("/", "".join(f"X-{n}: {'y' * 60}\r\n" for n in range(120))),
    "forwarded": ("/", "X-Forwarded-For: " + "127.0.0.1, " * 700 + "127.0.0.1\r\n"),
}
FRAMES = {
    "pings": frame(PING, b"") * 10_000,
    "long pings": frame(PING, b"x" * 125) * 1_000,
    "pongs": frame(PONG, b"") * 10_000,
    "fragments": frame(TEXT, b"", final=False) + frame(CONTINUATION, b"", final=False) * 10_000,
    "empty frames": frame(TEXT, b"") * 10_000,
    "nested JSON": frame(TEXT, b"[" * 100_000) * 2,
    "long strings": frame(TEXT, b'{"type":"message","message":"' + b"\\u0301" * 20_000 + b'"}') * 2,
    "many keys": frame(TEXT, b'{"type":"list"' + b',"":0' * 20_000 + b"}") * 2,
}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cost") / "history.db"
    asyncio.run(fill_history(path, LOBBY_POSTS, ROOMS))
    return path


@asynccontextmanager
async def measured_server(
    history: Path | None, home: Path
) -> AsyncIterator[tuple[ServerProcess, Bystanders]]:
    """A server on a copy of `history`, or in memory; at the end, nothing may have held it up."""
    async with running_behind_proxy(history, home, CODE) as (server, running):
        async with bystanders(server.port) as others:
            yield server, others
        outcome = await running.stop(signal.SIGTERM)
    assert "held the event loop" not in outcome.err, outcome.err
    assert "Traceback" not in outcome.err, outcome.err
    assert outcome.status == 0


async def everyone_else_gets_through(
    server: ServerProcess, others: Bystanders, attacking: Awaitable[object]
) -> None:
    """Posts arrive while others attack, and the server's memory stays bounded."""
    task = asyncio.ensure_future(attacking)
    worst = 0

    def is_done() -> bool:
        nonlocal worst
        worst = max(worst, server.resident_bytes())
        return task.done()

    await others.post_until(is_done)
    await task
    assert worst < MEMORY_BYTES


@pytest.mark.timeout(by_profile(120, 1_200))
@pytest.mark.parametrize("kind", COMMANDS)
async def test_costly_requests_of_one_address_leave_the_server_to_others(
    kind: str, history: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    await attack_with(kind, history, tmp_path, request.config.getoption("--seed") or 1)


@pytest.mark.timeout(by_profile(120, 1_200))
@pytest.mark.parametrize("kind", ["message", "join", "history", "search"])
async def test_costly_requests_to_a_history_in_memory_leave_the_server_to_others(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    await attack_with(kind, None, tmp_path, request.config.getoption("--seed") or 1)


async def attack_with(kind: str, history: Path | None, home: Path, seed: int) -> None:
    """Find the most expensive form of a frame type, and send it at the allowed rate and without pause."""
    async with measured_server(history, home) as (server, others):
        form, cost = await most_expensive(server, kind, Random(seed), EVALUATIONS)
        print(f"{kind}: {cost * 1e3:.2f} ms a request with {form}")
        await everyone_else_gets_through(server, others, attack(server, kind, form, ATTACK_S, ATTACKER))
        fast = attack(server, kind, form, FLOOD_S, "198.51.100.8", AS_FAST_AS_POSSIBLE)
        await everyone_else_gets_through(server, others, fast)


@pytest.mark.parametrize("kind", FRAMES)
async def test_floods_of_frames_leave_the_server_to_others(kind: str, history: Path, tmp_path: Path) -> None:
    async with measured_server(history, tmp_path) as (server, others):
        flooding = flood(server, FRAMES[kind], ATTACK_S, ATTACKER)
        await everyone_else_gets_through(server, others, flooding)


@pytest.mark.parametrize("page", PAGES)
async def test_costly_pages_leave_the_server_to_others(page: str, history: Path, tmp_path: Path) -> None:
    path, headers = PAGES[page]
    async with measured_server(history, tmp_path) as (server, others):
        asking = request_pages(server, path, ATTACK_S, ATTACKER, headers)
        await everyone_else_gets_through(server, others, asking)
