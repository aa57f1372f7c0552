"""Standard streams that are closed, full or not read."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.cli.program import Outcome, Program, program
from tests.support.plain import plain_client
from tests.support.running import in_time, running_server

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs a shell and signals"),
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full"),
]
SERVE = ("serve", "--host", "127.0.0.1", "--port", "0", "--history", "memory")


def shell(redirection: str) -> tuple[str, ...]:
    return ("sh", "-c", f'exec "$0" "$@" {redirection}')


async def url_of(server: Program, redirection: str) -> str:
    """The URL of a server, read from the stream that is open."""
    if "2>&-" in redirection:
        return f"ws://127.0.0.1:{await server.port()}"
    return (await server.log_line(r"listening on (\S+)"))[1]


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "2>&-", "<&-", "<&- >&-", "| true"])
async def test_server_runs_with_closed_or_full_streams(tmp_path: Path, redirection: str) -> None:
    before = shell(redirection)
    if redirection == "| true":  # a pipe that nobody reads from the start, and the server as our own child
        before = (sys.executable, "-c", UNREAD)
    async with program(*SERVE, home=tmp_path, before=before) as server:
        async with plain_client(await url_of(server, redirection)) as ana:
            await ana.say("still here", sender="ana")
            assert (await ana.next_of(type="message"))["message"] == "still here"
        outcome = await server.stop(signal.SIGTERM)
        assert outcome.status == 0
        assert "Traceback" not in outcome.err
        assert "Assertion" not in outcome.err


UNREAD = """
import os, sys
read, write = os.pipe()
os.dup2(write, 1)
os.close(read)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("words", [("config",), ("--help",), ("tail",), ("export", "--url")], ids=" ".join)
async def test_full_output_is_reported_with_status_1(tmp_path: Path, words: tuple[str, ...]) -> None:
    async with running_server() as server:
        await server.broadcast_to_all({"type": "message", "message": "hello", "sender": "ana"})
        url = (server.url,) if words[0] in ("tail", "export") else ()
        async with program(*words, *url, home=tmp_path, before=shell(">/dev/full")) as full:
            outcome = await in_time(full.ended())
        reason = "broadcast-tui: Cannot write to standard output: No space left on device.\n"
        assert outcome == Outcome(1, "", reason)


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
async def test_tail_runs_with_closed_streams(tmp_path: Path, redirection: str) -> None:
    async with running_server() as server:
        await server.broadcast_to_all({"type": "message", "message": "hello", "sender": "ana"})
        async with program("tail", server.url, home=tmp_path, before=shell(redirection)) as tail:
            outcome = await in_time(tail.ended())
        assert (outcome.status, outcome.err) == (0, "")
        assert ("hello" in outcome.out) == (">&-" not in redirection.replace("2>&-", ""))
