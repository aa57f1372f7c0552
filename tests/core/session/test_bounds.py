"""Limits of a session on what a server sends, and events that it ignores."""

from __future__ import annotations

import math

import pytest

from broadcast_tui.core.post_state import Ask, Deletion, NoteKind, Votes
from broadcast_tui.core.protocol import events
from broadcast_tui.core.protocol.codec import encode
from broadcast_tui.core.session import updates as up
from broadcast_tui.core.session.bounds import (
    DELAY_MAX_S,
    KEYS_MAX,
    LINE_CHARS,
    LIST_MAX,
    NAME_CHARS,
    NAMES_MAX,
    VOTER_NAMES_MAX,
    bounded,
    bounded_delay_s,
)
from tests.support.hub_pair import User, World

AT = "2026-01-01T00:00:00+00:00"
LONG = "x" * 100_000


def receive(user: User, *frames: events.Event) -> list[up.Update]:
    """The updates that the frames cause."""
    before = len(user.updates)
    for frame in frames:
        user.session.receive(encode(frame), user.world.when)
    user.collect()
    return user.updates[before:]


def online(*rooms: tuple[str, int]) -> User:
    return World().user("ana", *rooms)


def test_an_event_within_the_limits_is_the_same_object() -> None:
    message = events.Message("hello", "ana", AT, "e1-1", "lobby", "n")
    assert bounded(message) is message
    joined = events.System("join", "2 joined", AT, "lobby", names=("ana", "bob"), online=2)
    assert bounded(joined) is joined


def test_names_and_lines_are_cut_but_posts_are_not() -> None:
    message = bounded(events.Message(LONG, LONG, AT, "e1-1", LONG, LONG))
    assert [len(part) for part in (message.message, message.sender, message.room, message.nonce)] == [
        100_000,
        NAME_CHARS,
        NAME_CHARS,
        NAME_CHARS,
    ]
    system = bounded(events.System("join", LONG, AT, names=(LONG,) * 100_000, reason=LONG))
    assert len(system.names) == NAMES_MAX
    assert {len(name) for name in system.names} == {NAME_CHARS}
    assert len(system.message) == len(system.reason) == LINE_CHARS


def test_lists_are_cut_and_say_so() -> None:
    members = bounded(events.Presence("r", "lobby", 9, (events.MemberInfo(LONG, 1, LONG),) * 5_000, False))
    assert len(members.members) == LIST_MAX
    assert members.truncated
    assert len(members.members[0].name) == NAME_CHARS
    assert len(members.members[0].away or "") == LINE_CHARS
    rooms = bounded(events.RoomList("r", (events.RoomInfo("a", 1, LONG),) * 5_000, False))
    assert len(rooms.rooms) == LIST_MAX
    assert rooms.truncated
    page = bounded(
        events.History("r", "lobby", (events.Message("hi", LONG, AT, "e1-1", "lobby"),) * 5_000, True)
    )
    assert len(page.items) == LIST_MAX
    assert isinstance(page.items[0], events.Message)
    assert len(page.items[0].sender) == NAME_CHARS
    assert len(bounded(events.Moderated("r", "kick", "bob", 9, (LONG,) * 5_000)).addresses) == 100


