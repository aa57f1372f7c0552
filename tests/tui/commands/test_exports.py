"""/export: reads the history page by page, and writes a file."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broadcast_tui.core.export.formats import Format
from broadcast_tui.core.session.updates import ConnectionChanged, ConnectionState, HistoryFetched, Noticed
from broadcast_tui.tui.commands.exports import parse_request
from tests.support.chat_app import chatting
from tests.support.exports import post
from tests.support.fake_context import FakeContext

NOW = datetime(2025, 8, 30, 13, 0, tzinfo=UTC)


def last_ref(context: FakeContext) -> str:
    return f"n{context.client._count}"


def exporting(argument: str) -> FakeContext:
    context = FakeContext("ana")
    assert context.execute(f"/export {argument}")
    return context


def answer(context: FakeContext, *updates: object) -> None:
    context.receive(*updates)  # type: ignore[arg-type]
    context._dispatcher.follow()


def test_all_pages_are_written_to_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    context = exporting(str(file))
    assert context.output[-1] == "Reading the history of #lobby…"
    older, newer = post(3, "older"), post(7, "newer")
    answer(context, HistoryFetched("lobby", last_ref(context), (newer,), True, newer.position))
    answer(context, HistoryFetched("lobby", last_ref(context), (older,), False, older.position))
    assert context.client.called("fetch_history") == [("lobby", "", "200"), ("lobby", "e-7", "200")]
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [row.get("message") for row in rows] == [None, "older", "newer"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert context.output[-1] == f"Exported 2 messages to {file}"
    assert context.state.export is None
    assert not context.state.rooms.shown.transcript.chunks[0].senders.count("ana")


def test_a_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text("kept")
    context = FakeContext("ana")
    assert not context.execute(f"/export {file}")
    assert not context.execute(f"/export {tmp_path}/no/log.txt")
    assert not context.execute(f"/export {tmp_path}")
    assert context.warnings == [
        f"{file} already exists. Choose another name, or add --force.",
        f"No such directory: {tmp_path}/no.",
        f"{tmp_path} is a directory.",
    ]
    assert file.read_text() == "kept"
    assert context.execute(f"/export {file} --force")
    answer(context, HistoryFetched("lobby", last_ref(context), (post(1, "new"),), False, None))
    assert file.read_text("utf-8").startswith("#lobby\n0 messages.")


def test_an_export_needs_a_connection_and_runs_once(tmp_path: Path) -> None:
    context = FakeContext()
    assert not context.execute(f"/export {tmp_path}/a.txt")
    context.receive(ConnectionChanged(ConnectionState.ONLINE))
    assert context.execute(f"/export {tmp_path}/a.txt")
    assert not context.execute(f"/export {tmp_path}/b.txt")
    assert context.warnings == [
        "You are offline. Try again when you are connected.",
        "Another export is not finished yet.",
    ]


def test_a_rejected_request_ends_the_export(tmp_path: Path) -> None:
    context = exporting(f"{tmp_path}/a.txt")
    answer(context, Noticed("No\x1b history.", True, "bad_position", last_ref(context)))
    assert context.warnings == ["The history cannot be exported: No␛ history."]
    assert context.output[-1].startswith("Reading")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    context = exporting(str(file))
    file.write_text("somebody else's")
    answer(context, HistoryFetched("lobby", last_ref(context), (), False))
    assert context.output[-1] == f"{file} already exists"
    assert file.read_text() == "somebody else's"


def test_options_may_be_in_any_order(tmp_path: Path) -> None:
    found = parse_request("--md --since 2h my file.html --until '2025-08-30 12:30+00:00' --force", NOW)
    assert found.path == Path("my file.html")
    assert (found.wanted, found.force) == (Format.MARKDOWN, True)
    assert found.since == NOW - timedelta(hours=2)
    assert found.until == datetime(2025, 8, 30, 12, 30, tzinfo=UTC)
    assert parse_request("a--b.html", NOW).wanted is Format.HTML
    assert parse_request("~/x.md", NOW).path == Path.home() / "x.md"


@pytest.mark.parametrize(
    ("argument", "error"),
    [
        ("--md", "Specify a file: /export lobby.md"),
        ("a.md --pdf", "No such option: --pdf. /help export lists the options."),
        ("a.md --md --html", "Use only one of --text, --md, --jsonl and --html."),
        ("a.md --since soon", "--since: Invalid time: 'soon'. Use 14:00"),
        ("a.md --since 1h --until 2h", "--until is not after --since."),
    ],
)
def test_wrong_options_are_rejected(argument: str, error: str) -> None:
    with pytest.raises(ValueError, match=re.escape(error)):
        parse_request(argument, NOW)
    context = FakeContext("ana")
    assert not context.execute(f"/export {argument}")
    assert context.warnings[0].startswith(error)


async def test_the_result_is_printed_in_the_log(tmp_path: Path) -> None:
    async with chatting("ana", size=(120, 30)) as chat:
        await chat.enter(f"/export {tmp_path}/log.html")
        ref = f"n{chat.client._count}"
        await chat.deliver(HistoryFetched("lobby", ref, (post(1, "<b>"),), False, None))
        async with asyncio.timeout(30):
            while "Exported 0 messages" not in " ".join(chat.drawn("#log")):
                await chat.pilot.pause()
                await chat.settled()
        await chat.enter(f"/export {tmp_path}/log.html")
        assert "already exists" in chat.toasts
        assert chat.composer.text.startswith("/export")
