"""`history copy` as a process: interrupted, killed, continued, and the server on the copy."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cli.program import Outcome, program, run
from tests.support.engines import opened
from tests.support.histories import append_posts, contents
from tests.support.plain import v1_client
from tests.support.redis_server import ALWAYS, RedisServer, needs_redis, running
from tests.support.terminal import Terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and pseudo-terminals")

POSTS = 4_000
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
    assert finished == Outcome(0, "Copied 4,001 messages in 2 rooms. Verified.\n", "")
    assert await is_same(source, target)


async def test_a_copy_is_interrupted_by_ctrl_c(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    outcome = await end_copy(source, target, BETWEEN, signal.SIGINT)
    assert outcome.status == 130
    assert outcome.err == "broadcast-tui: Interrupted. Run the same command to continue.\n"
    finished = await run("history", "copy", str(source), str(target), home=tmp_path)
    assert finished.status == 0
    assert await is_same(source, target)


async def check_resuming(source: Path, target: str, *, epochs: bool) -> None:
    """Copy a history, start a server on the copy, and come back from a server on the source."""
    async with opened(source) as engine:
        former = engine.epoch
    assert (await run("history", "copy", str(source), target, home=source.parent)).status == 0
    where = ("serve", "--port", "0", "--host", "127.0.0.1", "--history", target)
    async with program(*where, home=source.parent) as server:
        url = f"ws://127.0.0.1:{await server.port()}"
        since = f"{former}-{POSTS - 1}"
        async with v1_client(url, "ana", rooms=[{"room": "lobby", "since": since}], epochs=epochs) as ana:
            if epochs:
                renamed = await ana.next_of(type="epoch")
                assert (renamed["from"], renamed["to"].partition("-")[2]) == (since, str(POSTS - 1))
            message = await ana.next_of(type="message")
            assert message["message"] == f"apple {POSTS - 1}"
            assert not message["id"].startswith(former)
            await ana.say("pear", nonce="n1")
            acknowledged = await ana.next_of(type="ack", nonce="n1")
            assert acknowledged["id"].partition("-")[2] == str(POSTS + 1)
        assert (await server.stop(signal.SIGTERM)).status == 0


@pytest.mark.parametrize("epochs", [True, False])
async def test_clients_resume_on_a_copy_in_a_file(source: Path, tmp_path: Path, epochs: bool) -> None:
    await check_resuming(source, str(tmp_path / "target.db"), epochs=epochs)


@needs_redis
@pytest.mark.parametrize("epochs", [True, False])
async def test_clients_resume_on_a_copy_in_redis(source: Path, tmp_path: Path, epochs: bool) -> None:
    """And again, when that has been copied back to a file."""
    server = RedisServer(tmp_path / "redis", *ALWAYS)
    with running(server):
        await check_resuming(source, server.url, epochs=epochs)
        back = tmp_path / "back.db"
        assert (await run("history", "copy", server.url, str(back), home=tmp_path)).status == 0
    async with opened(source) as before, opened(back) as after:
        assert after.last_seq("lobby") == before.last_seq("lobby") + 1
        assert after.fork_of("lobby", before.epoch) == before.last_seq("lobby")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("source.db", "./source.db"), "Source and target are the same: source.db."),
        (("memory", "target.db"), "memory cannot be copied. Use a history file or redis://HOST:PORT."),
        (("source.db", "off"), "off cannot be copied. Use a history file or redis://HOST:PORT."),
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
    assert f"Copied 1,000 of {POSTS + 1:,}".encode() in shown
    assert shown.endswith(b"Copied 4,001 messages in 2 rooms. Verified.\r\n")


def shown_address(server: RedisServer) -> str:
    """The address as messages show it."""
    return f"redis://127.0.0.1:{server.port}"


@needs_redis
async def test_a_copy_to_redis_and_back(source: Path, tmp_path: Path) -> None:
    """The password is never printed."""
    target, server = tmp_path / "target.db", RedisServer(tmp_path / "redis", password="s3cret-word")
    (tmp_path / "password").write_text("s3cret-word\n")
    where = f"{server.address}?password_file={tmp_path / 'password'}"
    with running(server):
        shown = await run("history", "copy", str(source), server.url, home=tmp_path)
        assert (shown.status, shown.out) == (0, "Copied 4,001 messages in 2 rooms. Verified.\n")
        assert shown.err.startswith("Warning: Other users of this machine can see the Redis password")
        assert shown.err.count("\n") == 1
        again = await run("history", "copy", str(source), where, home=tmp_path)
        assert again == Outcome(
            2, "", f"broadcast-tui: {shown_address(server)} has a history already. Copy to another prefix.\n"
        )
        same = await run("history", "copy", server.url, where, home=tmp_path)
        assert same.status == 2
        assert same.err.endswith(f"broadcast-tui: Source and target are the same: {shown_address(server)}.\n")
        back = await run("history", "copy", where, str(target), home=tmp_path)
        assert back == Outcome(0, "Copied 4,001 messages in 2 rooms. Verified.\n", "")
    assert await is_same(source, target)
    assert not [outcome for outcome in (shown, again, same, back) if "s3cret" in outcome.out + outcome.err]


@needs_redis
async def test_servers_refuse_an_unfinished_copy_in_redis(source: Path, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", *ALWAYS)
    code = f"{BLOCKED}from broadcast_tui.engine.redis_copying import RedisHistory as SqliteHistory\n"
    code += "put = SqliteHistory.put; SqliteHistory.put = put_and_wait; main()"
    words = ("history", "copy", str(source), server.url)
    with running(server):
        async with program(*words, home=tmp_path, code=code) as copying:
            await copying.line_with("in the third step")
            await copying.stop(signal.SIGKILL)
        refused = await run("serve", "--port", "0", "--history", server.url, home=tmp_path)
        assert (refused.status, refused.out) == (2, "")
        refusal = f"{shown_address(server)} is an unfinished copy. Run history copy again."
        assert refused.err == f"broadcast-tui: {refusal}\n"
        finished = await run(*words, home=tmp_path)
        assert finished == Outcome(0, "Copied 4,001 messages in 2 rooms. Verified.\n", "")


@asynccontextmanager
async def serve_tokens(home: Path, *where: str) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """A server that requires tokens, and those of ana and bob."""
    tokens = {}
    for name in ("ana", "bob"):
        shared = where if where[1].startswith("redis") else ()
        tokens[name] = (await run("token", "create", name, *shared, home=home)).out.strip()
    options = ("--port", "0", "--host", "127.0.0.1", "--auth", "token")
    async with program("serve", *options, *where, home=home) as server:
        yield f"ws://127.0.0.1:{await server.port()}", tokens
        assert (await server.stop(signal.SIGTERM)).status == 0


@needs_redis
async def test_direct_messages_are_found_in_a_copy_in_redis(tmp_path: Path) -> None:
    source, redis = tmp_path / "source.db", RedisServer(tmp_path / "redis", *ALWAYS)
    async with (
        serve_tokens(tmp_path, "--history", str(source)) as (url, tokens),
        v1_client(url, "ana", token=tokens["ana"], rooms=()) as ana,
    ):
        await ana.send("direct", name="bob", ref="d")
        room = (await ana.next_of(type="direct", ref="d"))["room"]
        await ana.send("join", room=room, ref="j")
        await ana.next_of(ref="j")
        await ana.send("message", room=room, message="psst", nonce="n1")
        await ana.next_of(type="ack", nonce="n1")
    with running(redis):
        assert (await run("history", "copy", str(source), redis.url, home=tmp_path)).status == 0
        async with (
            serve_tokens(tmp_path, "--history", redis.url) as (url, tokens),
            v1_client(url, "bob", token=tokens["bob"], rooms=()) as bob,
        ):
            [welcome] = [frame for frame in bob.frames if frame["type"] == "welcome"]
            assert [(info["room"], info["with"]) for info in welcome["directs"]] == [(room, "ana")]
            await bob.send("join", room=room, last=5, ref="j")
            assert (await bob.next_of(type="message"))["message"] == "psst"
