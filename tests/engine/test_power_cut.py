"""What has been acknowledged survives a power cut, wherever the cut comes: posts, edits, deletions, votes."""

from __future__ import annotations

import asyncio
import copy
import shutil
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from broadcast_tui.core.hub.history import BackfillRead
from broadcast_tui.core.notes import Entry, NewEntry, NewNote, Note
from broadcast_tui.core.post import NewPost, Post
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.engine import sqlite
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.support.model_log import ModelLog
from tests.support.power_cut import IS_SUPPORTED, Recorder, files_after_cut, recorded
from tests.support.profile import by_profile

pytestmark = pytest.mark.skipif(not IS_SUPPORTED, reason="SQLite's C API is not exported")

BATCHES = by_profile(60, 150)
CUTS = by_profile(40, 400)
SURVIVAL = (0.0, 0.5, 0.9, 1.0)
LONG_TEXT = "long " * 3_000
Acknowledged = list[tuple[int, list[NewEntry]]]
ROOMS = ("lobby", "dev")


def batch_of(number: int, dice: Random, last_seqs: dict[str, int]) -> list[NewEntry]:
    """Some posts, and notes about earlier ones."""
    batch: list[NewEntry] = []
    for count in range(dice.choice((1, 1, 3, 40))):
        room, now = dice.choice(ROOMS), datetime.now(UTC)
        text = f"{number}.{count} {LONG_TEXT[: dice.choice((10, 100, 15_000))]}"
        kind = dice.choice((None, None, NoteKind.EDIT, NoteKind.DELETE, NoteKind.REACT))
        if kind is None or not last_seqs[room]:
            batch.append(NewPost(room, "ana", text, now, author="client c"))
        else:
            if kind is not NoteKind.EDIT:
                text = f"key{number % 3}"
            re = dice.randint(1, last_seqs[room])
            by = "ana" if kind is NoteKind.EDIT else f"person {count}"
            batch.append(NewNote(room, re, kind, by, now, "client c", text=text))
    return batch


async def live(path: Path, recorder: Recorder, dice: Random) -> tuple[int, Acknowledged]:
    """Append batches; returns the number of operations at the start, and those at each acknowledgment."""
    engine = SqliteEngine(path)
    await engine.start()
    started = len(recorder.operations)
    acknowledged: Acknowledged = []
    for number in range(BATCHES):
        batch = batch_of(number, dice, {room: engine.last_seq(room) for room in ROOMS})
        await engine.append(batch)
        acknowledged.append((len(recorder.operations), batch))
        await asyncio.sleep(0.002 if number % 8 == 0 else 0.0)  # for the removal of copies
    await engine.close()
    return started, acknowledged


async def stored(path: Path) -> dict[str, list[Entry]]:
    engine = SqliteEngine(path)
    await engine.start()
    try:
        return {room: await engine.read(room, limit=100_000) for room in ROOMS}
    finally:
        await engine.close()


def is_state(found: dict[str, list[Entry]], log: ModelLog) -> bool:
    """Whether a file has exactly the entries of a model, apart from its epoch."""
    for room in ROOMS:
        expected = log.read(BackfillRead(room, log.epoch, log.last_seq(room) + 1, 100_000))
        if [comparable(entry) for entry in found[room]] != [comparable(entry) for entry in expected]:
            return False
    return True


def comparable(entry: Entry) -> object:
    post = entry if isinstance(entry, Post) else entry.post
    kind = entry.kind if isinstance(entry, Note) else None
    return entry.position.seq, kind, post and (post.position.seq, post.text, post.state)


@pytest.mark.timeout(by_profile(120, 600))
async def test_acknowledged_entries_survive_a_power_cut(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "PURGE_DELAY_S", 0.0)
    monkeypatch.setattr(sqlite, "PAUSE_S", 0.0)
    dice = Random(request.config.getoption("--seed") or 1)
    before = tmp_path / "before" / "history.db"
    with recorded() as recorder:
        started, acknowledged = await live(before, recorder, dice)
    operations = recorder.operations
    ends = [dice.randrange(started, len(operations) + 1) for _ in range(CUTS - 1)]
    log, batches = ModelLog(), iter(acknowledged)
    done = 0
    upcoming = next(batches, None)
    for number, end in enumerate(sorted([*ends, acknowledged[-1][0]])):
        while upcoming is not None and upcoming[0] <= end:
            log.append(upcoming[1])
            upcoming = next(batches, None)
            done += 1
        files = files_after_cut(operations[:end], dice, SURVIVAL[number % len(SURVIVAL)])
        after = tmp_path / f"after {number}" / "history.db"
        after.parent.mkdir()
        for path, content in files.items():
            (after.parent / Path(path).name).write_bytes(content)
        found = await stored(after)
        shutil.rmtree(after.parent)
        if not is_state(found, log):
            # The next batch may have been written, too, but was not acknowledged.
            assert upcoming is not None, f"cut {number}, after operation {end}"
            written = copy.deepcopy(log)
            written.append(upcoming[1])
            assert is_state(found, written), f"cut {number}, after operation {end}, {done} acknowledged"
