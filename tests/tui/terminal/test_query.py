"""Questions to a terminal, with terminals that answer all, some or none of them."""

from __future__ import annotations

import re

import pytest

from broadcast_tui.tui.terminal.query import (
    FOCUS_EVENTS,
    SAFE_PASTE,
    SYNCHRONIZED_OUTPUT,
    TerminalAnswers,
    ask_terminal,
)

SAMPLES = ("ab", "\u6f22", "x")


class FakeTerminal:
    """Answers with the first text whose question is in what was written; records all that was written."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.written = ""

    def exchange(self, text: str, end: re.Pattern[str]) -> str:
        self.written += text
        return next((answer for question, answer in self.answers.items() if question in text), "")


def test_a_terminal_that_answers_everything() -> None:
    terminal = FakeTerminal(
        {
            "\x1b[c": "\x1b[?2026;2$y\x1b[?1004;0$y\x1b[?2004;1$y\x1b[?0u\x1b[?62;22;52c",
            "ab": "\x1b[7;3R",
            "\u6f22": "\x1b[7;2R",
            "x": "\x1b[7;2R",
        }
    )
    assert ask_terminal(terminal.exchange, SAMPLES) == TerminalAnswers(
        True,
        {SYNCHRONIZED_OUTPUT: True, FOCUS_EVENTS: False, SAFE_PASTE: True},
        True,
        frozenset({62, 22, 52}),
        {"ab": 2, "\u6f22": 1, "x": 1},
    )
    assert terminal.written.endswith("\r\x1b[K")


def test_a_terminal_that_knows_only_its_attributes() -> None:
    terminal = FakeTerminal({"\x1b[c": "typed\x1b[?1;2c"})
    answers = ask_terminal(terminal.exchange, SAMPLES)
    assert answers == TerminalAnswers(True, attributes=frozenset({1, 2}))
    assert "\u6f22" not in terminal.written, "it is asked no more after the first question without an answer"


@pytest.mark.parametrize("answer", ["", "\x1b[?", "\x1b[?2026;2$y", "hello"])
def test_a_terminal_that_does_not_answer(answer: str) -> None:
    terminal = FakeTerminal({"\x1b[c": answer})
    assert ask_terminal(terminal.exchange, SAMPLES) == TerminalAnswers()
