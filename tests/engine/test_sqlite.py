"""The SQLite engine beyond the contract: its file, durability and search."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Coroutine
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast_tui.client import BroadcastClient
from broadcast_tui.core.errors import EngineError, SearchTooCostlyError
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.notes import Entry
from broadcast_tui.core.post import NewPost, Position
from broadcast_tui.core.session.updates import GapFound
from broadcast_tui.engine import sqlite_reader, sqlite_schema
from broadcast_tui.engine.fulltext import SEARCH_TIME_LIMIT_S
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.engine.sqlite_reader import SqliteReader
from broadcast_tui.engine.sqlite_schema import APPLICATION_ID, VERSION, open_error
from tests.cli.program import Program, program, run
from tests.client.watching import online
from tests.support.engines import opened
from tests.support.entries import entry_tail, texts_of
from tests.support.plain import v1_client
from tests.support.running import PATIENCE_S, eventually, in_time, running_server

AT = datetime(2025, 8, 30, 10, 30, 40, 123456, tzinfo=UTC)
UNLIMITED = Limits(message_rate=0)


def new_post(text: str, room: str = "lobby", *, nonce: str = "", at: datetime | None = None) -> NewPost:
    return NewPost(room, "ana", text, at or datetime.now(UTC), "client" if nonce else "", nonce)


def run_alone(work: Coroutine[object, object, None]) -> None:
    """Run in a loop of its own, where there is none."""
    with asyncio.Runner() as runner:
        runner.run(work)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


# -- the file


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
async def test_new_history_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "history.db"
    async with opened(path) as engine:
        await engine.append([new_post("hi")])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
async def test_new_history_behind_a_symbolic_link_is_private(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    path.symlink_to(target)
    before = os.umask(0o022)
    try:
        async with opened(path) as engine:
            await engine.append([new_post("hi")])
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
            assert set(modes.values()) == {0o600}, modes
    finally:
        os.umask(before)
    assert path.is_symlink()
    assert target.stat().st_size


async def test_unused_file_behind_a_symbolic_link_is_deleted_but_not_the_link(
    path: Path, tmp_path: Path
) -> None:
    path.symlink_to(tmp_path / "target.db")
    async with opened(path):
        pass
    assert path.is_symlink()
    assert not path.exists()


async def test_only_a_new_unused_file_is_deleted(path: Path) -> None:
    async with opened(path):
        assert path.exists()
    assert not path.exists()
    path.touch(0o644)
    async with opened(path):
        pass
    assert path.exists()


# -- closing and opening again


async def test_posts_seqs_epoch_and_topics_survive_a_restart(path: Path) -> None:
    async with opened(path) as engine:
        await engine.append([new_post("one"), new_post("two"), new_post("elsewhere", "dev")])
        await engine.set_topic("dev", "Developing")
        await engine.set_topic("quiet", "Nobody spoke")
        epoch, before = engine.epoch, await engine.read("lobby", limit=10)
    async with opened(path) as engine:
        assert engine.epoch == epoch
        assert await engine.read("lobby", limit=10) == before
        assert [(engine.first_seq(room), engine.last_seq(room)) for room in ("lobby", "dev", "quiet")] == [
            (1, 2),
            (1, 1),
            (1, 0),
        ]
        assert (engine.topic("dev"), engine.topic("quiet"), engine.topic("lobby")) == (
            "Developing",
            "Nobody spoke",
            "",
        )
        assert engine.room_names() == ["dev", "lobby", "quiet"]
        [result] = await engine.append([new_post("three")])
        assert result.position == Position(epoch, 3)
        assert texts_of(await engine.search("lobby", "one", limit=5)) == ["one"]


async def test_resend_after_a_restart_is_recognized(path: Path) -> None:
    async with opened(path) as engine:
        [first] = await engine.append([new_post("hi", nonce="n")])
    async with opened(path) as engine:
        [again, other] = await engine.append([new_post("hi", nonce="n"), new_post("hi", nonce="m")])
        assert (again.position, again.at_text, again.dup) == (first.position, first.at_text, True)
        assert not other.dup
        assert engine.last_seq("lobby") == 2


async def test_another_sender_cannot_use_up_nonces_after_a_restart(path: Path) -> None:
    def by(sender: str) -> NewPost:
        return NewPost("lobby", sender, "hi", datetime.now(UTC), "client", "n")

    async with opened(path) as engine:
        assert not any(result.dup for result in await engine.append([by("mallory"), by("guest-3")]))
    async with opened(path) as engine:
        assert [
            result.dup for result in await engine.append([by("ana"), by("M\u00e1llory"), by("guest-8")])
        ] == [
            False,
            True,
            True,
        ]


async def test_resend_is_recognized_after_many_posts_of_others_and_a_restart(path: Path) -> None:
    """A client may be cut for seconds while thousands a second are posted."""
    others = [
        NewPost("lobby", "bot", "beep", datetime.now(UTC), "bot", str(number)) for number in range(30_000)
    ]
    async with opened(path) as engine:
        await engine.append([new_post("hi", nonce="n"), *others])
        assert [result.dup for result in await engine.append([new_post("hi", nonce="n")])] == [True]
    async with opened(path) as engine:
        assert [result.dup for result in await engine.append([new_post("hi", nonce="n")])] == [True]


async def test_tail_does_not_repeat_posts_of_an_earlier_process(path: Path) -> None:
    async with opened(path) as engine:
        await engine.append([new_post("old")])
    async with opened(path) as engine:
        await engine.append([new_post("new")])
        assert texts_of(await in_time(anext(entry_tail(engine)))) == ["new"]


async def test_unused_history_leaves_no_file(path: Path) -> None:
    async with opened(path):
        assert path.exists()
    assert not path.exists()


async def test_missing_directories_are_created(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b ?#%" / "history.db"
    async with opened(path) as engine:
        await engine.append([new_post("hi")])
    assert path.exists()


# -- kill -9


async def test_acknowledged_posts_survive_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    serve = ("serve", "--host", "127.0.0.1", "--port", "0", "--message-rate", "0", "--history", str(path))
    acknowledged: dict[str, str] = {}
    async with program(*serve, home=tmp_path) as server:
        port = await server.port()
        async with v1_client(f"ws://127.0.0.1:{port}", "ana") as ana:
            for number in range(200):
                await ana.say(f"post {number}", nonce=f"n{number}")
            while len(acknowledged) < 120:
                ack = await ana.next_of(type="ack")
                acknowledged[ack["nonce"]] = ack["id"]
            server.process.kill()
            await server.ended()
    async with program(*serve, home=tmp_path) as server:
        url = f"ws://127.0.0.1:{await server.port()}"
        async with v1_client(url, "ana", rooms=[{"room": "lobby", "last": 1000}]) as ana:
            frames = await ana.until(type="synced")
            kept = {
                f"n{frame['message'].removeprefix('post ')}": frame["id"]
                for frame in frames
                if frame["type"] == "message"
            }
            assert {nonce: kept.get(nonce) for nonce in acknowledged} == acknowledged
            for number in range(200):
                await ana.say(f"post {number}", nonce=f"n{number}")
            for _ in range(200):
                ack = await ana.next_of(type="ack")
                assert ack["dup"] == (ack["nonce"] in kept)
        assert (await server.stop(signal.SIGTERM)).status == 0
    async with opened(path) as engine:
        posts = await engine.read("lobby", limit=1000)
        assert [post.position.seq for post in posts] == list(range(1, 201))
        assert len(set(texts_of(posts))) == 200


# -- files that cannot be had


def corrupt_in_the_middle(path: Path) -> None:
    _history(path)
    data = bytearray(path.read_bytes())
    data[4096 : len(data)] = os.urandom(len(data) - 4096)
    path.write_bytes(data)


def text(path: Path) -> None:
    path.write_text("These are my notes, and they are no database.\n" * 50)


def few_bytes(path: Path) -> None:
    path.write_bytes(b"hi\n")


def one_byte(path: Path) -> None:
    path.write_bytes(b"x")


def cut_short(path: Path) -> None:
    _history(path)
    path.write_bytes(path.read_bytes()[:5000])


def other_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
        other.execute("INSERT INTO bookmarks VALUES ('https://example.org')")
        other.commit()


def other_program_that_was_killed(path: Path) -> None:
    """Its last words are in the write-ahead log still."""
    script = (
        "import sqlite3, sys, os; other = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "other.execute('PRAGMA journal_mode = WAL'); other.execute('CREATE TABLE bookmarks (url TEXT)')\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)


def newer_version(path: Path) -> None:
    _history(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")


def without_its_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("CREATE TABLE odd (x)")


def without_its_epoch(path: Path) -> None:
    _history(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM meta")


def directory(path: Path) -> None:
    path.mkdir()


def _history(path: Path) -> None:
    async def make() -> None:
        async with opened(path) as engine:
            await engine.append([new_post(f"post {number} " + "word " * 50) for number in range(200)])

    run_alone(make())


FAULTS: dict[Callable[[Path], None], str] = {
    corrupt_in_the_middle: "damaged",
    text: "not a history",
    few_bytes: "not a history",
    one_byte: "not a history",
    cut_short: "damaged",
    other_program: "another program",
    other_program_that_was_killed: "another program",
    newer_version: "newer version",
    without_its_tables: "no such table",
    without_its_epoch: "damaged",
    directory: "Is a directory",
}


def fingerprints(directory: Path) -> dict[str, str]:
    """Every file there but SQLite's index of a write-ahead log, which holds nothing of its own."""
    return {
        str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in directory.rglob("*")
        if file.is_file() and not file.name.endswith("-shm")
    }


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_invalid_file_is_rejected_and_unchanged(tmp_path: Path, fault: Callable[[Path], None]) -> None:
    path = tmp_path / "history.db"
    fault(path)
    before = fingerprints(tmp_path)
    with pytest.raises(EngineError) as refused:
        run_alone(SqliteEngine(path).start())
    sentence = str(refused.value)
    assert FAULTS[fault] in sentence
    assert str(path) in sentence
    assert "\n" not in sentence
    assert fingerprints(tmp_path) == before


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_serve_reports_an_invalid_history_in_one_line(
    tmp_path: Path, fault: Callable[[Path], None]
) -> None:
    path = tmp_path / "kept" / "history.db"
    path.parent.mkdir()
    await asyncio.to_thread(fault, path)
    before = fingerprints(path.parent)
    await _serve_refuses(path, FAULTS[fault])
    assert fingerprints(path.parent) == before


