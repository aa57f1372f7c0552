"""`broadcast-tui ask`: the exit status that the answers lead to, and what is printed on the way."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from broadcast_tui.cli.ask import new_answers, result
from broadcast_tui.cli.errors import ExitCode
from broadcast_tui.client import BroadcastClient
from broadcast_tui.core.notes import NewNote
from broadcast_tui.core.post_state import NO_STATE, Ask, NoteKind, PostState, Votes
from broadcast_tui.core.session.updates import PostArrived
from broadcast_tui.engine.memory import NoHistoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from tests.cli.program import ROOT, Outcome, Program, program, run
from tests.support.entries import posts_of, texts_of
from tests.support.running import in_time, running_server

AT = "2026-01-01T00:00:00.000+00:00"
ABSENT = "broadcast-tui: None of them is in #lobby at the moment."
OPEN, OK, OTHER, TIMED_OUT = None, ExitCode.OK, ExitCode.OTHER_CHOICE, ExitCode.TIMED_OUT


def state(yes: str, no: str, *, closed: bool = False) -> PostState:
    """The state of a question with these voters, one letter each."""
    tally = {choice: Votes(len(names), tuple(names)) for choice, names in (("yes", yes), ("no", no)) if names}
    return PostState(tally=tally, closed=AT if closed else "")


@pytest.mark.parametrize(
    ("yes", "no", "closed", "all_status", "any_status"),
    [
        ("", "", False, OPEN, OPEN),
        ("a", "", False, OPEN, OK),
        ("ab", "", False, OK, OK),
        ("", "a", False, OTHER, OPEN),
        ("b", "a", False, OTHER, OK),
        ("", "ab", False, OTHER, OTHER),
        ("", "", True, TIMED_OUT, TIMED_OUT),
        ("a", "", True, TIMED_OUT, OK),
        ("", "a", True, OTHER, TIMED_OUT),
        ("ab", "", True, OK, OK),
    ],
)
def test_answers_determine_the_exit_status(
    yes: str, no: str, closed: bool, all_status: ExitCode | None, any_status: ExitCode | None
) -> None:
    question = Ask(("yes", "no"), AT, 2, ("a", "b"))
    answers = state(yes, no, closed=closed)
    assert result(question, answers, any_one=False) is all_status
    assert result(question, answers, any_one=True) is any_status


def test_a_question_to_nobody_is_not_answered_by_nobody() -> None:
    question = Ask(("yes", "no"), AT, 0)
    assert result(question, NO_STATE, any_one=False) is None
    assert result(question, state("", "", closed=True), any_one=False) is TIMED_OUT
    assert result(question, state("a", ""), any_one=False) is OK
    assert result(question, state("", "a"), any_one=False) is OTHER
    assert result(question, state("", "a"), any_one=True) is OPEN


def test_only_new_answers_are_printed() -> None:
    before, after = state("a", ""), state("b", "a")
    assert list(new_answers(NO_STATE, before)) == [("a", "yes")]
    assert list(new_answers(before, before)) == []
    assert list(new_answers(before, after)) == [("b", "yes"), ("a", "no")]


# -- the program


@asynccontextmanager
async def asking(*words: str, home: Path) -> AsyncIterator[Program]:
    """`broadcast-tui ask`, without a terminal."""
    async with program("ask", *words, home=home) as running:
        yield running


@asynccontextmanager
async def answering(url: str, name: str, *choices: str) -> AsyncIterator[BroadcastClient]:
    """A person in the lobby who answers the first question, with one choice after the other."""
    async with BroadcastClient(url, name=name, last=0) as client:
        task = asyncio.create_task(_answer(client, choices))
        try:
            yield client
            await in_time(task)
        finally:
            task.cancel()


async def _answer(client: BroadcastClient, choices: tuple[str, ...]) -> None:
    async for update in client.listen():
        if isinstance(update, PostArrived) and update.post.state.ask is not None:
            for choice in choices:
                await client.answer("lobby", str(update.post.position), choice)
            return


def asked(outcome: Outcome, people: str, wait: str = "5 min") -> tuple[int, str, list[str]]:
    """Status and output of the program, and its other lines on standard error."""
    first, *others = outcome.err.splitlines()
    assert first == f"broadcast-tui: Asked {people} in #lobby; waiting for {wait}."
    return outcome.status, outcome.out, others


async def test_everyone_agrees(tmp_path: Path) -> None:
    async with running_server() as server, answering(server.url, "ana", "yes"):
        words = ("--url", server.url, "--name", "ci", "--to", "ana, ken", "Deploy", "1.5?")
        async with asking(*words, home=tmp_path) as running:
            assert await running.line() == "ana: yes"
            async with answering_late(server.url, "ken", "yes"):
                assert asked(await running.ended(), "ana, ken") == (0, "ana: yes\nken: yes\n", [])
        (question,) = texts_of(await server._engine.read("lobby", limit=9))
        assert question == "Deploy 1.5?"


@asynccontextmanager
async def answering_late(url: str, name: str, choice: str) -> AsyncIterator[None]:
    """A person who finds the question when entering, and answers it."""
    async with BroadcastClient(url, name=name, last=9) as client:
        await in_time(_answer(client, (choice,)))
        yield


async def test_another_choice_ends_the_wait(tmp_path: Path) -> None:
    async with running_server() as server, answering(server.url, "ana", "no"):
        outcome = await run("ask", "--url", server.url, "--to", "ana,ken", "Deploy?", home=tmp_path)
        assert asked(outcome, "ana, ken") == (5, "ana: no\n", [])


async def test_the_people_in_the_room_are_asked_by_default(tmp_path: Path) -> None:
    async with running_server() as server, answering(server.url, "zoë", "red"):
        words = ("--choice", "red", "--choice", "blue")
        outcome = await run("ask", "--url", server.url, *words, "Which?", home=tmp_path)
        assert asked(outcome, "zoë") == (0, "zoë: red\n", [])


async def test_an_empty_room_is_reported_at_once_and_the_first_answer_decides(tmp_path: Path) -> None:
    async with running_server() as server, asking("--url", server.url, "Deploy?", home=tmp_path) as running:
        await running.log_line(
            r"\Abroadcast-tui: Nobody who can answer is in #lobby; waiting for 5 min\. "
            r"The first answer decides\.\n"
        )
        async with answering_late(server.url, "ana", "yes"):
            assert await running.ended() == Outcome(0, "ana: yes\n", running.err)


@pytest.mark.parametrize(
    ("names", "note"), [("ana", "broadcast-tui: ana is not in #lobby at the moment."), ("ana,ken", ABSENT)]
)
async def test_absent_people_are_reported_at_once(tmp_path: Path, names: str, note: str) -> None:
    async with (
        running_server() as server,
        BroadcastClient(server.url, name="zoë"),
        asking("--url", server.url, "--to", names, "Deploy?", home=tmp_path) as running,
    ):
        await running.log_line(f"^{note}$")


async def test_one_person_decides_with_any(tmp_path: Path) -> None:
    async with running_server() as server, answering(server.url, "ana", "no", "yes"):
        words = ("--any", "--to", "ana,ken", "Deploy?")
        outcome = await run("ask", "--url", server.url, *words, home=tmp_path)
        assert asked(outcome, "ana, ken")[0] == 0
        assert outcome.out.endswith("ana: yes\n")


async def test_time_runs_out(tmp_path: Path) -> None:
    async with running_server() as server, answering(server.url, "ana", "yes"):
        words = ("--timeout", "2s", "--to", "ana,ken", "Deploy?")
        outcome = await run("ask", "--url", server.url, *words, home=tmp_path)
        expected = ["broadcast-tui: Time is up. No answer from ken."]
        assert asked(outcome, "ana, ken", "2 s") == (6, "ana: yes\n", expected)


async def test_lines_of_json(tmp_path: Path) -> None:
    async with running_server() as server, answering(server.url, "ana", "yes"):
        outcome = await run("ask", "--json", "--url", server.url, "--to", "ana", "Deploy?", home=tmp_path)
        question, answer, last = map(json.loads, outcome.out.splitlines())
        (post,) = posts_of(await server._engine.read("lobby", limit=9))
    assert (question["type"], question["id"], question["room"]) == ("question", str(post.position), "lobby")
    assert (question["choices"], question["to"], question["of"]) == (["yes", "no"], ["ana"], 1)
    assert answer == {"type": "answer", "name": "ana", "choice": "yes"}
    tally = {"yes": {"count": 1, "names": ["ana"]}}
    assert last == {"type": "result", "status": 0, "tally": tally, "waiting": []}


async def test_a_deleted_question_is_refused(tmp_path: Path) -> None:
    async with running_server() as server:
        async with asking("--url", server.url, "--name", "ci", "--to", "ana", "?", home=tmp_path) as running:
            await running.log_line("Asked ana")
            (post,) = posts_of(await server._engine.read("lobby", limit=9))
            deletion = NewNote(
                "lobby", post.position.seq, NoteKind.DELETE, "boss", post.at, is_admin=True, text="no"
            )
            await server._engine.append([deletion])
            assert await running.ended() == Outcome(3, "", running.err)
        assert "boss deleted the question." in running.err


async def test_ctrl_c_stops_the_wait(tmp_path: Path) -> None:
    async with running_server() as server:
        async with asking("--url", server.url, "--to", "ana", "Deploy?", home=tmp_path) as running:
            await running.log_line("Asked ana")
            assert (await running.stop(signal.SIGINT)).status == 130
        assert "Traceback" not in running.err


async def test_the_wait_survives_a_restart_of_the_server(tmp_path: Path) -> None:
    path, home = tmp_path / "history.db", tmp_path / "home"
    home.mkdir()
    async with AsyncExitStack() as stack:
        async with running_server(engine=SqliteEngine(path)) as server:
            words = ("--url", server.url, "--to", "ana,ken", "Deploy?")
            running = await stack.enter_async_context(asking(*words, home=home))
            await running.log_line(f"Asked ana, ken.*\n{ABSENT}")
            async with answering_late(server.url, "ana", "yes"):
                assert await running.line() == "ana: yes"
        again = running_server(port=server.port, engine=SqliteEngine(path))
        async with again, answering_late(server.url, "ken", "yes"):
            assert asked(await running.ended(), "ana, ken") == (0, "ana: yes\nken: yes\n", [ABSENT])


async def test_a_server_that_lost_the_question_is_reported(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        async with running_server() as server:
            words = ("--url", server.url, "--to", "ana", "Deploy?")
            running = await stack.enter_async_context(asking(*words, home=tmp_path))
            await running.log_line("Asked ana")
        async with running_server(port=server.port):
            outcome = await running.ended()
        assert outcome.status == 4
        assert outcome.err.endswith("broadcast-tui: The server no longer has the question.\n")


async def test_a_server_that_stores_nothing_cannot_count_answers(tmp_path: Path) -> None:
    async with running_server(engine=NoHistoryEngine()) as server:
        outcome = await run("ask", "--url", server.url, "--to", "ana", "Deploy?", home=tmp_path)
        assert outcome.status == 3
        expected = "broadcast-tui: This server does not store messages, so it cannot count answers.\n"
        assert outcome.err.endswith(expected)


async def test_a_server_that_is_gone_at_the_end_is_reported(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        async with running_server() as server:
            words = ("--url", server.url, "--to", "ana", "--timeout", "1s", "Deploy?")
            running = await stack.enter_async_context(asking(*words, home=tmp_path))
            await running.log_line("Asked ana")
        outcome = await running.ended()
        assert outcome.status == 4
        assert outcome.err.endswith("broadcast-tui: No connection to the server.\n")


async def test_the_documented_recipe(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "automation.md").read_text("utf-8")
    (recipe,) = re.findall(r"```sh\n(broadcast-tui ask .*?)```", page, re.DOTALL)
    for choice, printed in (("yes", "deployed\n"), ("no", "Somebody chose no.\n")):
        async with running_server() as server:
            script = recipe.replace("--room ops --to ana,ken", f"--url {server.url} --to ana")
            script = script.replace("broadcast-tui", f"{sys.executable} -m broadcast_tui")
            async with answering(server.url, "ana", choice):
                process = await asyncio.create_subprocess_exec(
                    *("sh", "-c", script.replace("./deploy", "echo deployed")),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    cwd=ROOT,
                    env=Program.environment(tmp_path),
                )
                out, _ = await in_time(process.communicate())
            assert out.decode() == f"ana: {choice}\n{printed}"
