"""Log formatters escape control characters in any record."""

from __future__ import annotations

import json
import logging
import re
import signal
import sys
from pathlib import Path

import pytest

from broadcast_tui.cli.logs import FIELDS, JsonFormatter, LineFormatter
from tests.cli.program import ROOT, program, run

KEYS = {"time", "level", "logger", "message"}
HOSTILE = "a\x1b]0;x\x07b\x9b\u202e\u2028c\nd"


def record(text: str, *, fault: bool = False) -> logging.LogRecord:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        error = sys.exc_info() if fault else None
    return logging.LogRecord("broadcast_tui.x", logging.INFO, "", 0, "%s", (text,), error)


@pytest.mark.parametrize("fault", [False, True])
def test_text_record_has_no_control_characters(fault: bool) -> None:
    first, *rest = LineFormatter().format(record(HOSTILE, fault=fault)).split("\n")
    assert first.endswith(r"a\x1b]0;x\x07b\x9b\u202e\u2028c\nd") or r"c\x0ad" in first
    assert bool(rest) == fault
    for line in (first, *rest):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202e\u2028]", line)


@pytest.mark.parametrize("fault", [False, True])
def test_json_record_is_one_line_without_control_characters(fault: bool) -> None:
    line = JsonFormatter().format(record(HOSTILE, fault=fault))
    assert line.isascii()
    assert line.isprintable()
    entry = json.loads(line)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e\u2028]", entry["message"])
    assert ("traceback" in entry) == fault


def made_with(extra: dict[str, object]) -> logging.LogRecord:
    return logging.getLogger("x").makeRecord("x", logging.INFO, "", 0, "text", (), None, extra=extra)


def fields_of(**extra: object) -> dict[str, object]:
    """The keys of a JSON line that come from `extra`."""
    entry = json.loads(JsonFormatter().format(made_with(extra)))
    return {key: value for key, value in entry.items() if key not in KEYS}


def test_fields_are_keys_of_json_without_secrets_and_control_characters() -> None:
    assert fields_of(event="connected", user="zoë", count=0, seconds=1.5) == {
        "event": "connected",
        "user": "zoë",
        "count": 0,
        "seconds": 1.5,
    }
    assert fields_of(user="", room=None, websocket=object(), token="bt_secret") == {}
    assert fields_of(reason="bt_abcdefghijklmnop") == {"reason": "bt_…"}
    (hostile,) = fields_of(user=HOSTILE).values()
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e\u2028]", str(hostile))


def test_text_does_not_contain_fields() -> None:
    assert LineFormatter().format(made_with({"user": "ana"})).endswith(" INFO    text")


async def test_log_of_a_server_can_be_filtered_by_fields(tmp_path: Path) -> None:
    words = ("--host", "127.0.0.1", "--port", "0", "--history", "memory", "--log-format", "json")
    async with program("serve", *words, home=tmp_path) as server:
        url = f"ws://127.0.0.1:{await server.port()}"
        for room in ("ops", "dev"):
            sent = await run(
                "send", "--url", url, "--room", room, "--name", "ci", "--wait", "x", home=tmp_path
            )
            assert (sent.status, sent.err) == (0, "")
        outcome = await server.stop(signal.SIGTERM)
    lines = [json.loads(line) for line in outcome.err.splitlines()]
    (posted,) = [line for line in lines if line.get("event") == "posted" and line["room"] == "ops"]
    assert (posted["user"], posted["address"], posted["count"]) == ("ci", "127.0.0.1", 1)
    assert posted["message"] == f"broadcast {posted['id']} from ci in ops to 1 client(s)"
    assert all("event" in line for line in lines)


def test_documented_fields_are_those_that_are_logged() -> None:
    page = (ROOT / "docs" / "server.md").read_text("utf-8")
    table = page.partition("| Key | Meaning |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(FIELDS)