@pytest.mark.usefixtures("no_lock_wait")
async def test_locked_history_is_rejected_and_its_server_continues(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    async with opened(path) as engine:
        await engine.append([new_post("one")])
        with pytest.raises(EngineError, match="in use by another server"):
            await SqliteEngine(path).start()
        await _serve_refuses(path, "in use by another server")
        await engine.append([new_post("two")])
        assert texts_of(await engine.read("lobby", limit=5)) == ["one", "two"]
    async with opened(path) as engine:
        assert engine.last_seq("lobby") == 2


async def test_path_below_a_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "history.db"
    with pytest.raises(EngineError, match="Cannot open"):
        await SqliteEngine(path).start()
    await _serve_refuses(path, "Cannot open")
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
async def test_read_only_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    await asyncio.to_thread(_history, path)
    path.chmod(0o400)
    before = fingerprints(tmp_path)
    with pytest.raises(EngineError, match="Cannot write"):
        await SqliteEngine(path).start()
    assert fingerprints(tmp_path) == before


@pytest.fixture
def no_lock_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines of this process do not wait for a locked file, as `serve` does."""
    monkeypatch.setattr(sqlite_schema, "LOCK_WAIT_S", 0.0)


async def _serve_refuses(path: Path, named: str) -> None:
    with tempfile.TemporaryDirectory() as home:
        outcome = await run(
            "serve", "--host", "127.0.0.1", "--port", "0", "--history", str(path), home=Path(home)
        )
    assert outcome.status == 2
    assert outcome.out == ""
    [line] = [line for line in outcome.err.splitlines() if not line[:4].isdigit()]
    assert line.startswith("broadcast-tui: ")
    assert named in line
    assert "Traceback" not in outcome.err


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need privileges")
@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
@pytest.mark.usefixtures("no_lock_wait")
async def test_link_to_a_locked_file_is_rejected(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    path, other = tmp_path / "history.db", tmp_path / "elsewhere" / "other.db"
    other.parent.mkdir()
    async with opened(path) as engine:
        await engine.append([new_post("one")])
        await engine.read("lobby", limit=5)
        link(path, other)
        with pytest.raises(EngineError, match="in use by another server"):
            await SqliteEngine(other).start()
        await _serve_refuses(other, "in use by another server")


@pytest.mark.usefixtures("no_lock_wait")
async def test_lock_is_held_after_other_starts_failed(tmp_path: Path) -> None:
    """POSIX locks are lost when the process closes any descriptor of the file."""
    path = tmp_path / "history.db"
    for _ in range(2):
        async with opened(path) as engine:
            await engine.append([new_post("one")])
            for _ in range(3):
                with pytest.raises(EngineError, match="in use by another server"):
                    await SqliteEngine(path).start()
            await _serve_refuses(path, "in use by another server")


async def test_server_with_an_exclusive_connection_is_noticed(path: Path) -> None:
    """Versions until 0.1 lock the whole file."""
    await asyncio.to_thread(lambda: _history(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("PRAGMA locking_mode = EXCLUSIVE")
        old.execute("BEGIN IMMEDIATE")
        old.execute("COMMIT")
        with pytest.raises(EngineError, match="in use by another server"):
            await SqliteEngine(path).start()


# -- reading beside appending


class StoppedClock:
    """A clock that a test sets. It advances by `step_s` each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0
        self.step_s = 0.0

    def __call__(self) -> float:
        self.now += self.step_s
        return self.now


def block(
    reader: SqliteReader, *, time_limit_s: float | None = None
) -> tuple[asyncio.Task[None], threading.Event]:
    """Occupy a reader until the event is set or its job has to stop."""
    released = threading.Event()

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("SELECT count(*) FROM meta").fetchall()
        connection.create_function("released", 0, lambda: released.wait(0.001))
        connection.execute(
            "WITH RECURSIVE waits(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM waits WHERE NOT released())"
            " SELECT count(*) FROM waits"
        ).fetchall()

    return asyncio.create_task(reader.run(work, time_limit_s=time_limit_s)), released


async def test_appends_and_pages_do_not_wait_for_a_search(path: Path) -> None:
    async with opened(path) as engine:
        await engine.append([new_post("one")])
        task, released = block(engine._search_reader)
        await in_time(engine.append([new_post("two")]))
        assert texts_of(await in_time(engine.read("lobby", limit=5))) == ["one", "two"]
        assert not task.done()
        released.set()
        await in_time(task)


async def test_costly_searches_do_not_delay_posts(path: Path) -> None:
    engine = SqliteEngine(path)
    async with (
        running_server(limits=UNLIMITED, engine=engine) as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben") as ben,
    ):
        task, released = block(engine._search_reader)
        await ana.say("hi", nonce="n")
        await ana.next_of(type="ack")
        await ana.send("search", room="lobby", ref="s", query="hi")
        for number in range(20):
            await ben.say(f"hi {number}", nonce=f"n{number}")
            await ben.next_of(type="ack")
        await ben.send("history", room="lobby", ref="h", latest=True)
        assert len((await ben.next_of(ref="h"))["items"]) == 21
        assert not task.done()
        released.set()
        assert [item["message"] for item in (await ana.next_of(ref="s"))["items"]] == ["hi"]
        await task


async def test_appends_do_not_wait_for_a_page(path: Path) -> None:
    async with opened(path) as engine:
        task, released = block(engine._page_reader)
        await in_time(engine.append([new_post(str(number)) for number in range(5_000)]))
        assert not task.done()
        released.set()
        await in_time(task)


async def test_search_beyond_its_time_limit_is_rejected_and_the_next_one_succeeds(path: Path) -> None:
    clock = StoppedClock()
    engine = SqliteEngine(path, work_clock=clock)
    await engine.start()
    try:
        await engine.append([new_post("tea")])
        task, _ = block(engine._search_reader, time_limit_s=1.0)
        await asyncio.sleep(0)
        while engine._search_reader._running is None:
            await asyncio.sleep(0)
        clock.now += 1.1
        with pytest.raises(SearchTooCostlyError):
            await in_time(task)
        assert texts_of(await engine.search("lobby", "tea", limit=5)) == ["tea"]
    finally:
        await engine.close()


async def test_every_search_has_the_time_limit(path: Path) -> None:
    clock = StoppedClock()
    engine = SqliteEngine(path, work_clock=clock)
    await engine.start()
    try:
        await engine.append([new_post("tea") for _ in range(500)])
        assert len(await engine.search("lobby", "tea", limit=200)) == 200
        clock.step_s = SEARCH_TIME_LIMIT_S
        with pytest.raises(SearchTooCostlyError):
            await engine.search("lobby", "tea", limit=200)
        clock.step_s = 0.0
    finally:
        await engine.close()


async def test_cancelled_search_stops_and_queued_ones_never_start(path: Path) -> None:
    async with opened(path) as engine:
        await engine.append([new_post("tea")])
        task, _ = block(engine._search_reader)
        queued = [asyncio.create_task(engine.search("lobby", "tea", limit=5)) for _ in range(5)]
        while engine._search_reader._running is None:
            await asyncio.sleep(0)
        running = engine._search_reader._running
        for one in (*queued, task):
            one.cancel()
        await in_time(asyncio.gather(*queued, task, return_exceptions=True))
        assert texts_of(await in_time(engine.search("lobby", "tea", limit=5))) == ["tea"]
        assert running.cancelled
        assert engine._search_reader.started == 2


async def test_write_ahead_log_starts_again_under_reads_that_overlap(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_reader, "LOG_MAX_BYTES", 6_000_000)
    monkeypatch.setattr(sqlite_reader, "LOG_WAIT_S", PATIENCE_S)
    monkeypatch.setattr(sqlite_schema, "LOG_KEEP_BYTES", 100_000)
    log = Path(f"{path}-wal")
    async with opened(path) as engine:
        await engine.append([new_post("first")])
        task, released = block(engine._search_reader)
        queued = [asyncio.create_task(engine.search("lobby", "first", limit=5)) for _ in range(5)]
        while log.stat().st_size <= 6_000_000:
            await in_time(engine.append([new_post("x" * 16_000) for _ in range(50)]))
        assert not task.done()
        released.set()
        await in_time(task)
        page = asyncio.create_task(engine.read("lobby", limit=1))
        await asyncio.sleep(0)
        assert engine._search_reader.started == 1
        for _ in range(3):
            await in_time(engine.append([new_post("more")]))
        assert log.stat().st_size <= 200_000
        assert [texts_of(found) for found in await in_time(asyncio.gather(*queued))] == [["first"]] * 5
        assert texts_of(await in_time(page)) == ["first"]


async def test_closing_does_not_wait_for_a_search(path: Path) -> None:
    async with opened(path) as engine:
        task, _ = block(engine._search_reader)
        while engine._search_reader._running is None:
            await asyncio.sleep(0)
        queued = asyncio.create_task(engine.search("lobby", "tea", limit=5))
        await asyncio.sleep(0)
        await in_time(engine.close())
        results = await in_time(asyncio.gather(task, queued, return_exceptions=True))
        assert all(isinstance(result, sqlite3.Error | EngineError) for result in results)


# -- no room left


async def limit_pages(engine: SqliteEngine, *, full: bool) -> None:
    """Let the file grow no further, as on a full disk; or again as it likes."""

    def run() -> None:
        pages = engine._connection.execute("PRAGMA page_count").fetchone()[0] if full else 2**30
        engine._connection.execute(f"PRAGMA max_page_count = {pages}")

    await engine._in_thread(run)


async def test_full_disk_rejects_the_whole_batch_until_there_is_space(path: Path) -> None:
    async with opened(path) as engine:
        await engine.append([new_post("first", nonce="n0")])
        await limit_pages(engine, full=True)
        batch = [
            new_post(f"{number} " + "x" * 2_000, room=f"r{number % 3}", nonce=f"n{number}")
            for number in range(200)
        ]
        with pytest.raises(EngineError, match="full"):
            await engine.append(batch)
        assert engine.last_seq("r0") == 0
        assert await engine.read("r0", limit=10) == []
        assert texts_of(await engine.read("lobby", limit=10)) == ["first"]
        await limit_pages(engine, full=False)
        results = await engine.append(batch)
        assert not any(result.dup for result in results)
        assert [engine.last_seq(f"r{room}") for room in range(3)] == [67, 67, 66]
        assert [result.dup for result in await engine.append([new_post("first", nonce="n0")])] == [True]
    async with opened(path) as engine:
        kept = [post for room in range(3) for post in await engine.read(f"r{room}", limit=100)]
        assert sorted(texts_of(kept)) == sorted(item.text for item in batch)


@pytest.mark.parametrize(
    ("name", "text", "free_bytes", "sentence"),
    [
        ("SQLITE_IOERR_SHMSIZE", "disk I/O error", 0, "the disk is full"),
        ("SQLITE_FULL", "database or disk is full", 10_000_000, "the disk is full"),
        ("SQLITE_IOERR_READ", "disk I/O error", 10_000_000, "disk I/O error"),
    ],
)
def test_full_disk_at_the_start_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, free_bytes: int, sentence: str
) -> None:
    usage = shutil.disk_usage(path.parent)._replace(free=free_bytes)
    monkeypatch.setattr(shutil, "disk_usage", lambda directory: usage)
    fault = sqlite3.OperationalError(text)
    fault.sqlite_errorname = name
    assert str(open_error(path, fault)) in (
        f"Cannot write the history {path}: {sentence}.",
        f"Cannot use the history {path}: {sentence}.",
    )


