"""`doctor` and terminals: environment, answers, tmux."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping

import pytest
from rich.cells import cell_len

from broadcast_tui.cli.diagnosis import Check, Status
from broadcast_tui.cli.diagnosis.terminal import (
    SAMPLES,
    check_answers,
    check_environment,
    check_multiplexer,
    tmux_option,
)
from broadcast_tui.tui.terminal.query import FOCUS_EVENTS, SAFE_PASTE, SYNCHRONIZED_OUTPUT, TerminalAnswers

GOOD = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
WIDTHS = {sample: cell_len(sample) for sample in SAMPLES}


def by_id(checks: Iterable[Check]) -> dict[str, Check]:
    found = list(checks)
    assert all(check.advice for check in found if check.status is Status.WARNING)
    assert len({check.id for check in found}) == len(found)
    return {check.id: check for check in found}


@pytest.mark.parametrize(
    ("environment", "size", "encoding", "id", "status", "text"),
    [
        (GOOD, (80, 24), "UTF-8", "terminal", Status.OK, "xterm-256color"),
        (GOOD, (80, 24), "UTF-8", "size", Status.OK, "80 columns, 24 rows"),
        (GOOD, (39, 24), "utf8", "size", Status.WARNING, "39 columns"),
        (GOOD, (80, 9), "utf8", "size", Status.WARNING, "9 rows"),
        (GOOD, (80, 24), "UTF-8", "colors", Status.OK, "16 million"),
        ({"TERM": "xterm-256color"}, (80, 24), "UTF-8", "colors", Status.WARNING, "256"),
        ({"TERM": "xterm"}, (80, 24), "UTF-8", "colors", Status.WARNING, "16 colors"),
        (GOOD | {"NO_COLOR": "1"}, (80, 24), "UTF-8", "colors", Status.SKIPPED, "NO_COLOR"),
        ({"TERM": "dumb"}, (80, 24), "UTF-8", "terminal", Status.WARNING, "dumb"),
        ({}, (80, 24), "UTF-8", "terminal", Status.WARNING, "not set"),
        ({}, None, "UTF-8", "terminal", Status.SKIPPED, "no terminal"),
        (GOOD, (80, 24), "ANSI_X3.4-1968", "locale", Status.WARNING, "not UTF-8"),
        (GOOD, (80, 24), "no such encoding", "locale", Status.WARNING, "not UTF-8"),
        (GOOD, (80, 24), "utf-8", "locale", Status.OK, "utf-8"),
    ],
)
def test_environment(
    environment: Mapping[str, str],
    size: tuple[int, int] | None,
    encoding: str,
    id: str,
    status: Status,
    text: str,
) -> None:
    check = by_id(check_environment(environment, size, encoding))[id]
    assert (check.status, text in check.text) == (status, True)


def test_a_good_terminal() -> None:
    modes = {SYNCHRONIZED_OUTPUT: True, FOCUS_EVENTS: True, SAFE_PASTE: True}
    answers = TerminalAnswers(True, modes, True, frozenset({52}), WIDTHS)
    found = by_id(check_answers(answers, {}))
    assert set(found) == {"widths", "sync", "focus", "paste", "keyboard", "clipboard"}
    assert {check.status for check in found.values()} == {Status.OK}


def test_a_terminal_without_abilities() -> None:
    answers = TerminalAnswers(True, {FOCUS_EVENTS: False}, widths=WIDTHS | {"\U0001f44d": 1})
    found = by_id(check_answers(answers, {}))
    assert (found["widths"].status, "emoji" in found["widths"].text) == (Status.WARNING, True)
    assert found["focus"].status is Status.WARNING
    assert "synchronized output, bracketed paste" in found["modes"].text
    assert "doctor --keys" in found["keyboard"].advice
    assert found["clipboard"].status is Status.SKIPPED


def test_a_terminal_that_does_not_answer() -> None:
    assert list(by_id(check_answers(TerminalAnswers(), {}))) == ["answers"]
    assert by_id(check_answers(TerminalAnswers(True), {}))["widths"].status is Status.SKIPPED


TMUX = {"TMUX": "/tmp/tmux-0/default,1,0"}


@pytest.mark.parametrize(
    ("option", "value", "status", "advice"),
    [
        ("escape-time", "500", Status.WARNING, "tmux set -s escape-time 10"),
        ("escape-time", "10", Status.OK, ""),
        ("focus-events", "off", Status.WARNING, "tmux set -g focus-events on"),
        ("focus-events", "on", Status.OK, ""),
        ("set-clipboard", "off", Status.WARNING, "tmux set -s set-clipboard on"),
        ("set-clipboard", "external", Status.OK, ""),
        ("allow-passthrough", "off", Status.WARNING, "tmux set -g allow-passthrough on"),
        ("allow-passthrough", "all", Status.OK, ""),
    ],
)
def test_tmux(option: str, value: str, status: Status, advice: str) -> None:
    [check] = check_multiplexer(TMUX, lambda name: value if name == option else "")
    assert (check.status, advice in check.advice, "tmux" in check.text) == (status, True, True)


def test_tmux_with_few_colors() -> None:
    [check] = check_multiplexer(TMUX, lambda name: "" if name else "clipboard,title")
    assert (check.id, check.status) == ("tmux-colors", Status.WARNING)
    assert not list(check_multiplexer(TMUX, lambda name: "" if name else "RGB,title"))


def test_screen_and_a_tmux_elsewhere() -> None:
    assert [check.id for check in check_multiplexer({"STY": "1.pts"}, lambda _: "on")] == ["screen"]
    [check] = check_multiplexer({"TERM": "tmux-256color"}, lambda _: "on")
    assert check.status is Status.SKIPPED
    assert not list(check_multiplexer(GOOD, lambda _: "on"))


def test_a_tmux_that_hangs_or_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("tmux", 2)

    monkeypatch.setattr(subprocess, "run", hang)
    assert tmux_option("escape-time") == ""
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "/nonexistent")
    assert tmux_option("escape-time") == ""
