"""Presence: people rather than connections, merged lines, and counts in large rooms."""

from __future__ import annotations

from broadcast_tui.core.hub.presence import PresenceLine, RoomPresence
from broadcast_tui.core.limits import Limits, SharedLimits


def room(**limits: float) -> RoomPresence:
    return RoomPresence(SharedLimits(Limits(**limits)))  # type: ignore[arg-type]


def texts(lines: list[PresenceLine]) -> list[str]:
    return [line.text for line in lines]


def test_person_on_two_terminals_is_counted_once() -> None:
    presence = room()
    presence.add("ana", "ana")
    presence.add("ana", "ana")
    assert presence.online == 1
    assert presence.members(10) == [("ana", 2)]
    assert texts(presence.flush(0.0)) == ["ana has joined the chat. 1 client(s) online."]
    presence.remove("ana", 1.0, grace=False)
    assert presence.online == 1
    assert presence.flush(1.0) == []


def test_reconnect_within_the_grace_period_is_silent() -> None:
    presence = room(leave_grace_s=5.0)
    presence.add("ana", "ana")
    presence.flush(0.0)
    presence.remove("ana", 10.0, grace=True)
    assert presence.online == 1
    presence.expire(14.9)
    presence.add("ana", "ana")
    presence.expire(99.0)
    assert presence.flush(99.0) == []
    assert presence.online == 1


def test_leave_is_announced_after_the_grace_period() -> None:
    presence = room(leave_grace_s=5.0)
    presence.add("ana", "ana")
    presence.flush(0.0)
    presence.remove("ana", 10.0, grace=True)
    presence.expire(14.9)
    assert presence.flush(14.9) == []
    presence.expire(15.0)
    assert texts(presence.flush(15.0)) == ["ana has left the chat. 0 client(s) online."]


def test_reason_is_announced_only_for_a_single_leave() -> None:
    presence = room(presence_burst=2, presence_rate=0.001)
    for name in ("ana", "bob", "eve"):
        presence.add(name, name)
    presence.flush(0.0)
    presence.remove("bob", 1.0, grace=False, reason="lunch")
    (line,) = presence.flush(1.0)
    assert (line.text, line.reason) == ("bob has left the chat: lunch. 2 client(s) online.", "lunch")
    presence.remove("ana", 2.0, grace=False, reason="tea")
    presence.remove("eve", 2.0, grace=False)
    (line,) = presence.flush(9_999.0)
    assert (line.text, line.reason) == ("ana and eve have left the chat. 0 client(s) online.", "")


def test_joins_of_one_moment_are_one_line() -> None:
    presence = room(presence_burst=1, presence_rate=1.0)
    presence.add("x", "x")
    assert len(presence.flush(0.0)) == 1
    for name in ("ana", "bob", "cy", "di", "eve"):
        presence.add(name, name)
        assert presence.flush(0.1) == []
    (line,) = presence.flush(2.0)
    assert line.text == "ana, bob and 3 others have joined the chat. 6 client(s) online."
    assert line.names == ("ana", "bob", "cy", "di", "eve")


def test_join_and_leave_between_two_flushes_cancel_out() -> None:
    presence = room(presence_burst=1, presence_rate=1.0)
    presence.add("x", "x")
    presence.flush(0.0)
    presence.add("ana", "ana")
    presence.remove("ana", 0.1, grace=False)
    assert presence.flush(5.0) == []


def test_unnamed_clients_are_announced_without_names() -> None:
    presence = room()
    presence.add("\0001", "")
    assert texts(presence.flush(0.0)) == ["A new client has joined the chat. 1 client(s) online."]
    presence.add("\0002", "")
    presence.add("\0003", "")
    assert texts(presence.flush(0.0)) == ["2 new clients have joined the chat. 3 client(s) online."]
    presence.add("ana", "ana")
    presence.add("\0004", "")
    assert texts(presence.flush(0.0)) == ["ana and 1 other have joined the chat. 5 client(s) online."]
    presence.remove("\0001", 0.0, grace=False)
    assert texts(presence.flush(0.0)) == ["A client has left the chat. 4 client(s) online."]
    assert presence.members(10) == [("ana", 1)]