async def test_failed_topic_change_keeps_the_old_topic(path: Path) -> None:
    async with opened(path) as engine:
        await engine.set_topic("lobby", "old")
        await limit_pages(engine, full=True)
        with pytest.raises(EngineError):
            await engine.set_topic("lobby", "new " * 10_000)
        assert engine.topic("lobby") == "old"


async def test_full_disk_is_a_temporary_error_without_disconnects(path: Path) -> None:
    engine = SqliteEngine(path)
    async with (
        running_server(limits=UNLIMITED, engine=engine) as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "ben") as ben,
    ):
        await limit_pages(engine, full=True)
        await ana.say("x" * 16_000, nonce="n1")
        error = await ana.next_of(type="error")
        assert (error["nonce"], error["code"], error["temporary"]) == ("n1", "try_later", True)
        assert error["retry_after"] > 0
        assert "cannot store" in error["message"]
        await ben.send("history", room="lobby", ref="h", latest=True)
        assert (await ben.next_of(ref="h"))["items"] == []
        await limit_pages(engine, full=False)
        await ana.say("x" * 16_000, nonce="n1")
        assert (await ana.next_of(type="ack"))["dup"] is False
        assert (await ben.next_of(type="message"))["message"] == "x" * 16_000
        assert server.connection_count == 2


