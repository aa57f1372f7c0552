from __future__ import annotations

from datetime import timedelta

import pytest

from broadcast_tui.core.export.pages import HistoryPages
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NoteKind, PostState
from broadcast_tui.core.session.updates import (
    ConnectionChanged,
    ConnectionState,
    EpochChanged,
    HistoryFetched,
    NoteArrived,
    Noticed,
    RoomEntered,
    RoomLeft,
    Welcomed,
)
from tests.support.exports import AT, note, post

WELCOMED = Welcomed("", "n1", ("lobby",), 0)


def page(ref: str, *posts: Post, more: bool = True, start: int = 0) -> HistoryFetched:
    first = Position("e", start) if start else (posts[0].position if posts else None)
    return HistoryFetched("lobby", ref, posts, more, first)


def reading(**limits: object) -> HistoryPages:
    pages = HistoryPages("lobby", **limits)  # type: ignore[arg-type]
    assert (pages.before, pages.delay_s) == ("", 0.0)
    pages.requested("r1")
    return pages


def texts(pages: HistoryPages) -> list[str]:
    return [each.text for each in pages.posts()]


def test_pages_are_read_back_to_the_first_one() -> None:
    pages = reading()
    assert pages.delay_s is None
    assert pages.apply(page("r1", post(8, "c"), post(9, "d")))
    assert (pages.before, pages.is_finished) == ("e-8", False)
    pages.requested("r2")
    assert pages.apply(page("r2", start=5))  # notes only
    pages.requested("r3")
    assert pages.apply(page("r3", post(1, "a"), post(2, "b"), more=False))
    assert pages.is_complete
    assert texts(pages) == ["a", "b", "c", "d"]
    assert pages.count == 4


def test_an_empty_room_has_no_posts() -> None:
    pages = reading()
    assert pages.apply(page("r1", more=False))
    assert pages.is_complete
    assert pages.posts() == []


@pytest.mark.parametrize(
    ("entered", "posts", "is_unknown"),
    [
        (RoomEntered("lobby", 0, 0), (), True),
        (RoomEntered("lobby", 1, 0), (), False),
        (RoomEntered("lobby", 0, 0, topic="Soon"), (), False),
        (RoomEntered("lobby", 0, 0), (post(1, "a"),), False),
        (RoomEntered("dev", 0, 0), (), False),
    ],
)
def test_a_room_without_people_messages_and_topic_is_unknown(
    entered: RoomEntered, posts: tuple[Post, ...], is_unknown: bool
) -> None:
    pages = reading(since=AT + timedelta(days=1))
    pages.apply(entered)
    pages.apply(page("r1", *posts, more=False))
    assert pages.is_complete
    assert (pages.is_unknown_room, pages.count) == (is_unknown, 0)


def test_limits_in_time_end_the_reading() -> None:
    pages = reading(since=AT + timedelta(minutes=2), until=AT + timedelta(minutes=4))
    assert pages.apply(page("r1", post(7, "d", minutes=3), post(8, "e", minutes=4)))
    assert not pages.is_complete
    pages.requested("r2")
    assert pages.apply(page("r2", post(5, "b", minutes=1), post(6, "c", minutes=2)))
    assert pages.is_complete
    assert texts(pages) == ["c", "d"]


def test_other_answers_are_not_ours() -> None:
    pages = reading()
    assert not pages.apply(page("r2", post(1, "a")))
    assert not pages.apply(page("", post(1, "a")))
    assert not pages.apply(Noticed("no", True, "x", "r2"))
    assert pages.count == 0


def test_notes_that_arrive_meanwhile_are_applied() -> None:
    pages = reading()
    pages.apply(page("r1", post(8, "old")))
    after = Post("lobby", Position("e", 8), "", "new", AT, state=PostState(edited="t"))
    assert not pages.apply(NoteArrived(note(9, NoteKind.EDIT, 8, after=after), True, False))
    assert not pages.apply(NoteArrived(note(10, NoteKind.EDIT, 3, after=after), True, False))
    assert texts(pages) == ["new"]
    assert [each.position.seq for each in pages.notes()] == [9]


def test_notes_of_pages_are_kept_for_their_posts() -> None:
    pages = reading(since=AT)
    found = (note(9, NoteKind.EDIT, 8), note(10, NoteKind.PIN, 2))
    pages.apply(HistoryFetched("lobby", "r1", (post(8, "x"),), False, Position("e", 8), found))
    assert [each.position.seq for each in pages.notes()] == [9]


def test_a_rejected_request_is_repeated_when_the_server_allows_it() -> None:
    pages = reading()
    assert pages.apply(Noticed("Slow down.", True, "rate_limited", "r1", 0.5))
    assert (pages.delay_s, pages.is_finished) == (0.5, False)
    pages.requested("r2")
    assert pages.apply(Noticed("No such post.", True, "bad_position", "r2"))
    assert pages.error == "No such post."
    assert not pages.apply(page("r2", post(1, "a")))


def test_a_lost_connection_is_resumed() -> None:
    pages = reading()
    pages.apply(page("r1", post(8, "b")))
    pages.requested("r2")
    assert pages.apply(Noticed("Connection lost; please try again.", True, "", "r2"))
    pages.apply(ConnectionChanged(ConnectionState.WAITING, "gone", 1.0))
    assert (pages.delay_s, pages.is_finished) == (None, False)
    pages.apply(WELCOMED)
    assert (pages.before, pages.delay_s) == ("e-8", 0.0)
    pages.requested("r3")
    pages.apply(WELCOMED)
    assert pages.delay_s is None
    pages.apply(page("r3", post(1, "a"), more=False))
    assert texts(pages) == ["a", "b"]


def test_reading_ends_with_the_connection_or_the_room() -> None:
    refused, left = reading(), reading()
    refused.apply(ConnectionChanged(ConnectionState.REFUSED, "banned"))
    assert refused.error == "banned"
    left.apply(RoomLeft("dev"))
    assert not left.is_finished
    left.apply(RoomLeft("lobby"))
    assert left.is_finished


def test_a_server_that_goes_in_circles_is_an_error() -> None:
    pages = reading()
    pages.apply(page("r1", post(8, "b")))
    pages.requested("r2")
    pages.apply(page("r2", post(8, "b")))
    assert pages.error


def test_a_fork_drops_what_is_lost() -> None:
    pages = reading()
    pages.apply(
        HistoryFetched(
            "lobby",
            "r1",
            (post(5, "a", state=PostState(folded=9)), post(8, "b")),
            True,
            Position("e", 5),
            (note(6, NoteKind.PIN, 5), note(9, NoteKind.EDIT, 5)),
        )
    )
    pages.apply(EpochChanged("lobby", "e", "f", 7))
    assert [(str(each.position), each.text, each.state.folded) for each in pages.posts()] == [("f-5", "a", 7)]
    assert [str(each.position) for each in pages.notes()] == ["f-6"]
    assert pages.before == "f-5"
    pages.apply(EpochChanged("lobby", "other", "g", 1))
    assert pages.before == "f-5"
    pages.apply(EpochChanged("lobby", "f", "g", 3))
    assert (pages.before, pages.count) == ("", 0)
