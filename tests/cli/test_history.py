"""`history copy` as a process: interrupted, killed, continued, and the server on the copy."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.cli.program import Outcome, program, run
from tests.support.engines import opened
from tests.support.histories import append_posts, contents
from tests.support.terminal import Terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and pseudo-terminals")

POSTS = 2_000
BLOCKED = """
import asyncio, time
from broadcast_tui.cli import main
from broadcast_tui.engine.sqlite_copying import SqliteHistory
from broadcast_tui.engine.sqlite_index import SearchIndex

add, put = SearchIndex.add, SqliteHistory.put
count = 0

def stop():
    global count
    count += 1
    if count == 3:
        print("in the third step", flush=True)
        return True

def add_and_block(index, posts):
    add(index, posts)
    if stop():
        time.sleep(3600)

async def put_and_wait(history, entries):
    await put(history, entries)
    if stop():
        await asyncio.sleep(3600)

"""
IN_TRANSACTION = f"{BLOCKED}SearchIndex.add = add_and_block; main()"
"""The program, which stops in the middle of the transaction of the third page."""
BETWEEN = f"{BLOCKED}SqliteHistory.put = put_and_wait; main()"
"""The program, which stops after the third page."""


@pytest.fixture
async def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.db"
    async with opened(path) as engine:
        await append_posts(engine, "lobby", *(f"apple {number}" for number in range(POSTS)))
        await append_posts(engine, "dev", "pear")
    return path


async def is_same(source: Path, target: Path) -> bool:
    async with opened(source) as before, opened(target) as after:
        return await contents(before) == await contents(after)


async def end_copy(source: Path, target: Path, code: str, number: signal.Signals) -> Outcome:
    """End a copy by a signal where the code stops."""
    words = ("history", "copy", str(source), str(target))
    async with program(*words, home=source.parent, code=code) as copying:
        await copying.line_with("in the third step")
        return await copying.stop(number)


async def test_a_killed_copy_is_refused_and_continued(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    outcome = await end_copy(source, target, IN_TRANSACTION, signal.SIGKILL)
    assert outcome.status == -signal.SIGKILL
    refused = await run("serve", "--port", "0", "--history", str(target), home=tmp_path)
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith(f"broadcast-tui: {target} is an unfinished copy. Run history copy again. ")
    assert refused.err.count("\n") == 1
    outcome = await end_copy(source, target, IN_TRANSACTION, signal.SIGKILL)
    finished = await run("history", "copy", str(source), str(target), home=tmp_path)
    assert finished == Outcome(0, "Copied 2,001 messages in 2 rooms. Verified.\n", "")
    assert await is_same(source, target)


async def test_a_copy_is_interrupted_by_ctrl_c(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    outcome = await end_copy(source, target, BETWEEN, signal.SIGINT)
    assert outcome.status == 130
    assert outcome.err == "broadcast-tui: Interrupted. Run the same command to continue.\n"
    finished = await run("history", "copy", str(source), str(target), home=tmp_path)
    assert finished.status == 0
    assert await is_same(source, target)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("source.db", "./source.db"), "Source and target are the same: source.db."),
        (("memory", "target.db"), "memory cannot be copied. Use the path of a history file."),
        (("source.db", "off"), "off cannot be copied. Use the path of a history file."),
        (("missing.db", "target.db"), "There is no history "),
        (("source.db", "missing/target.db"), "No such directory: "),
    ],
)
async def test_errors_are_one_line(words: tuple[str, str], text: str, source: Path) -> None:
    code = f"import os; os.chdir({str(source.parent)!r}); from broadcast_tui.cli import main; main()"
    async with program("history", "copy", *words, home=source.parent, code=code) as copying:
        outcome = await copying.ended()
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(f"broadcast-tui: {text}")
    assert outcome.err.count("\n") == 1


async def test_progress_is_shown_on_a_terminal(source: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "broadcast_tui", "history", "copy", str(source)]
    with Terminal([*command, str(tmp_path / "target.db")]) as terminal:
        assert terminal.wait_exit() == 0
        shown = bytes(terminal.raw)
    assert f"Copied 256 of {POSTS + 1:,}".encode() in shown
    assert shown.endswith(b"Copied 2,001 messages in 2 rooms. Verified.\r\n")