async def test_client_resends_posts_once_the_disk_has_space(path: Path) -> None:
    engine = SqliteEngine(path)
    async with (
        running_server(limits=UNLIMITED, engine=engine) as server,
        online(server.port, "ana") as (ana, watcher),
        online(server.port, "ben") as (_, ben),
    ):
        await limit_pages(engine, full=True)
        said = [f"{number} " + "x" * 8_000 for number in range(20)]
        for message in said:
            ana.say("lobby", message)
        async with v1_client(server.url, "eve") as eve:
            await eve.say("x" * 16_000, nonce="refused")
            await eve.next_of(type="error", nonce="refused")
        assert ana.unacknowledged == 20
        await limit_pages(engine, full=False)
        await ben.post(said[-1])
        await watcher.post(said[-1])
        await eventually(lambda: ana.unacknowledged == 0)
        assert sorted(ben.posts) == sorted(watcher.posts) == sorted(said)
        assert engine.last_seq("lobby") == 20


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit")
async def test_server_recovers_when_its_file_may_grow_again(tmp_path: Path) -> None:
    import resource

    async def refused(server: Program, url: str) -> None:
        async with v1_client(url, "ana") as ana:
            for number in range(5):
                await ana.say(str(number) * 16_000, nonce=f"n{number}")
            for _ in range(5):
                assert (await ana.next_of(type="error"))["temporary"] is True
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, unlimited)
            for number in range(5):
                await ana.say(str(number) * 16_000, nonce=f"n{number}")
                assert (await ana.next_of(type="ack"))["dup"] is False

    path = tmp_path / "history.db"
    serve = ("serve", "--host", "127.0.0.1", "--port", "0", "--message-rate", "0", "--history", str(path))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with program(*serve, home=tmp_path) as server:
        url = f"ws://127.0.0.1:{await server.port()}"
        async with v1_client(url, "ben") as ben:
            await ben.say("before", nonce="b")
            await ben.next_of(type="ack")
            written = max(file.stat().st_size for file in tmp_path.glob("history.db*"))
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (written, unlimited[1]))
            await refused(server, url)
            await ben.settle()
        assert (await server.stop(signal.SIGTERM)).status == 0
    async with opened(path) as engine:
        assert texts_of(await engine.read("lobby", limit=10)) == [
            "before",
            *(str(number) * 16_000 for number in range(5)),
        ]