def test_large_room_gets_only_counts_once_a_second() -> None:
    presence = room(presence_detail_max=10)
    for number in range(50):
        presence.add(f"p{number}", f"p{number}")
    (line,) = presence.flush(0.0)
    assert (line.event, line.names, line.online) == ("online", (), 50)
    presence.add("late", "late")
    assert presence.flush(0.5) == []
    assert [line.online for line in presence.flush(1.0)] == [51]


def test_number_of_join_lines_depends_on_time_not_on_people() -> None:
    presence = room()
    lines = 0
    for number in range(5_000):
        presence.add(f"p{number}", f"p{number}")
        lines += len(presence.flush(number / 2_500))
    assert lines <= 10 + 5 * 2 + 3


def test_rename_keeps_the_member() -> None:
    presence = room()
    presence.add("ana", "ana")
    presence.flush(0.0)
    assert presence.rekey("ana", "zoe", "zoe")
    assert presence.flush(0.0) == []
    assert presence.members(5) == [("zoe", 1)]
    assert presence.rekey("zoe", "zoe", "Zoe")
    assert presence.members(5) == [("Zoe", 1)]


def test_rename_in_one_of_two_terminals_makes_two_people() -> None:
    presence = room()
    presence.add("ana", "ana")
    presence.add("ana", "ana")
    presence.flush(0.0)
    assert not presence.rekey("ana", "zoe", "zoe")
    assert presence.members(5) == [("ana", 1), ("zoe", 1)]


def test_name_set_before_the_join_is_announced_is_used() -> None:
    presence = room(presence_burst=1, presence_rate=1.0)
    presence.add("x", "x")
    presence.flush(0.0)
    presence.add("\0001", "")
    presence.rekey("\0001", "bob", "bob")
    assert texts(presence.flush(2.0)) == ["bob has joined the chat. 2 client(s) online."]


def test_reason_of_a_canceled_leave_is_not_used_later() -> None:
    presence = room(leave_grace_s=5.0)
    presence.add("ana", "ana")
    presence.flush(0.0)
    presence.remove("ana", 1.0, grace=False, reason="lunch")
    presence.add("ana", "ana")
    assert presence.flush(1.0) == []
    presence.remove("ana", 2.0, grace=True)
    presence.expire(9.0)
    (line,) = presence.flush(9.0)
    assert (line.text, line.reason) == ("ana has left the chat. 0 client(s) online.", "")


def test_leave_of_a_member_known_from_a_rename_is_announced() -> None:
    presence = room()
    presence.add("ana", "ana")
    presence.add("ana", "ana")
    presence.flush(0.0)
    presence.rekey("ana", "zoe", "zoe")
    presence.remove("zoe", 1.0, grace=False)
    assert texts(presence.flush(1.0)) == ["zoe has left the chat. 1 client(s) online."]


def test_return_of_a_member_gone_since_a_rename_is_announced() -> None:
    presence = room()
    presence.add("ana", "ana")
    presence.add("zoe", "zoe")
    presence.flush(0.0)
    presence.rekey("ana", "zoe", "zoe")
    presence.add("ana", "ana")
    assert texts(presence.flush(1.0)) == ["ana has joined the chat. 2 client(s) online."]


def test_no_leave_is_announced_of_a_name_that_another_member_took() -> None:
    presence = room(presence_burst=1, presence_rate=0.001)
    presence.add("ana", "ana")
    presence.add("zoe", "zoe")
    presence.flush(0.0)
    presence.remove("zoe", 1.0, grace=False)
    assert presence.flush(1.0) == []
    presence.rekey("ana", "zoe", "zoe")
    assert presence.flush(9_999.0) == []


def test_join_is_announced_with_the_newest_spelling_of_a_name() -> None:
    presence = room()
    presence.add("ana", "ana")
    presence.rekey("ana", "ana", "Ana")
    assert texts(presence.flush(0.0)) == ["Ana has joined the chat. 1 client(s) online."]


def test_return_before_the_leave_was_announced_is_reported_once() -> None:
    presence = room()
    presence.add("ana", "ana")
    presence.flush(0.0)
    assert not presence.take_return("ana")
    presence.remove("ana", 1.0, grace=False)
    presence.add("ana", "ana")
    assert presence.take_return("ana")
    assert not presence.take_return("ana")
