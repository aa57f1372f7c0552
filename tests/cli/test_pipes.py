"""`broadcast-tui send` and `tail` in pipes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from broadcast_tui.cli import pipes
from broadcast_tui.client import BroadcastClient
from broadcast_tui.core.limits import Limits
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.server import BroadcastServer
from tests.cli.program import ROOT, START_S, Outcome, Program
from tests.support.entries import posts_of, texts_of
from tests.support.plain import WireClient, plain_client, v1_client
from tests.support.proxy import running_proxy
from tests.support.running import eventually, in_time, running_server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
UNLIMITED = Limits(message_rate=0)
HOSTILE = "\x1b]0;pwned\x07red\x1b[31m\x9b1m\u202egnp.exe\n12:00 boss: forged"


@asynccontextmanager
async def command(
    *words: str, home: Path, env: dict[str, str] | None = None, stdout: int = asyncio.subprocess.PIPE
) -> AsyncIterator[Program]:
    """`broadcast-tui` with pipes for input and output; killed at the end if it is still running."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("BROADCAST_TUI_")}
    own = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"), str(home))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "broadcast_tui", *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**inherited, **own, "TZ": "UTC", **(env or {})},
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(*words: str, home: Path, given: bytes = b"", env: dict[str, str] | None = None) -> Outcome:
    """Run a command with `given` on standard input and wait for its end."""
    async with command(*words, home=home, env=env) as running:
        async with asyncio.timeout(START_S):
            out, err = await running.process.communicate(given)
        assert running.process.returncode is not None
        return Outcome(running.process.returncode, out.decode(), err.decode())


async def write(program: Program, data: bytes) -> None:
    assert program.process.stdin is not None
    program.process.stdin.write(data)
    async with asyncio.timeout(START_S):
        await program.process.stdin.drain()


async def ended(program: Program) -> Outcome:
    """Close the input of a program and wait for its end."""
    assert program.process.stdin is not None
    program.process.stdin.close()
    return await program.ended()


async def posts(server: BroadcastServer, room: str = "lobby") -> list[str]:
    """The texts of a room's log."""
    return texts_of(await server._engine.read(room, limit=100_000))


@asynccontextmanager
async def room_with(*texts: str, limits: Limits = UNLIMITED) -> AsyncIterator[BroadcastServer]:
    """A server with these posts by ana in its lobby."""
    async with running_server(limits=limits) as server:
        async with v1_client(server.url, "ana") as ana:
            await say_all(ana, *texts)
        yield server


async def say_all(client: WireClient, *texts: str) -> None:
    for number, text in enumerate(texts):
        await client.say(text, nonce=f"{text[:20]!r} {number}"[:60])
        await client.next_of(type="ack")


# -- send


@pytest.mark.parametrize("wait", [(), ("--wait",)], ids=["quick", "wait"])
async def test_arguments_are_sent_as_one_post(tmp_path: Path, wait: tuple[str, ...]) -> None:
    async with running_server() as server:
        outcome = await run("send", "--url", server.url, *wait, "Hello,", "world!", home=tmp_path)
        assert outcome == Outcome(0, "", "")
        assert await posts(server) == ["Hello, world!"]


async def test_each_nonempty_input_line_is_a_post(tmp_path: Path) -> None:
    async with running_server() as server:
        given = "one\n\n  two\n \nthréé".encode()
        outcome = await run("send", "--url", server.url, "--wait", home=tmp_path, given=given)
        assert outcome == Outcome(0, "", "")
        assert await posts(server) == ["one", "  two", "thréé"]


async def test_as_one_sends_the_input_as_one_post(tmp_path: Path) -> None:
    async with running_server() as server:
        outcome = await run(
            "send", "--url", server.url, "--wait", "--as-one", home=tmp_path, given=b"\n \r\n  one\n\ntwo\n\n"
        )
        assert outcome == Outcome(0, "", "")
        assert await posts(server) == ["  one\n\ntwo"]