# -- forgetting


async def trim(engine: SqliteEngine, now: datetime | None = None) -> None:
    while await engine.trim(now or datetime.now(UTC)):
        pass


async def test_posts_past_their_retention_are_deleted_and_seqs_continue(path: Path) -> None:
    new = datetime.now(UTC)
    old = new - timedelta(days=10)
    async with opened(path) as engine:
        await engine.append([new_post(f"old {number}", at=old) for number in range(5)])
        await engine.append([new_post("elsewhere", "dev", at=old)])
        await engine.append([new_post(f"new {number}", at=new) for number in range(3)])
    async with opened(path, keep_days=7) as engine:
        await trim(engine, new)
        assert (engine.first_seq("lobby"), engine.last_seq("lobby")) == (6, 8)
        assert (engine.first_seq("dev"), engine.last_seq("dev")) == (2, 1)
        assert texts_of(await engine.read("lobby", limit=10)) == ["new 0", "new 1", "new 2"]
        assert texts_of(await engine.read("lobby", after=2, limit=1)) == ["new 0"]
        assert await engine.search("lobby", "old", limit=10) == []
        assert texts_of(await engine.search("lobby", "new", limit=10)) == ["new 0", "new 1", "new 2"]
        assert [result.position.seq for result in await engine.append([new_post("on", "dev")])] == [2]
    async with opened(path) as engine:
        assert (engine.first_seq("lobby"), engine.last_seq("lobby")) == (6, 8)
        assert (engine.first_seq("dev"), engine.last_seq("dev")) == (2, 2)


