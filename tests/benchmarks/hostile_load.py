"""How long posts of others take while one address sends the most expensive requests that its limits allow.

    python -m tests.benchmarks.hostile_load             # all frame types and HTTP requests
    python -m tests.benchmarks.hostile_load join GET "rejected handshake"
    python -m tests.benchmarks.hostile_load rooms       # 100,000 rooms that are made and left
    python -m tests.benchmarks.hostile_load --write     # all, into docs/performance.md

Prints the rows of a table: delivery time (p50 and p99) idle and under load, and the server's memory. The
attacker is a process of its own, with all connections that one address may have.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.benchmarks.tables import Table
from tests.cli.program import ROOT, program
from tests.support.hostile_load import (
    COMMANDS,
    REQUEST_FLOODS,
    Bystanders,
    Form,
    ServerProcess,
    attack,
    bystanders,
    fill_history,
    most_expensive,
    request_pages,
    running_behind_proxy,
)
from tests.support.plain import v1_client

ATTACKER = "198.51.100.7"
PAIRS = 4
IDLE_S = 8.0
ATTACK_S = 12.0
EVALUATIONS = 12
LOBBY_POSTS = 100_000
ROOMS = 5_000
MADE_ROOMS = 100_000


async def latencies_s(pairs: Sequence[Bystanders], seconds: float) -> list[float]:
    """Delivery times of the posts of all pairs during some seconds."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    for pair in pairs:
        pair.latencies_s.clear()
    await asyncio.gather(*(pair.post_until(lambda: loop.time() > until) for pair in pairs))
    return [latency for pair in pairs for latency in pair.latencies_s]


def p50_p99_ms(latencies: Sequence[float]) -> tuple[float, float]:
    return statistics.median(latencies) * 1e3, statistics.quantiles(latencies, n=100)[98] * 1e3


async def measure(kind: str, history: Path, table: Table) -> None:
    with TemporaryDirectory() as directory:
        async with AsyncExitStack() as stack:
            server, _ = await stack.enter_async_context(running_behind_proxy(history, Path(directory)))
            form = Form()
            if kind in COMMANDS:
                form, _ = await most_expensive(server, kind, Random(1), EVALUATIONS)
            pairs = [await stack.enter_async_context(bystanders(server.port, n)) for n in range(PAIRS)]
            idle = p50_p99_ms(await latencies_s(pairs, IDLE_S))
            attacker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.benchmarks.hostile_load", "--attack"),
                *(str(server.port), str(server.pid), kind, json.dumps(asdict(form))),
                cwd=ROOT,
            )
            await asyncio.sleep(1.0)
            loaded = p50_p99_ms(await latencies_s(pairs, ATTACK_S - 3.0))
            memory_mb = server.resident_bytes() / 1e6
            await attacker.wait()
    shown = (f"{idle[0]:.1f} / {idle[1]:.1f} ms", f"{loaded[0]:.1f} / {loaded[1]:.1f} ms")
    table.add(f"`{kind}`", *shown, f"{memory_mb:.0f} MB")


async def measure_all(kinds: Sequence[str]) -> Table:
    table = Table("hostile_load", "request", "idle, p50 / p99", "under load, p50 / p99", "memory")
    with TemporaryDirectory() as directory:
        history = Path(directory) / "history.db"
        await fill_history(history, LOBBY_POSTS, ROOMS)
        for kind in kinds:
            await measure(kind, history, table)
    return table


async def measure_rooms() -> None:
    """Join and leave many rooms, and look at what is left of them."""
    options = ("--room-rate", "0", "--history-rate", "0")
    with TemporaryDirectory() as directory:
        home = Path(directory)
        history = str(home / "history.db")
        async with program("serve", "--port", "0", "--history", history, *options, home=home) as running:
            port = await running.port()
            server = ServerProcess(port, running.process.pid)
            async with v1_client(f"ws://localhost:{port}", "ana") as ana:
                before_mb = server.resident_bytes() / 1e6
                most_mb = before_mb
                for start in range(0, MADE_ROOMS, 500):
                    for number in range(start, start + 500):
                        await ana.send("join", room=f"room-{number}")
                        await ana.send("leave", room=f"room-{number}", ref=str(number))
                    await ana.next_of(type="left", ref=str(start + 499))
                    ana.frames.clear()
                    most_mb = max(most_mb, server.resident_bytes() / 1e6)
                await ana.send("list", ref="list")
                listed = [room["room"] for room in (await ana.next_of(type="list"))["rooms"]]
            print(
                f"{MADE_ROOMS:,} rooms made and left: {before_mb:.0f} MB before, at most {most_mb:.0f} MB; "
                f"rooms listed: {listed}"
            )


def main() -> None:
    if sys.argv[1:2] == ["--attack"]:
        port, pid, kind, form = sys.argv[2:]
        server = ServerProcess(int(port), int(pid))
        chosen = Form(**json.loads(form))
        if kind in REQUEST_FLOODS:
            path, headers = REQUEST_FLOODS[kind]
            asyncio.run(request_pages(server, path, ATTACK_S, ATTACKER, headers))
        else:
            asyncio.run(attack(server, kind, chosen, ATTACK_S, ATTACKER))
    elif sys.argv[1:2] == ["rooms"]:
        asyncio.run(measure_rooms())
    else:
        kinds = [word for word in sys.argv[1:] if word != "--write"]
        table = asyncio.run(measure_all(kinds or [*COMMANDS, *REQUEST_FLOODS]))
        if "--write" in sys.argv:
            table.write()


if __name__ == "__main__":
    main()
