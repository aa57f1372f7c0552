"""A room of 100,000 posts with 10,000 notes, side by side with one without: start, pages, search, appends.

Both files are measured in turn. A row has the median of the room without notes, and the ratio of the other.

    python -m tests.benchmarks.notes
    python -m tests.benchmarks.notes --posts 20000 --notes 2000
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from broadcast_tui.core.notes import NewEntry, NewNote, NewSummary
from broadcast_tui.core.post import NewPost
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.benchmarks.history import BATCH, words
from tests.benchmarks.tables import Table, parse_options

ROOM = "lobby"
REPEAT = 15
AT = datetime.now(UTC)


def posts(count: int) -> Iterator[NewPost]:
    source = words()
    for number in range(count):
        text = " ".join(itertools.islice(source, 3 + number * 7 % 15))
        rare = " rarity" if number % 5_000 == 3 else ""
        yield NewPost(ROOM, "ana", text + rare, AT, author="client c")


def note(dice: random.Random, source: Iterator[str], engine: SqliteEngine) -> list[NewEntry]:
    """A note about one of the last 5,000 entries: an edit, a deletion, or a summary of three reactions."""
    last = engine.last_seq(ROOM)
    re = dice.randint(max(1, last - 5_000), last)
    match dice.randrange(4):
        case 0 | 1:
            text = " ".join(itertools.islice(source, 8))
            return [NewNote(ROOM, re, NoteKind.EDIT, "ana", AT, "client c", text=text)]
        case 2:
            return [NewNote(ROOM, re, NoteKind.DELETE, "ana", AT, "client c")]
    people = ("ana", "ben", "zoe")
    reactions = [NewNote(ROOM, re, NoteKind.REACT, name, AT, text=dice.choice("abc")) for name in people]
    return [*reactions, NewSummary(ROOM, re, NoteKind.REACT, AT)]


async def fill(path: Path, post_count: int, note_count: int) -> None:
    engine = SqliteEngine(path, keep_days=0, keep_posts=0)
    await engine.start()
    made, dice, source = posts(post_count), random.Random(3), words()
    share = note_count * BATCH // post_count
    while batch := list[NewEntry](itertools.islice(made, BATCH)):
        await engine.append(batch)
        await engine.append([entry for _ in range(share) for entry in note(dice, source, engine)])
    while engine._purge.is_pending:
        await asyncio.sleep(0.1)
    await engine.close()


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) * 1_000


async def measure(paths: list[Path], table: Table) -> None:
    """Each figure in turn for both files, so that noise affects them alike."""

    def opened(path: Path) -> SqliteEngine:
        return SqliteEngine(path, keep_days=0, keep_posts=0)

    starts: list[list[float]] = [[], []]
    for _ in range(5):
        for path, took in zip(paths, starts, strict=True):
            engine = opened(path)
            took.append(await timed(engine.start))
            await engine.close()
    report(table, "Start", starts)
    engines = [opened(path) for path in paths]
    for engine in engines:
        await engine.start()
    new = posts(10_000)

    def page(engine: SqliteEngine, share: float) -> Awaitable[object]:
        before = int(engine.last_seq(ROOM) * share) + 1
        return engine.read(ROOM, before=before, limit=200, from_end=True)

    def find(engine: SqliteEngine, query: str) -> Awaitable[object]:
        return engine.search(ROOM, query, limit=50)

    def append(engine: SqliteEngine, count: int) -> Awaitable[object]:
        return engine.append(list(itertools.islice(new, count)))

    figures: dict[str, Callable[[SqliteEngine], Awaitable[object]]] = {
        "Page of 200 posts, newest": lambda engine: page(engine, 1.0),
        "Page of 200 posts, in the middle": lambda engine: page(engine, 0.5),
        "Search for a rare word": lambda engine: find(engine, "rarity"),
        "Search for two letters": lambda engine: find(engine, "th"),
        "Append of one post": lambda engine: append(engine, 1),
        "Append of 64 posts": lambda engine: append(engine, 64),
    }
    for name, work in figures.items():
        runs: list[list[float]] = [[], []]
        for _ in range(REPEAT):
            for engine, took in zip(engines, runs, strict=True):
                took.append(await timed(partial(work, engine)))
        report(table, name, runs)
    for engine in engines:
        await engine.close()


def report(table: Table, name: str, runs: list[list[float]]) -> None:
    without, with_notes = (statistics.median(took) for took in runs)
    table.add(name, f"{without:.2f} ms", f"{with_notes / without:.2f} times")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--notes", type=int, default=10_000)
    options = parse_options(parser)
    with TemporaryDirectory() as directory:
        paths = [Path(directory) / "without.db", Path(directory) / "with.db"]
        for path, note_count in zip(paths, (0, options.notes), strict=True):
            asyncio.run(fill(path, options.posts, note_count))
            print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)
        table = Table("notes", "Measurement", "Without notes", "With notes")
        asyncio.run(measure(paths, table))
        if options.write:
            table.write()


if __name__ == "__main__":
    main()