def test_everything_about_notes_is_cut_but_the_text_of_an_edit() -> None:
    votes = {f"{number}{LONG}": Votes(9, (LONG,) * 5_000) for number in range(200)}
    ask = Ask((LONG,) * 500, AT, 9, (LONG,) * 5_000)
    message = bounded(
        events.Message(
            "hi",
            "ana",
            AT,
            "e1-1",
            "lobby",
            re=LONG,
            deleted=Deletion(LONG, LONG, LONG),
            reactions=votes,
            ask=ask,
            tally=votes,
            waiting=(LONG,) * 5_000,
        )
    )
    assert len(message.re) == NAME_CHARS
    assert message.deleted is not None
    assert [len(part) for part in (message.deleted.by, message.deleted.at, message.deleted.reason)] == [
        NAME_CHARS,
        NAME_CHARS,
        LINE_CHARS,
    ]
    for by_choice in (message.reactions, message.tally):
        assert len(by_choice) == KEYS_MAX
        assert {len(key) for key in by_choice} == {NAME_CHARS}
        assert {len(each.names) for each in by_choice.values()} == {VOTER_NAMES_MAX}
    assert message.ask is not None
    assert (len(message.ask.choices), len(message.ask.to)) == (KEYS_MAX, LIST_MAX)
    assert {len(name) for name in (*message.ask.choices, *message.ask.to)} == {NAME_CHARS}
    assert len(message.waiting) == VOTER_NAMES_MAX
    state = events.NoteState(message=LONG, edited=LONG, tally=votes)
    note = bounded(events.Note(LONG, "lobby", NoteKind.EDIT, LONG, LONG, LONG, state, LONG))
    assert {len(part) for part in (note.id, note.re, note.by, note.timestamp, note.nonce)} == {NAME_CHARS}
    assert note.now is not None
    assert (len(note.now.message), len(note.now.edited), len(note.now.tally)) == (
        100_000,
        NAME_CHARS,
        KEYS_MAX,
    )
    direct = bounded(events.Direct(LONG, LONG, LONG, True, LONG))
    assert (len(direct.room), len(direct.other), len(direct.note)) == (NAME_CHARS, NAME_CHARS, LINE_CHARS)


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        (None, 1.0),
        (2.5, 2.5),
        (-1.0, 0.1),
        (math.nan, 0.1),
        (1e308, DELAY_MAX_S),
        (math.inf, DELAY_MAX_S),
        (-math.inf, 0.1),
    ],
)
def test_a_delay_is_neither_negative_nor_endless(asked: float | None, used: float) -> None:
    assert bounded_delay_s(asked) == used


def test_rooms_that_were_not_requested_are_ignored() -> None:
    ana = online()
    message = events.Message("hi", "eve", AT, "e1-9", "other")
    received = receive(
        ana,
        *(events.Joined("", f"room {n}", "e1-0", True, 0, 1) for n in range(100)),
        events.Joined("", "lobby", "e1-0", True, 0, 1),
        message,
        events.Synced("other", "e1-0"),
        events.Gap("other", "e1-1", "e1-4", "epoch"),
        events.Topic("other", "hello", "eve"),
        events.Typing("other", "eve"),
        events.Left("", "other"),
        events.System("join", "eve joined", AT, "other", "eve", online=2),
        events.System("join", "eve joined", AT, "", "eve", online=2),
    )
    assert received == []
    assert list(ana.session.cursors) == ["lobby"]


def test_a_welcome_enters_only_the_rooms_that_were_requested_and_only_once() -> None:
    ana = online()
    limits = events.LimitsInfo(0, 0.0, 0, 200, 32)
    rooms = tuple(events.RoomState(f"room {n}", "e1-0", True, 0, 1) for n in range(LIST_MAX - 1))
    welcome = events.Welcome(
        "eve", "n1", AT, 25.0, limits, (*rooms, events.RoomState("lobby", "e1-0", True, 0, 1))
    )
    assert receive(ana, welcome) == []
    ana.cut()
    ana.session.connected()
    received = receive(ana, welcome)
    assert [update.room for update in received if isinstance(update, up.RoomEntered)] == ["lobby"]
    assert [update.rooms for update in received if isinstance(update, up.Welcomed)] == [("lobby",)]


def test_answers_without_a_request_are_ignored() -> None:
    ana = online()
    message = events.Message("hi", "eve", AT, "e1-9", "lobby")
    assert (
        receive(
            ana,
            events.History("r999", "lobby", (message,), True),
            events.Found("r999", "lobby", (message,), True),
            events.Presence("", "lobby", 1, (), False),
            events.RoomList("", (), False),
            events.Renamed("", "eve"),
            events.Moderated("", "ban", "bob"),
            events.BanList("", (), False),
        )
        == []
    )
    assert ana.session.name == "ana"
    (notice,) = receive(ana, events.Error("internal", "no", ref="r999"))
    assert notice == up.Noticed("no", True, "internal")
