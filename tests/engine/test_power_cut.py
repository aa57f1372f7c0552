"""A post that has been acknowledged survives a power cut, wherever the cut comes."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from broadcast_tui.core.post import NewPost
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.support.entries import posts_of
from tests.support.power_cut import IS_SUPPORTED, Recorder, files_after_cut, recorded
from tests.support.profile import by_profile

pytestmark = pytest.mark.skipif(not IS_SUPPORTED, reason="SQLite's C API is not exported")

BATCHES = by_profile(60, 150)
CUTS = by_profile(40, 400)
SURVIVAL = (0.0, 0.5, 0.9, 1.0)
LONG_TEXT = "long " * 3_000
Acknowledged = list[tuple[int, list[NewPost]]]


async def live(path: Path, recorder: Recorder, dice: Random) -> tuple[int, Acknowledged]:
    """Append batches; returns the number of operations at the start, and those at each acknowledgment."""
    engine = SqliteEngine(path)
    await engine.start()
    started = len(recorder.operations)
    acknowledged: Acknowledged = []
    for number in range(BATCHES):
        posts = [
            NewPost(
                dice.choice(("lobby", "dev")),
                "ana",
                f"{number}.{count} {LONG_TEXT[: dice.choice((10, 100, 15_000))]}",
                datetime.now(UTC),
            )
            for count in range(dice.choice((1, 1, 3, 40)))
        ]
        await engine.append(posts)
        acknowledged.append((len(recorder.operations), posts))
    await engine.close()
    return started, acknowledged


async def stored(path: Path) -> dict[str, list[tuple[int, str]]]:
    engine = SqliteEngine(path)
    await engine.start()
    try:
        rooms = {room: await engine.read(room, limit=100_000) for room in ("lobby", "dev")}
    finally:
        await engine.close()
    return {
        room: [(post.position.seq, post.text) for post in posts_of(posts)] for room, posts in rooms.items()
    }


@pytest.mark.timeout(by_profile(120, 600))
async def test_acknowledged_posts_survive_a_power_cut(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    dice = Random(request.config.getoption("--seed") or 1)
    before = tmp_path / "before" / "history.db"
    with recorded() as recorder:
        started, acknowledged = await live(before, recorder, dice)
    operations = recorder.operations
    for number in range(CUTS):
        end = acknowledged[-1][0] if number == 0 else dice.randrange(started, len(operations) + 1)
        files = files_after_cut(operations[:end], dice, SURVIVAL[number % len(SURVIVAL)])
        after = tmp_path / f"after {number}" / "history.db"
        after.parent.mkdir()
        for path, content in files.items():
            (after.parent / Path(path).name).write_bytes(content)
        found = await stored(after)
        shutil.rmtree(after.parent)
        expected: dict[str, list[str]] = {"lobby": [], "dev": []}
        for acknowledged_at, posts in acknowledged:
            if acknowledged_at <= end:
                for post in posts:
                    expected[post.room].append(post.text)
        for room, texts in expected.items():
            there = found[room]
            assert [text for _, text in there[: len(texts)]] == texts, f"cut {number}, after operation {end}"
            assert [seq for seq, _ in there] == list(range(1, len(there) + 1))
