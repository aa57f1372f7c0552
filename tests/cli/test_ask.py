"""`broadcast-tui ask`: the exit status that the answers lead to, and what is printed on the way."""

from __future__ import annotations

import pytest

from broadcast_tui.cli.ask import new_answers, result
from broadcast_tui.cli.errors import ExitCode
from broadcast_tui.core.post_state import NO_STATE, Ask, PostState, Votes

AT = "2026-01-01T00:00:00.000+00:00"
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


def test_only_new_answers_are_printed() -> None:
    before, after = state("a", ""), state("b", "a")
    assert list(new_answers(NO_STATE, before)) == [("a", "yes")]
    assert list(new_answers(before, before)) == []
    assert list(new_answers(before, after)) == [("b", "yes"), ("a", "no")]
