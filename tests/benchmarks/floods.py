"""How long a post takes to a healthy client while others flood the server. Prints a line a flood.

python tests/benchmarks/floods.py
"""

from __future__ import annotations

import asyncio
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from broadcast_tui.client import BroadcastClient
from broadcast_tui.core.session.updates import PostArrived
from tests.support.process_cost import resident_bytes

HALF = b"GET / HTTP/1.1\r\nHost: x\r\nX-Filler: "
ASK = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
Flood = Callable[[int, AsyncExitStack], Coroutine[Any, Any, None]]


@asynccontextmanager
async def serving(files: int) -> AsyncIterator[tuple[int, int]]:
    """A server with so many descriptors: its port and process id."""
    words = (sys.executable, "-m", "broadcast_tui", "serve", "--host", "127.0.0.1", "--port", "0")
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"), *words, "--history", "memory",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    found = re.search(rb":(\d+)\s*$", await process.stdout.readline())
    assert found is not None
    try:
        yield int(found[1]), process.pid
    finally:
        process.terminate()
        await process.communicate()


async def opened(port: int, stack: AsyncExitStack, data: bytes) -> None:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return
    stack.callback(writer.transport.abort)
    writer.write(data)


async def slow_handshakes(port: int, stack: AsyncExitStack) -> None:
    for _ in range(2_000):
        await opened(port, stack, HALF)


async def fat_handshakes(port: int, stack: AsyncExitStack) -> None:
    for _ in range(2_000):
        await opened(port, stack, HALF + b"x" * 8_000)


async def connections(port: int, stack: AsyncExitStack) -> None:
    for _ in range(2_000):
        await opened(port, stack, ASK)


async def measure(title: str, flood: Flood, files: int) -> None:
    async with serving(files) as (port, pid):
        ana, ben = (BroadcastClient("127.0.0.1", port, name=name) for name in ("ana", "ben"))
        await ana.connect()
        await ben.connect()
        before = most = resident_bytes(pid) / 1e6
        taken: list[float] = []
        stack = AsyncExitStack()
        flooding = asyncio.create_task(flood(port, stack))
        arrivals = ben.batches()
        while not flooding.done() or len(taken) < 20:
            text, started = f"post {len(taken)}", time.monotonic()
            ana.say("lobby", text)
            while True:
                batch = await anext(arrivals)
                if any(isinstance(update, PostArrived) and update.post.text == text for update in batch):
                    break
            taken.append(time.monotonic() - started)
            most = max(most, resident_bytes(pid) / 1e6)
            await asyncio.sleep(0.1)
        print(
            f"{title}: {len(taken)} posts, median {statistics.median(taken) * 1e3:.0f} ms, "
            f"longest {max(taken) * 1e3:.0f} ms; memory {before:.0f} MB, at most {most:.0f} MB",
            flush=True,
        )
        await stack.aclose()
        await ana.close()
        await ben.close()


async def main() -> None:
    await measure("2,000 slow handshakes", slow_handshakes, 20_000)
    await measure("2,000 slow handshakes of 8 KB", fat_handshakes, 20_000)
    await measure("2,000 connections", connections, 20_000)
    await measure("2,000 connections, 256 descriptors", connections, 256)


if __name__ == "__main__":
    asyncio.run(main())