async def test_each_room_is_limited_to_its_newest_posts(path: Path) -> None:
    async with opened(path) as engine:
        await engine.append([new_post(str(number)) for number in range(300)])
        await engine.append([new_post(str(number), "dev") for number in range(15)])
    async with opened(path, keep_posts=10) as engine:
        await trim(engine, AT)
        assert (engine.first_seq("lobby"), engine.last_seq("lobby")) == (291, 300)
        assert (engine.first_seq("dev"), engine.last_seq("dev")) == (6, 15)
        assert len(await engine.read("lobby", limit=100)) == 10


async def test_excess_posts_are_deleted_periodically(path: Path) -> None:
    async with opened(path) as engine:
        await engine.append([new_post(str(number)) for number in range(30)])
    async with opened(path, keep_posts=10) as engine:
        await eventually(lambda: engine.first_seq("lobby") == 21)


@pytest.mark.parametrize("days", [0.0, 1e6, 1e300, float("inf")])
async def test_any_retention_in_days_is_valid(path: Path, days: float) -> None:
    async with opened(path, keep_days=days) as engine:
        await engine.append([new_post("from the beginning", at=datetime(1970, 1, 1, tzinfo=UTC))])
        await trim(engine)
        assert engine.first_seq("lobby") == 1


async def test_client_resuming_in_a_trimmed_room_gets_a_gap(path: Path) -> None:
    engine = SqliteEngine(path, keep_posts=10)
    async with running_server(limits=UNLIMITED, engine=engine) as server:
        async with v1_client(server.url, "ana") as ana:
            for number in range(1, 41):
                await ana.say(str(number), nonce=f"n{number}")
                await ana.next_of(type="ack")
        await trim(engine)
        epoch = engine.epoch
        async with v1_client(server.url, "ben", rooms=[{"room": "lobby", "since": f"{epoch}-5"}]) as ben:
            frames = [frame for frame in await ben.until(type="synced") if frame["type"] != "system"]
            assert (frames[0]["type"], frames[0]["reason"]) == ("gap", "trimmed")
            assert (frames[0]["from"], frames[0]["to"]) == (f"{epoch}-6", f"{epoch}-30")
            assert [frame["message"] for frame in frames[1:-1]] == [str(number) for number in range(31, 41)]
        async with v1_client(server.url, "cai") as cai:
            await cai.send("history", ref="h", room="lobby", before=f"{epoch}-33", limit=50)
            page = await cai.next_of(ref="h")
            assert [item["message"] for item in page["items"]] == ["31", "32"]
            assert page["more"] is False
        async with v1_client(server.url, "dan", rooms=[{"room": "lobby", "since": f"{epoch}-30"}]) as dan:
            assert "gap" not in [frame["type"] for frame in await dan.until(type="synced")]


