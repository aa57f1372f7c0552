"""New epochs of a room in the commands for scripts."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest

from broadcast_tui.cli import tail
from broadcast_tui.cli.ask import _Asker
from broadcast_tui.cli.errors import ExitCode
from broadcast_tui.client import BroadcastClient
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import Ask, PostState, Votes
from broadcast_tui.core.protocol.commands import Question
from broadcast_tui.core.session.updates import (
    EpochChanged,
    HistoryFetched,
    PostArrived,
    PostDelivered,
    Withdrawn,
)
from tests.support.fake_client import AT, FakeClient

ASK = Ask(("yes", "no"), "2026-11-28T12:05:00.000Z", 2, ("bob", "eve"))


def test_tail_reports_lost_posts(capsys: pytest.CaptureFixture[str]) -> None:
    first = PostArrived(Post("lobby", Position("e1", 1), "bob", "hi", AT), True, False)
    again = PostArrived(Post("lobby", Position("e2", 1), "bob", "hi", AT), True, False)
    change, lost = EpochChanged("lobby", "e1", "e2", 0), Withdrawn("lobby", Position("e2", 1), 1)
    assert tail._print([first, change, lost, again], as_json=False) == ExitCode.OK
    out, err = capsys.readouterr()
    assert [line[6:] for line in out.splitlines()] == ["bob: hi", "bob: hi"]
    assert err == "broadcast-tui: The server has lost the last 1 post(s).\n"


@pytest.fixture
def asker() -> _Asker:
    """An asker whose question has the id `e1-3`."""
    client = cast("BroadcastClient", FakeClient())
    asker = _Asker(client, "lobby", Question(("yes", "no"), 60.0), any_one=False, as_json=False)
    asker._nonce = "n"
    assert asker._process(PostDelivered("lobby", "n", "e1-3", AT)) is None
    return asker


def question(position: Position, votes: dict[str, Votes], folded: int = 0) -> Post:
    return Post("lobby", position, "ana", "Deploy?", AT, state=PostState(folded=folded, ask=ASK, tally=votes))


def test_ask_goes_on_in_a_new_epoch(asker: _Asker, capsys: pytest.CaptureFixture[str]) -> None:
    yes = {"yes": Votes(1, ("bob",))}
    assert asker._process(PostArrived(question(Position("e1", 3), yes, 5), True, True)) is None
    assert asker._process(EpochChanged("lobby", "e1", "e2", 4)) is None
    both = {"yes": Votes(2, ("bob", "eve"))}
    page = HistoryFetched("lobby", asker._read_ref, (question(Position("e2", 3), both, 5),), False)
    assert asker._process(page) is ExitCode.OK
    assert capsys.readouterr().out.splitlines() == ["bob: yes", "eve: yes"]


def test_ask_before_its_question_arrives(asker: _Asker) -> None:
    assert asker._process(EpochChanged("lobby", "e1", "e2", 4)) is None
    arrived = msgspec.structs.replace(question(Position("e2", 3), {}), nonce="n")
    assert asker._process(PostArrived(arrived, True, True)) is None
    assert asker._position == Position("e2", 3)


def test_ask_ends_if_its_question_is_lost(asker: _Asker, capsys: pytest.CaptureFixture[str]) -> None:
    assert asker._process(EpochChanged("lobby", "e1", "e2", 2)) == ExitCode.UNREACHABLE
    assert "no longer has the question" in capsys.readouterr().err


def test_changes_before_the_question_is_stored(asker: _Asker) -> None:
    asker._position = None
    assert asker._process(EpochChanged("lobby", "e1", "e2", 2)) is None
