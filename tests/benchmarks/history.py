"""A SQLite history with a million posts: start, pages, searches, appends beside them, and memory.

Prints a row of docs/performance.md for each figure. Searches marked "refused" exceeded their time limit.
`--convert` also measures how a file is converted whose search index is old. `--sync` compares batches of 64
posts with `synchronous` FULL and NORMAL, in turn.

    python -m tests.benchmarks.history
    python -m tests.benchmarks.history --posts 100000 --sync
    python -m tests.benchmarks.history --write
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from broadcast_tui.core.errors import SearchTooCostlyError
from broadcast_tui.core.post import NewPost
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.benchmarks.tables import Table, parse_options
from tests.support.process_cost import resident_bytes

T = TypeVar("T")

ROOMS = [f"room{number}" for number in range(10)]
LETTERS = "etaoinshrdlcumwfgypbvkjxqz"
LENGTHS = [2, 3, 4, 5, 5, 6, 7, 8, 9]
BATCH = 500
REPEAT = 5


def words() -> Iterator[str]:
    """Endless words, distributed as in a natural language."""
    source = random.Random(7)
    vocabulary = [
        "".join(
            source.choices(LETTERS, weights=range(30, 4, -1), k=source.choice([2, 3, 4, 5, 5, 6, 7, 8, 9]))
        )
        for _ in range(20_000)
    ]
    weights = list(itertools.accumulate(1 / (rank + 5) for rank in range(len(vocabulary))))
    while True:
        yield from source.choices(vocabulary, cum_weights=weights, k=10_000)


def posts(count: int) -> Iterator[NewPost]:
    """Posts of 3 to 17 words in turn for each room; every 50,000th contains a rare word."""
    source = words()
    at = datetime.now(UTC)
    for number in range(count):
        text = " ".join(itertools.islice(source, 3 + number * 7 % 15))
        yield NewPost(ROOMS[number % 10], "ana", f"{text} rarity" if number % 50_000 == 3 else text, at)


async def fill(path: Path, count: int) -> None:
    engine = SqliteEngine(path, keep_days=0, keep_posts=0)
    await engine.start()
    made = posts(count)
    while batch := list(itertools.islice(made, BATCH)):
        await engine.append(batch)
    await engine.close()


def resident_mb() -> float:
    """Resident memory of this process now."""
    return resident_bytes(os.getpid()) / 1e6


async def timed(work: Callable[[], Awaitable[T]]) -> tuple[float, T]:
    """The time of one run in milliseconds, and its result."""
    started = time.perf_counter()
    result = await work()
    return (time.perf_counter() - started) * 1_000, result


async def measure(path: Path, table: Table) -> None:
    before_mb = resident_mb()
    engine = SqliteEngine(path, keep_days=0, keep_posts=0)
    start_ms, _ = await timed(engine.start)
    table.add("Start", f"{start_ms:,.0f} ms")
    table.add("Memory after the start", f"{resident_mb():.0f} MB ({before_mb:.0f} MB before)")
    last = engine.last_seq(ROOMS[3])
    for place, before in (("newest", last + 1), ("in the middle", last // 2), ("oldest", 201)):
        read = partial(engine.read, ROOMS[3], before=before, limit=200, from_end=True)
        runs = [(await timed(read))[0] for _ in range(REPEAT)]
        table.add(f"Page of 200 posts, {place}", f"{statistics.median(runs):.1f} ms")
    source = words()
    common = list(itertools.islice(source, 200))
    queries = {
        "a rare word": "rarity",
        "no such word": "xyzzyx",
        "one letter": "e",
        "two letters": "th",
        "three letters": "eta",
        "two common words": " ".join(common[:2]),
        "8 letters": " ".join(LETTERS[:8]),
        "26 letters": " ".join(LETTERS),
        "the 8 rarest letters": " ".join(LETTERS[-8:]),
        "499 characters": " ".join(common)[:499],
        "499 characters, one letter each": ("e t a o i n s h r d l c u m w " * 40)[:499],
    }
    for name, query in queries.items():
        took: list[float] = []
        found = ""
        for _ in range(REPEAT):
            started = time.perf_counter()
            try:
                hits = await engine.search(ROOMS[3], query, limit=50)
                found = f"{len(hits)} found"
            except SearchTooCostlyError:
                found = "refused"
            took.append((time.perf_counter() - started) * 1_000)
        shown = f"{statistics.median(took):.1f} ms, at most {max(took):.0f} ms, {found}"
        table.add(f"Search for {name}", shown)
    await measure_appends(engine, table)
    table.add("Memory after the searches", f"{resident_mb():.0f} MB")
    await engine.close()


async def measure_appends(engine: SqliteEngine, table: Table) -> None:
    """Latency of single appends, alone and beside searches of the costliest kind."""

    async def search_all_the_time() -> None:
        while True:
            with contextlib.suppress(SearchTooCostlyError):
                await engine.search(ROOMS[3], " ".join(LETTERS[-8:]), limit=50)

    for name in ("alone", "beside costly searches"):
        others = [asyncio.create_task(search_all_the_time()) for _ in range(0 if name == "alone" else 8)]
        made = posts(200)
        took = [(await timed(partial(engine.append, [post])))[0] for post in made]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        took.sort()
        table.add(f"Append of a post, {name}, p50 / p99", f"{took[100]:.2f} / {took[197]:.2f} ms")


async def measure_conversion(path: Path) -> None:
    """Build the index of the file again, as for a file of version 1."""
    engine = SqliteEngine(path, keep_days=0, keep_posts=0)
    await engine.start()
    with engine._connection:
        engine._connection.execute("UPDATE meta SET value = 'old' WHERE key = 'search_folding'")
    await engine.close()
    engine = SqliteEngine(path, keep_days=0, keep_posts=0)
    start_ms, _ = await timed(engine.start)
    print(f"start with an index to be built: {start_ms:,.0f} ms", flush=True)
    started = time.perf_counter()
    took = []
    made = posts(10_000_000)
    while engine._search_index._first_id:
        took.append((await timed(partial(engine.append, [next(made)])))[0])
        await asyncio.sleep(0.1)
    took.sort()
    print(
        f"index built in {time.perf_counter() - started:.0f} s;"
        f" append meanwhile: p50 {took[len(took) // 2]:.1f} ms, p99 {took[len(took) * 99 // 100]:.1f} ms"
    )
    await engine.close()


async def measure_sync(directory: Path) -> None:
    """Rates of batches of 64 posts with each setting, in turn."""
    rates: dict[str, list[float]] = {"FULL": [], "NORMAL": []}
    for run in range(REPEAT):
        for setting, found in rates.items():
            engine = SqliteEngine(directory / f"sync-{setting}-{run}.db", keep_days=0, keep_posts=0)
            await engine.start()
            engine._connection.execute(f"PRAGMA synchronous = {setting}")
            made = list(posts(64 * 150))
            started = time.perf_counter()
            for start in range(0, len(made), 64):
                await engine.append(made[start : start + 64])
            found.append(len(made) / (time.perf_counter() - started))
            await engine.close()
    full, normal = (statistics.median(found) for found in rates.values())
    print(f"batches of 64: FULL {full:,.0f} posts/s, NORMAL {normal:,.0f}; ratio {full / normal:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--posts", type=int, default=1_000_000)
    parser.add_argument("--file", type=Path, help="file to create, or to use again")
    parser.add_argument("--convert", action="store_true")
    parser.add_argument("--sync", action="store_true")
    parser.add_argument("--only-measure", action="store_true", help=argparse.SUPPRESS)
    options = parse_options(parser)
    with TemporaryDirectory() as directory:
        path = options.file or Path(directory) / "history.db"
        if options.only_measure:
            table = Table("history", "Measurement", "Result")
            asyncio.run(measure(path, table))
            if options.write:
                table.write()
            return
        if not path.exists():
            started = time.perf_counter()
            asyncio.run(fill(path, options.posts))
            rate = options.posts / (time.perf_counter() - started)
            print(
                f"{options.posts:,} posts: {path.stat().st_size / 1e6:.0f} MB; {rate:,.0f} posts/s",
                flush=True,
            )
        # In a new process, whose memory is that of a server.
        words = ["--only-measure", "--file", str(path), *(["--write"] if options.write else [])]
        subprocess.run([sys.executable, "-m", "tests.benchmarks.history", *words], check=True)
        if options.convert:
            asyncio.run(measure_conversion(path))
        if options.sync:
            asyncio.run(measure_sync(Path(directory)))


if __name__ == "__main__":
    main()