async def test_library_reports_the_gap_of_trimmed_posts(path: Path) -> None:
    engine = SqliteEngine(path, keep_posts=10)
    async with running_server(limits=UNLIMITED, engine=engine) as server:
        async with online(server.port, "ana") as (ana, watcher):
            ana.say("lobby", "seen")
            await watcher.post("seen")
            position = ana._session.cursors["lobby"].position
        async with BroadcastClient("127.0.0.1", server.port, name="ben") as ben:
            for number in range(30):
                await ben.post("lobby", str(number))
        await trim(engine)
        late = BroadcastClient("127.0.0.1", server.port, last=0)
        late._session.cursors["lobby"].position = position
        late.start()
        gaps = []
        posts: list[str] = []
        async for batch in late.batches():
            gaps += [update for update in batch if isinstance(update, GapFound)]
            posts += [update.post.text for update in batch if hasattr(update, "post")]
            if posts and posts[-1] == "29":
                break
        assert gaps == [GapFound("lobby", 20, "trimmed")]
        assert posts == [str(number) for number in range(20, 30)]
        await late.close()


# -- searching

SCRIPTS = st.text(
    st.sampled_from(
        "aZéÉßſfﬁ09²ЖжΣσςΩκάкоё中日本語がガぱ한국어אבגद्मعربİıñ e\u0301\u0308_-.,'\"*()😀👩\u200d\n\t"
    ),
    max_size=40,
)


async def test_every_word_in_any_script_finds_its_post(path: Path) -> None:
    said = [
        "Straße",
        "Ελλάς",
        "한국어 텍스트",
        "がんばって ガンバ",
        "ﬁne e\u0301clair",
        "İstanbul ISTANBUL",
        "Жёлтый",
    ]
    memory = MemoryEngine()
    async with opened(path) as engine:
        for kept in (engine, memory):
            await kept.append([new_post(text) for text in said])
            for text in said:
                for word in text.split():
                    for query in (word, word.upper(), word.lower(), word[:2]):
                        assert text in texts_of(await kept.search("lobby", query, limit=10)), query


@settings(max_examples=60, deadline=None)
@given(said=st.lists(SCRIPTS, max_size=5), query=SCRIPTS)
def test_sqlite_and_memory_search_return_the_same(said: list[str], query: str) -> None:
    async def compare() -> None:
        with tempfile.TemporaryDirectory() as directory:
            memory = MemoryEngine()
            async with opened(Path(directory) / "history.db") as engine:
                found = []
                for kept in (engine, memory):
                    await kept.append([new_post(text) for text in said])
                    found.append(texts_of(await kept.search("lobby", query, limit=10)))
            assert found[0] == found[1]

    run_alone(compare())


