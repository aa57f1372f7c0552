"""Limits of a session on what a server sends, and events that it ignores."""

from __future__ import annotations

import math

import pytest

from broadcast_tui.core.protocol import events
from broadcast_tui.core.protocol.codec import encode
from broadcast_tui.core.session import updates as up
from broadcast_tui.core.session.bounds import (
    DELAY_MAX_S,
    LINE_CHARS,
    LIST_MAX,
    NAME_CHARS,
    NAMES_MAX,
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
