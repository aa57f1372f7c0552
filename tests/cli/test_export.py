"""`broadcast-tui export` of a server with a history in SQLite, and `replay` of bad files."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broadcast_tui.cli.export import _read
from broadcast_tui.client import BroadcastClient
from broadcast_tui.core.export.formats import Format, exported_lines
from broadcast_tui.core.export.pages import HistoryPages
from broadcast_tui.core.export.recording import read_recording
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.notes import NewNote, NewSummary
from broadcast_tui.core.post import NewPost
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.server import BroadcastServer
from tests.compat.program import COMMAND, Outcome, environment, run
from tests.support.engines import opened
from tests.support.exports import SOURCE
from tests.support.proxy import running_proxy
from tests.support.running import PATIENCE_S, eventually, running_server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs pipes")
START = datetime(2025, 8, 30, 10, 0, tzinfo=UTC)
POSTS = 3_000
NOTES = 600


async def fill(path: Path) -> None:
    """Posts a second apart, of which every fifth is edited, deleted or gets a reaction."""
    async with opened(path) as engine:
        posts = [
            NewPost("lobby", "ana", f"post {n}", START + timedelta(seconds=n), author="a", re=n // 2)
            for n in range(POSTS)
        ]
        await engine.append(posts)
        at = START + timedelta(seconds=POSTS)
        kinds = (NoteKind.EDIT, NoteKind.DELETE, NoteKind.REACT)
        notes = [
            NewNote("lobby", 5 * n + 1, kinds[n % 3], "ana", at, "a", text="new" if n % 3 < 2 else "👍")
            for n in range(NOTES)
        ]
        await engine.append(notes)
        await engine.append(
            [
                NewSummary("lobby", note.re, NoteKind.REACT, at)
                for note in notes
                if note.kind is NoteKind.REACT
            ]
        )


@asynccontextmanager
async def filled_server(tmp_path: Path, **limits: float) -> AsyncIterator[BroadcastServer]:
    path = tmp_path / "history.db"
    await fill(path)
    async with running_server(limits=Limits(**limits), engine=SqliteEngine(path)) as server:  # type: ignore[arg-type]
        yield server


def reader(url: str) -> BroadcastClient:
    return BroadcastClient(url, last=0, presence=False)


def check(pages: HistoryPages) -> None:
    """Check that the pages have the whole history of `fill`."""
    posts = pages.posts()
    assert [post.position.seq for post in posts] == list(range(1, POSTS + 1))
    for post in posts:
        number = post.position.seq - 1
        kind = (number // 5) % 3 if number % 5 == 0 else None
        assert post.text == {0: "new", 1: ""}.get(kind if kind is not None else 9, f"post {number}")
        assert (post.state.deleted is not None) == (kind == 1)
        assert ("👍" in post.state.reactions) == (kind == 2)
    assert len(pages.notes()) == NOTES


async def test_thousands_of_posts_and_notes_are_read(tmp_path: Path) -> None:
    async with filled_server(tmp_path) as server:
        pages = HistoryPages("lobby")
        assert await _read(reader(server.url), pages, PATIENCE_S) == 0
        check(pages)
        lines = exported_lines(Format.JSON_LINES, SOURCE, pages.posts(), pages.notes())
        recording = read_recording(line.encode() for line in lines)
        assert len(recording.entries) == POSTS + NOTES


async def test_limited_requests_and_lost_connections_only_delay_the_reading(tmp_path: Path) -> None:
    async with (
        filled_server(tmp_path, history_rate=4.0) as server,
        running_proxy(server.port) as proxy,
    ):
        engine = server._engine
        read, count, reached = engine.read, 0, asyncio.Event()

        async def counted(*args: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count == 6:
                reached.set()
            return await read(*args, **options)  # type: ignore[arg-type]

        engine.read = counted  # type: ignore[method-assign,assignment]
        pages = HistoryPages("lobby")
        reading = asyncio.create_task(_read(reader(f"ws://127.0.0.1:{proxy.port}"), pages, PATIENCE_S))
        async with asyncio.timeout(PATIENCE_S):
            await reached.wait()
            proxy.cut()
            assert await reading == 0
        assert proxy.accepted_count > 1
        check(pages)


async def test_a_server_that_stays_away_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with filled_server(tmp_path, history_rate=1.0) as server, running_proxy(server.port) as proxy:
        pages = HistoryPages("lobby")
        reading = asyncio.create_task(_read(reader(f"ws://127.0.0.1:{proxy.port}"), pages, 0.5))
        await proxy.accepted(1)
        await eventually(lambda: pages.count > 0)
        async with asyncio.timeout(PATIENCE_S):
            proxy.refusing = True
            proxy.cut()
            assert await reading == 4
    assert "no server at ws://127.0.0.1" in capsys.readouterr().err


async def exported(server: BroadcastServer, home: Path, *options: str) -> Outcome:
    return await asyncio.to_thread(run, "export", "lobby", "--url", server.url, *options, home=home)


async def test_the_command_writes_a_file_once(tmp_path: Path) -> None:
    file = tmp_path / "out.html"
    async with filled_server(tmp_path) as server:
        since = ("--since", "2025-08-30T10:10Z", "--until", "2025-08-30T10:20Z")
        outcome = await exported(server, tmp_path, "-o", str(file), *since)
        assert outcome == Outcome(0, "", f"Exported 600 messages to {file}\n")
        assert file.stat().st_mode & 0o777 == 0o600
        page = file.read_text("utf-8")
        assert page.startswith("<!DOCTYPE html>")
        assert page.count("<article") == 600
        outcome = await exported(server, tmp_path, "-o", str(file))
        assert outcome.status == 2
        assert outcome.err == (
            f"broadcast-tui: --output: {file} already exists. Use --force to replace it.\n"
        )
        outcome = await exported(server, tmp_path, "-o", str(file), "--force", "--md", "--since", "1m")
        assert outcome.status == 0
        assert file.read_text("utf-8").startswith("# \\#lobby\n")
        assert {path.name for path in tmp_path.glob("*out*")} == {"out.html"}


async def test_the_reader_of_standard_output_may_leave_early(tmp_path: Path) -> None:
    async with filled_server(tmp_path) as server:
        words = [*COMMAND, "export", "--url", server.url, "--jsonl"]
        done = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-c", '"$@" | head -1; exit "${PIPESTATUS[0]}"', "bash", *words],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(tmp_path),
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    header = json.loads(done.stdout)
    assert (header["type"], header["room"], header["server"]) == ("export", "lobby", server.url)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--since", "soon"), "--since: Invalid time: 'soon'. Use 14:00, 2025-08-30, "),
        (("--since", "1h", "--until", "2h"), "--until is not after --since."),
        (("--md", "--html"), "Use only one of --text, --md, --jsonl and --html."),
        (("-o", "/nowhere/x.md"), "--output: No such directory: /nowhere."),
    ],
)
def test_wrong_options_are_one_line(tmp_path: Path, options: tuple[str, ...], error: str) -> None:
    outcome = run("export", "lobby", *options, home=tmp_path)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(f"broadcast-tui: {error}")
    assert outcome.err.count("\n") == 1


async def test_an_unknown_room_is_reported_and_no_file_written(tmp_path: Path) -> None:
    file = tmp_path / "out.md"
    async with running_server() as server:
        words = ("export", "--url", server.url, "-o", str(file))
        unknown = await asyncio.to_thread(run, *words, "opps", home=tmp_path)
        assert unknown == Outcome(
            1, "", "broadcast-tui: No such room: opps. It has no people, messages or topic.\n"
        )
        assert not file.exists()
        empty = await asyncio.to_thread(run, *words, "lobby", home=tmp_path)
        assert empty == Outcome(0, "", f"Exported 0 messages to {file}\n")
        async with BroadcastClient(server.url, name="ana", rooms=["opps"]):
            known = await asyncio.to_thread(run, *words, "opps", "--force", home=tmp_path)
        assert known == Outcome(0, "", f"Exported 0 messages to {file}\n")


def test_a_missing_server_is_reported(tmp_path: Path) -> None:
    outcome = run("export", "--url", "ws://127.0.0.1:9", "--timeout", "0.1", home=tmp_path)
    assert (outcome.status, outcome.out) == (4, "")
    assert outcome.err == "broadcast-tui: no server at ws://127.0.0.1:9\n"


# -- replay


def test_a_replay_of_a_bad_file_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"type":"export","version":1,"room":"x"}\n\x1b[2J\n')
    outcome = run("replay", str(file), home=tmp_path)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(f"broadcast-tui: {file}: line 2: not JSON: ")
    assert outcome.err.count("\n") == 1
    page = tmp_path / "room.html"
    page.write_text("<!DOCTYPE html>\n")
    other_format = run("replay", str(page), home=tmp_path)
    assert other_format.err.startswith(f"broadcast-tui: {page}: line 1: not JSON: ")
    assert other_format.err.endswith(". Replay a file of: broadcast-tui export --jsonl\n")
    missing = run("replay", str(tmp_path / "no.jsonl"), home=tmp_path)
    assert missing == Outcome(
        2, "", f"broadcast-tui: Cannot read {tmp_path / 'no.jsonl'}: No such file or directory.\n"
    )
    message = {"type": "message", "message": "a", "sender": "b", "timestamp": START.isoformat(), "id": "e-1"}
    file.write_text(json.dumps({**message, "room": "x"}))
    outcome = run("replay", str(file), home=tmp_path)
    assert outcome.err == "broadcast-tui: A replay needs a terminal for standard input and standard error.\n"