@settings(max_examples=40, deadline=None)
@given(queries=st.lists(st.text(max_size=30) | SCRIPTS, min_size=10, max_size=30))
def test_search_accepts_arbitrary_text(queries: list[str]) -> None:
    async def search() -> None:
        with tempfile.TemporaryDirectory() as directory:
            async with opened(Path(directory) / "history.db") as engine:
                await engine.append([new_post(text) for text in ("one two", "three")])
                for query in queries:
                    await engine.search("lobby", query, limit=10)
                assert len(await engine.search("lobby", "one", limit=10)) == 1

    run_alone(search())


@pytest.mark.parametrize(
    "query",
    [
        'tea" OR "coffee',
        "tea OR coffee",
        "tea NOT coffee",
        "tea AND coffee",
        "NEAR(tea coffee)",
        "text : tea",
        "tea*coffee",
        "^tea coffee",
        "tea + coffee",
        "{text} : tea",
        "tea\x00coffee",
        "'; DROP TABLE posts; --",
        " ".join(f"word{number}" for number in range(5_000)),
        "x" * 100_000,
    ],
    ids=lambda query: query[:20],
)
async def test_operators_and_quotes_in_a_query_are_only_words(path: Path, query: str) -> None:
    async with opened(path) as engine:
        await engine.append([new_post("tea"), new_post("coffee")])
        assert await engine.search("lobby", query, limit=5) == []
        assert texts_of(await engine.search("lobby", "tea", limit=5)) == ["tea"]


async def test_search_is_limited_to_its_room(path: Path) -> None:
    async with opened(path) as engine:
        await engine.append([new_post("tea"), new_post("tea", "dev"), new_post("tea", "dev")])
        assert len(await engine.search("dev", "tea", limit=5)) == 2
        assert len(await engine.search("lobby", "tea", limit=5)) == 1
        assert await engine.search("nowhere", "tea", limit=5) == []


# -- many at once


async def test_concurrent_appends_survive_a_restart(path: Path) -> None:
    async with opened(path) as engine:
        batches = [
            [new_post(f"{batch}-{number}", nonce=f"{batch}-{number}") for number in range(10)]
            for batch in range(50)
        ]
        results = await in_time(asyncio.gather(*(engine.append(batch) for batch in batches)))
        assert sorted(result.position.seq for batch in results for result in batch) == list(range(1, 501))
    async with opened(path) as engine:
        posts = await engine.read("lobby", limit=1000)
        assert [post.position.seq for post in posts] == list(range(1, 501))
        for batch, of_batch in zip(batches, results, strict=True):
            texts = texts_of(posts)
            assert [texts[result.position.seq - 1] for result in of_batch] == [item.text for item in batch]


async def test_cancelled_append_reaches_the_tail_or_has_no_effect(path: Path) -> None:
    async with opened(path) as engine:
        tail = entry_tail(engine)
        for round_number in range(20):
            task = asyncio.create_task(
                engine.append([new_post(f"lost {round_number}", nonce=f"l{round_number}")])
            )
            for _ in range(round_number % 4):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await engine.append([new_post("the end")])
        seen: list[Entry] = []
        while texts_of(seen)[-1:] != ["the end"]:
            seen += await in_time(anext(tail))
        assert seen == await engine.read("lobby", limit=100)
        assert [post.position.seq for post in seen] == list(range(1, len(seen) + 1))
        again = await engine.append([new_post(f"lost {number}", nonce=f"l{number}") for number in range(20)])
        assert sum(result.dup for result in again) == len(seen) - 1


async def test_closing_waits_for_running_appends(path: Path) -> None:
    async with opened(path) as engine:
        under_way = asyncio.gather(*(engine.append([new_post(str(number))]) for number in range(20)))
        await asyncio.sleep(0)
        await engine.close()
        await in_time(under_way)
    async with opened(path) as engine:
        assert engine.last_seq("lobby") == 20


async def test_concurrent_readers_never_see_a_partial_batch(path: Path) -> None:
    async with opened(path) as engine:

        async def write() -> None:
            for _ in range(30):
                await engine.append([new_post("a"), new_post("b"), new_post("c")])

        writing = asyncio.create_task(write())
        while not writing.done():
            posts = await engine.read("lobby", limit=1000)
            assert len(posts) % 3 == 0
            assert [post.position.seq for post in posts] == list(range(1, len(posts) + 1))
        await writing


def test_free_port_has_its_own_history_in_the_data_directory(tmp_path: Path) -> None:
    from broadcast_tui.cli.serve import History

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = History("", 30.0, 100, 0).path(port)
    assert path.name == f"history-{port}.db"
    assert str(path) in History("", 30.0, 100, 0).description(port)
    assert isinstance(History("memory", 30.0, 100, 0).engine(port), MemoryEngine)
