"""curl, with lost connections and answers, and a server that is killed: each key is stored exactly once."""

from __future__ import annotations

import asyncio
import json
import shutil
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import HistoryServer
from tests.support.proxy import Proxy, running_proxy
from tests.support.running import PATIENCE_S, in_time

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl: apt-get install curl"),
]
POSTS_AT_ONCE = 5


class Curl:
    """One `curl --retry` that posts with a key."""

    def __init__(self, process: asyncio.subprocess.Process, key: str) -> None:
        self._process = process
        self.key = key

    async def answer(self) -> dict[str, Any]:
        """The answer to the attempt that succeeded."""
        async with asyncio.timeout(2 * PATIENCE_S):
            output, errors = await self._process.communicate()
        assert self._process.returncode == 0, errors.decode()
        *_, last = output.decode().splitlines()
        answer: dict[str, Any] = json.loads(last)
        return answer


async def start(proxy: Proxy, key: str) -> Curl:
    arguments = (
        *("-sS", "--fail-with-body", "--retry", "20", "--retry-all-errors", "--retry-delay", "1"),
        *("-H", f"Idempotency-Key: {key}", "-H", "X-Name: ci", "--data", f"Deploy {key}"),
    )
    process = await asyncio.create_subprocess_exec(
        *("curl", *arguments, f"http://127.0.0.1:{proxy.port}/rooms/ops"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return Curl(process, key)


def stored(server: HistoryServer) -> list[dict[str, Any]]:
    """The posts in the room."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/rooms/ops", timeout=PATIENCE_S) as page:
        return [json.loads(line) for line in page.read().splitlines()]


async def until_stored(server: HistoryServer, count: int) -> None:
    """Wait until the room has `count` posts."""

    async def poll() -> None:
        while len(await asyncio.to_thread(stored, server)) < count:
            await asyncio.sleep(0.05)

    await in_time(poll())


async def test_each_key_is_stored_exactly_once(tmp_path: Path) -> None:
    server = HistoryServer(tmp_path)
    server.start("--message-rate", "0")
    try:
        async with running_proxy(server.port) as proxy:
            # The answers are lost, but not the posts.
            proxy.answering.clear()
            unanswered = [await start(proxy, f"a{number}") for number in range(POSTS_AT_ONCE)]
            await until_stored(server, POSTS_AT_ONCE)
            proxy.cut()
            proxy.answering.set()
            assert all([(await curl.answer())["dup"] for curl in unanswered])

            # The server is killed before it has answered.
            proxy.answering.clear()
            killed = [await start(proxy, f"b{number}") for number in range(POSTS_AT_ONCE)]
            await until_stored(server, 2 * POSTS_AT_ONCE)
            server.kill()
            proxy.cut()
            proxy.answering.set()
            # There is no server at first.
            early = [await start(proxy, f"c{number}") for number in range(POSTS_AT_ONCE)]
            await proxy.accepted(3 * POSTS_AT_ONCE)
            await asyncio.to_thread(server.start)
            assert all([(await curl.answer())["dup"] for curl in killed])
            assert not any([(await curl.answer())["dup"] for curl in early])

            counts = Counter(post["message"] for post in stored(server))
            expected = {f"Deploy {curl.key}": 1 for curl in (*unanswered, *killed, *early)}
            assert counts == expected
            again = await start(proxy, "a0")
            answer = await again.answer()
            assert answer["dup"]
            assert answer["id"] == next(p["id"] for p in stored(server) if p["message"] == "Deploy a0")
    finally:
        server.stop()
