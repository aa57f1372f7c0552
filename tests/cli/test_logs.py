"""Log formatters escape control characters in any record."""

from __future__ import annotations

import json
import logging
import re
import sys

import pytest

from broadcast_tui.cli.logs import JsonFormatter, LineFormatter

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