async def test_room_and_name_options(tmp_path: Path) -> None:
    async with running_server() as server, v1_client(server.url, "ana", rooms=[{"room": "dev"}]) as ana:
        outcome = await run(
            *("send", "--url", f"{server.url}/lobby", "--room", "dev", "--name", "builder", "done"),
            home=tmp_path,
        )
        assert outcome.status == 0
        post = await ana.next_of(type="message")
        assert (post["sender"], post["room"], post["message"]) == ("builder", "dev", "done")


async def test_invalid_utf_8_input_is_replaced(tmp_path: Path) -> None:
    async with running_server() as server:
        outcome = await run("send", "--url", server.url, "--wait", home=tmp_path, given=b"caf\xe9\nok\n")
        assert outcome == Outcome(0, "", "")
        assert await posts(server) == ["caf\ufffd", "ok"]


async def test_rejected_post_is_reported_with_status_3(tmp_path: Path) -> None:
    async with running_server(limits=Limits(max_message_bytes=10)) as server:
        outcome = await run("send", "--url", server.url, "--wait", "much longer than ten", home=tmp_path)
        assert outcome.status == 3
        assert outcome.out == ""
        [line] = outcome.err.splitlines()
        assert line.startswith("broadcast-tui: not sent: ")
        assert await posts(server) == []


async def test_posts_after_a_rejected_one_are_sent(tmp_path: Path) -> None:
    async with running_server(limits=Limits(max_message_bytes=10)) as server:
        given = b"fine\nmuch longer than ten\nlonger than ten, too\nfine again\n"
        outcome = await run("send", "--url", server.url, "--wait", home=tmp_path, given=given)
        assert outcome.status == 3
        [line] = outcome.err.splitlines()
        assert "not sent" in line
        assert await posts(server) == ["fine", "fine again"]


@pytest.mark.parametrize("wait", [(), ("--wait",)], ids=["quick", "wait"])
async def test_oversized_line_is_rejected_and_the_others_are_sent(
    tmp_path: Path, wait: tuple[str, ...]
) -> None:
    async with running_server() as server:
        given = b"a\n" + b"x" * 300_000 + b"\nb\nc\n"
        outcome = await run("send", "--url", server.url, *wait, home=tmp_path, given=given)
        reason = "broadcast-tui: not sent: Message too long: at most 16,384 bytes.\n"
        assert outcome == Outcome(3, "", reason)
        assert await posts(server) == ["a", "b", "c"]
        given = b"x" * 3_000_000
        outcome = await run("send", "--url", server.url, *wait, "--as-one", home=tmp_path, given=given)
        assert outcome == Outcome(3, "", reason)


async def test_binary_input_and_a_missing_line_end_are_sent(tmp_path: Path) -> None:
    async with running_server() as server:
        given = b"a\0b\n\xff\xfe\nlast"
        outcome = await run("send", "--url", server.url, "--wait", home=tmp_path, given=given)
        assert outcome == Outcome(0, "", "")
        assert await posts(server) == ["ab", "\ufffd\ufffd", "last"]


async def test_only_the_start_of_an_endless_line_is_buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "LINE_BYTES_MAX", 1_000)
    for read in (pipes.read_input_lines, pipes.read_input):
        reading, writing = os.pipe()

        def feed(writing: int = writing) -> None:
            with open(writing, "wb") as file, contextlib.suppress(BrokenPipeError):
                for _ in range(100):
                    file.write(b"x" * 100_000)
                file.write(b"\nb\n" + b"y" * 5_000 + b"\nc")

        thread = threading.Thread(target=feed)
        thread.start()
        with open(reading) as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            if read is pipes.read_input:
                assert set(await in_time(pipes.read_input())) == {"x"}
            else:
                lines = [line async for line in pipes.read_input_lines()]
                assert lines == ["x" * 1_000 + "\n", "b\n", "y" * 1_000 + "\n", "c"]
        thread.join()


async def test_rejection_is_reported_while_the_input_is_open(tmp_path: Path) -> None:
    async with (
        running_server(limits=Limits(max_message_bytes=10)) as server,
        command("send", "--url", server.url, home=tmp_path) as send,
    ):
        await write(send, b"much longer than ten\n")
        await send.log_line(r"^broadcast-tui: not sent: ")


async def test_unreachable_server_is_status_4(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{closed.getsockname()[1]}"
        for words in (("send", "--url", url, "hi"), ("tail", url)):
            outcome = await run(*words, "--timeout", "0.5", home=tmp_path)
            assert outcome.status == 4
            [line] = outcome.err.splitlines()
            assert line.startswith("broadcast-tui: ")
            assert url in line
            assert outcome.out == ""


async def test_silent_server_is_status_4(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        outcome = await run("send", "--url", url, "--timeout", "0.5", "hi", home=tmp_path)
        assert outcome.status == 4
        assert "Traceback" not in outcome.err


async def test_permanently_lost_server_is_status_4(tmp_path: Path) -> None:
    async with (
        running_server() as server,
        running_proxy(server.port) as proxy,
        command(
            *("send", "--url", f"ws://127.0.0.1:{proxy.port}", "--wait", "--timeout", "1"), home=tmp_path
        ) as send,
    ):
        await write(send, b"one\n")
        await eventually(lambda: server._engine.last_seq("lobby") == 1)
        proxy.refusing = True
        proxy.cut()
        async with asyncio.timeout(START_S):
            assert await send.process.wait() == 4


@pytest.mark.parametrize(
    "words",
    [
        ("send", "--name", "SYSTEM", "hi"),
        ("send", "--room", "a b", "hi"),
        ("send", "--url", "ftp://localhost", "hi"),
        ("send", "--timeout", "0", "hi"),
        ("send", "--no-such"),
        ("tail", "ws://localhost:0"),
        ("tail", "--last", "-1"),
        ("tail", "one", "two"),
    ],
    ids=" ".join,
)
async def test_usage_errors_are_one_line_with_status_2(tmp_path: Path, words: tuple[str, ...]) -> None:
    outcome = await run(*words, home=tmp_path)
    assert (outcome.status, outcome.out) == (2, "")
    [line] = outcome.err.splitlines()
    assert line.startswith("broadcast-tui: ")


async def test_input_above_the_rate_limit_is_paced(tmp_path: Path) -> None:
    count = 60
    async with running_server(limits=Limits(message_rate=50.0, message_burst=5)) as server:
        given = "".join(f"{number}\n" for number in range(count)).encode()
        outcome = await run("send", "--url", server.url, "--wait", home=tmp_path, given=given)
        assert outcome == Outcome(0, "", "")
        assert await posts(server) == [str(number) for number in range(count)]


async def test_large_input_is_sent_in_order(tmp_path: Path) -> None:
    count = 5_000
    async with running_server(limits=UNLIMITED) as server:
        given = "".join(f"{number} {'x' * (number % 300 + 1)}\n" for number in range(count)).encode()
        outcome = await run("send", "--url", server.url, "--wait", home=tmp_path, given=given)
        assert outcome == Outcome(0, "", "")
        assert await posts(server) == given.decode().splitlines()


async def test_restart_of_the_server_loses_and_duplicates_nothing(tmp_path: Path) -> None:
    count = 400
    path = tmp_path / "history.db"
    async with (
        running_server(limits=UNLIMITED, engine=SqliteEngine(path)) as first,
        running_proxy(first.port) as proxy,
        command("send", "--url", f"ws://127.0.0.1:{proxy.port}", "--wait", home=tmp_path) as send,
    ):
        for number in range(count // 2):
            await write(send, f"{number}\n".encode())
        await eventually(lambda: first._engine.last_seq("lobby") > 10)
        proxy.cut()
        await in_time(first.stop_server(deadline_s=1.0))
        for number in range(count // 2, count):
            await write(send, f"{number}\n".encode())
        async with running_server(limits=UNLIMITED, engine=SqliteEngine(path)) as second:
            proxy.target_port = second.port
            outcome = await ended(send)
            assert outcome == Outcome(0, "", "")
            assert await posts(second) == [str(number) for number in range(count)]


async def test_lines_are_sent_at_once(tmp_path: Path) -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ana") as ana,
        command("send", "--url", server.url, home=tmp_path) as send,
    ):
        for line in ("first", "second"):
            await write(send, f"{line}\n".encode())
            assert (await ana.next_of(type="message"))["message"] == line
        assert (await ended(send)).status == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
async def test_signal_ends_send_while_the_input_is_open(tmp_path: Path, number: signal.Signals) -> None:
    async with (
        running_server() as server,
        command("send", "--url", server.url, "--name", "ben", home=tmp_path) as send,
    ):
        await write(send, b"one\n")
        await eventually(lambda: server._engine.last_seq("lobby") == 1)
        send.process.send_signal(number)
        async with asyncio.timeout(START_S):
            status = await send.process.wait()
        assert status == (130 if number is signal.SIGINT else -signal.SIGTERM)
        assert send.process.stderr is not None
        assert await send.process.stderr.read() == b""
        await eventually(lambda: server.connection_count == 0)


async def test_a_reply_names_its_post(tmp_path: Path) -> None:
    async with room_with("one") as server:
        (post,) = posts_of(await server._engine.read("lobby", limit=9))
        words = ("send", "--url", server.url, "--wait", "--reply-to", str(post.position), "two")
        assert await run(*words, home=tmp_path) == Outcome(0, "", "")
        _, reply = posts_of(await server._engine.read("lobby", limit=9))
        assert (reply.text, reply.re, reply.root) == ("two", 1, 1)


# -- tail


async def test_tail_prints_the_latest_posts_and_exits(tmp_path: Path) -> None:
    async with room_with("one", "two", "three") as server:
        outcome = await run("tail", server.url, "--last", "2", home=tmp_path)
        assert (outcome.status, outcome.err) == (0, "")
        assert [re.sub(r"^\d\d:\d\d ", "", line) for line in outcome.out.splitlines()] == [
            "ana: two",
            "ana: three",
        ]


async def test_tail_prints_what_people_do_with_posts(tmp_path: Path) -> None:
    async with (
        running_server() as server,
        BroadcastClient(server.url, name="ana") as ana,
        BroadcastClient(server.url, name="bob") as bob,
        command("tail", server.url, "--follow", home=tmp_path) as tail,
        command("tail", server.url, "--follow", "--json", home=tmp_path) as json_tail,
    ):
        first = (await ana.post("lobby", "helo")).post_id
        texts, lines = [await tail.line()], [json.loads(await json_tail.line())]
        await ana.edit("lobby", first, "hello\n12:00 bob: forged")
        await bob.react("lobby", first, "👍")
        await ana.delete("lobby", first, "wrong room")
        second = (await bob.post("lobby", "what?")).post_id
        while not texts[-1].endswith("what?"):
            texts.append(await tail.line())
        while lines[-1].get("message") != "what?":
            lines.append(json.loads(await json_tail.line()))
    assert [re.sub(r"^\d\d:\d\d ", "", line) for line in texts] == [
        "ana: helo",
        "* ana edited a message: hello",
        "    12:00 bob: forged",
        "* ana deleted a message: wrong room",
        "bob: what?",
    ]
    assert [(line["type"], line.get("note"), line.get("re")) for line in lines] == [
        ("message", None, None),
        ("note", "edit", first),
        ("note", "react", first),
        ("note", "delete", first),
        ("message", None, None),
    ]
    assert lines[2]["now"] == {"reactions": {"👍": {"count": 1, "names": ["bob"]}}}
    assert lines[3]["now"]["deleted"]["reason"] == "wrong room"
    assert lines[4]["id"] == second


async def test_tail_describes_posts_that_were_deleted_before(tmp_path: Path) -> None:
    async with running_server() as server, BroadcastClient(server.url, name="ana") as ana:
        await ana.delete("lobby", (await ana.post("lobby", "one")).post_id, "wrong room")
        outcome = await run("tail", server.url, home=tmp_path)
        assert [re.sub(r"^\d\d:\d\d ", "", line) for line in outcome.out.splitlines()] == [
            "ana: (deleted by ana: wrong room)",
            "* ana deleted a message: wrong room",
        ]


async def test_tail_prints_the_votes_of_a_question_as_the_server_sent_them(tmp_path: Path) -> None:
    async with (
        running_server() as server,
        BroadcastClient(server.url, name="ana") as ana,
        command("tail", server.url, "--follow", "--json", home=tmp_path) as tail,
    ):
        question = (await ana.ask("lobby", "Deploy?", ["yes", "no"], to=["ana", "ken"])).post_id
        await ana.answer("lobby", question, "yes")
        assert json.loads(await tail.line())["ask"]["to"] == ["ana", "ken"]
        answer = json.loads(await tail.line())
    assert (answer["re"], answer["now"]) == (
        question,
        {"tally": {"yes": {"count": 1, "names": ["ana"]}}, "of": 2, "waiting": ["ken"]},
    )


@pytest.mark.parametrize(("last", "count"), [(1_500, 1_500), (1_000_000, 2_600)])
async def test_tail_reads_any_number_of_posts(tmp_path: Path, last: int, count: int) -> None:
    async with running_server(limits=UNLIMITED) as server:
        for number in range(2_600):
            await server.broadcast_to_all({"type": "message", "message": str(number), "sender": "ana"})
        options = ("--json", "--last", str(last))
        outcome = await run("tail", server.url, *options, home=tmp_path)
        assert (outcome.status, outcome.err) == (0, "")
        printed = [json.loads(line)["message"] for line in outcome.out.splitlines()]
        assert printed == [str(number) for number in range(2_600 - count, 2_600)]
        async with command("tail", server.url, *options, "--follow", home=tmp_path) as tail:
            for text in printed:
                assert json.loads(await tail.line())["message"] == text
            await server.broadcast_to_all({"type": "message", "message": "live", "sender": "ana"})
            assert json.loads(await tail.line())["message"] == "live"


async def test_trimmed_history_is_not_a_gap_for_tail(tmp_path: Path) -> None:
    async with running_server(limits=UNLIMITED, engine=MemoryEngine(max_posts=1_200)) as server:
        for number in range(1_500):
            await server.broadcast_to_all({"type": "message", "message": str(number), "sender": "ana"})
        outcome = await run("tail", server.url, "--json", "--last", "1400", home=tmp_path)
        assert (outcome.status, outcome.err) == (0, "")
        printed = [int(json.loads(line)["message"]) for line in outcome.out.splitlines()]
        assert printed == list(range(printed[0], 1_500))
        assert 100 < printed[0] <= 300


async def test_tail_of_an_empty_room_prints_nothing(tmp_path: Path) -> None:
    async with running_server() as server:
        assert await run("tail", server.url, "--room", "dev", home=tmp_path) == Outcome(0, "", "")
        assert await run("tail", server.url, "-n", "0", "--json", home=tmp_path) == Outcome(0, "", "")


async def test_json_lines_contain_the_posts(tmp_path: Path) -> None:
    texts = ["one", 'two "quoted" \\ and\nover two lines', "né 😀 \u2028", "<script>"]
    async with room_with(*texts) as server:
        outcome = await run(
            "tail",
            server.url,
            "--json",
            home=tmp_path,
            env={"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
        )
        assert (outcome.status, outcome.err) == (0, "")
        lines = outcome.out.rstrip("\n").split("\n")
        found = [json.loads(line) for line in lines]
        kept = await server._engine.read("lobby", limit=10)
        assert [(line["message"], line["sender"], line["id"], line["room"]) for line in found] == [
            (post.text, post.sender, str(post.position), "lobby") for post in posts_of(kept)
        ]
        assert [line["type"] for line in found] == ["message"] * len(texts)


async def test_characters_outside_the_encoding_are_escaped(tmp_path: Path) -> None:
    async with room_with("né 😀", "after") as server:
        outcome = await run(
            "tail", server.url, home=tmp_path, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
        )
        assert (outcome.status, outcome.err) == (0, "")
        assert [line[-5:] for line in outcome.out.splitlines()][-1] == "after"


async def test_tail_sanitizes_hostile_text(tmp_path: Path) -> None:
    """Append to the log directly, without sanitizing."""
    engine = MemoryEngine()
    async with running_server(limits=UNLIMITED, engine=engine) as server:
        from datetime import UTC, datetime

        from broadcast_tui.core.post import NewPost

        await engine.append([NewPost("lobby", "eve\x1b[2J\nboss", HOSTILE, datetime.now(UTC))])
        outcome = await run("tail", server.url, home=tmp_path)
        assert outcome.status == 0
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", outcome.out + outcome.err)
        first, *further = outcome.out.splitlines()
        assert re.match(r"\d\d:\d\d eve", first)
        assert further
        assert all(line.startswith("    ") for line in further), "no line can pose as a post"


async def test_follow_continues_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    async with (
        running_server(limits=UNLIMITED, engine=SqliteEngine(path)) as first,
        running_proxy(first.port) as proxy,
        command(
            *("tail", f"ws://127.0.0.1:{proxy.port}", "--follow", "--json", "--last", "3"), home=tmp_path
        ) as tail,
    ):
        async with v1_client(first.url, "ana") as ana:
            await say_all(ana, *(str(number) for number in range(5)))
            assert json.loads(await tail.line())["type"] == "message"
            seen = [json.loads(tail.out)["message"]]
            while seen[-1] != "4":
                seen.append(json.loads(await tail.line())["message"])
        await in_time(first.stop_server(deadline_s=1.0))
        async with running_server(limits=UNLIMITED, engine=SqliteEngine(path)) as second:
            async with v1_client(second.url, "ana") as ana:
                await say_all(ana, *(str(number) for number in range(5, 205)))
                proxy.target_port = second.port
                while seen[-1] != "204":
                    seen.append(json.loads(await tail.line())["message"])
                await say_all(ana, "live")
                seen.append(json.loads(await tail.line())["message"])
            assert seen == [*(str(number) for number in range(int(seen[0]), 205)), "live"]
            tail.process.send_signal(signal.SIGINT)
            outcome = await tail.ended()
            assert (outcome.status, outcome.err) == (130, "")


async def test_lost_posts_are_reported_on_standard_error(tmp_path: Path) -> None:
    async with (
        running_server(limits=UNLIMITED) as first,
        running_proxy(first.port) as proxy,
        command("tail", f"ws://127.0.0.1:{proxy.port}", "--follow", "--json", home=tmp_path) as tail,
    ):
        async with v1_client(first.url, "ana") as ana:
            await eventually(lambda: first.connection_count == 2)
            await say_all(ana, "before")
            assert json.loads(await tail.line())["message"] == "before"
        await in_time(first.stop_server(deadline_s=1.0))
        async with room_with("after") as second:
            proxy.target_port = second.port
            await tail.log_line(r"^broadcast-tui: .*missing here \(epoch\)")
            assert json.loads(await tail.line())["message"] == "after"


@pytest.mark.parametrize("options", [(), ("--json",), ("--follow",)], ids=["text", "json", "follow"])
async def test_closed_output_pipe_is_not_an_error(tmp_path: Path, options: tuple[str, ...]) -> None:
    async with room_with(*(f"{number} " + "x" * 2_000 for number in range(300))) as server:
        async with asyncio.timeout(START_S):
            process = await asyncio.create_subprocess_exec(
                *("bash", "-c", '"$@" | head -1; echo "${PIPESTATUS[0]}"', "bash", sys.executable, "-m"),
                *("broadcast_tui", "tail", server.url, "--last", "300", *options),
                cwd=ROOT,
                env={**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await process.communicate()
        assert err == b""
        line, status = out.decode().splitlines()
        assert "0 x" in line
        assert status == "0"


async def test_tail_exits_when_its_idle_output_is_closed(tmp_path: Path) -> None:
    read, written = os.pipe()
    async with (
        room_with("one") as server,
        command("tail", server.url, "--follow", home=tmp_path, stdout=written) as tail,
    ):
        os.close(written)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(START_S):
            assert b"one" in await loop.run_in_executor(None, os.read, read, 1000)
            os.close(read)
            assert await tail.process.wait() == 0
        assert tail.process.stderr is not None
        assert await tail.process.stderr.read() == b""


async def test_signal_ends_tail(tmp_path: Path) -> None:
    async with room_with("one") as server, command("tail", server.url, "-f", home=tmp_path) as tail:
        await tail.line()
        tail.process.send_signal(signal.SIGINT)
        outcome = await tail.ended()
        assert (outcome.status, outcome.err) == (130, "")
        await eventually(lambda: server.connection_count == 0)


# -- both


async def test_nobody_sees_send_and_tail_come_and_go(tmp_path: Path) -> None:
    async with running_server() as server, plain_client(server.url) as plain:
        async with command("tail", server.url, "--follow", home=tmp_path) as tail:
            await eventually(lambda: server.connection_count == 2)
            sent = await run("send", "--url", server.url, "--name", "ci", "--wait", "done", home=tmp_path)
            assert sent.status == 0
            assert (await tail.line()).endswith("ci: done")
            tail.process.send_signal(signal.SIGINT)
            await tail.ended()
        await eventually(lambda: server.connection_count == 1)
        await plain.say("over")
        frames = await plain.until(message="over")
        assert [(frame["type"], frame["message"]) for frame in frames] == [
            ("message", "done"),
            ("message", "over"),
        ]


async def test_tail_prints_what_send_sends(tmp_path: Path) -> None:
    async with (
        running_server() as server,
        command("tail", server.url, "--follow", "--json", home=tmp_path) as tail,
    ):
        await eventually(lambda: server.connection_count == 1)
        given = b"make: entering\nmake: done\n"
        assert (
            await run("send", "--url", server.url, "--name", "ci", home=tmp_path, given=given)
        ).status == 0
        lines: list[dict[str, Any]] = [json.loads(await tail.line()) for _ in range(2)]
        assert [(line["sender"], line["message"]) for line in lines] == [
            ("ci", "make: entering"),
            ("ci", "make: done"),
        ]


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("send", "send('hi', url={url!r}, wait=True)"),
        ("tail", "tail({url!r}, last=1)"),
    ],
)
async def test_send_and_tail_do_not_import_textual(tmp_path: Path, module: str, call: str) -> None:
    async with running_server() as server:
        script = (
            f"import sys; from broadcast_tui.cli.{module} import {module}\n"
            f"assert {call.format(url=server.url)} == 0\n"
            "print([name for name in ('textual', 'broadcast_tui.tui', 'broadcast_tui.server', 'sqlite3')"
            " if name in sys.modules])"
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script),
            cwd=ROOT,
            env={**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(START_S):
            out, err = await process.communicate()
        assert err == b""
        assert out.decode().splitlines()[-1] == "[]"
