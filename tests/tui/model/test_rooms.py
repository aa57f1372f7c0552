from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.protocol import events
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.rooms import (
    RoomListing,
    adjacent_room,
    find_room,
    most_urgent,
    rank_rooms,
    room_by_number,
    room_lines,
)
from tests.support.fake_client import room_list

ROOMS = ["lobby", "dev", "dev-ops", "random", "ops"]


def room(name: str, unread: int = 0, mentions: int = 0, *, muted: bool = False) -> RoomModel:
    view = RoomModel(name, level=NotifyLevel.OFF if muted else NotifyLevel.MENTIONS)
    view.reading.count, view.reading.mentions = unread, mentions
    return view


def test_stepping_through_rooms_wraps_around() -> None:
    assert adjacent_room(ROOMS, "ops", 1) == "lobby"
    assert adjacent_room(ROOMS, "lobby", -1) == "ops"
    assert adjacent_room(["lobby"], "lobby", 1) == "lobby"


def test_room_numbers_start_at_one() -> None:
    assert [room_by_number(ROOMS, number) for number in (0, 1, 5, 6)] == [None, "lobby", "ops", None]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", ROOMS),
        ("dev", ["dev", "dev-ops"]),
        ("ops", ["ops", "dev-ops"]),
        ("o", ["ops", "dev-ops", "lobby", "random"]),
        ("do", ["dev-ops", "random"]),
        ("#DEV", ["dev", "dev-ops"]),
        ("dvo", ["dev-ops"]),
        ("x", []),
        ("lobbyy", []),
    ],
)
def test_rooms_are_ranked_by_quality_of_match(typed: str, found: list[str]) -> None:
    assert rank_rooms(typed, ROOMS) == found


@given(st.text("abc-", max_size=4), st.lists(st.text("abc-", min_size=1, max_size=8), unique=True))
def test_match_requires_the_letters_in_order(typed: str, names: list[str]) -> None:
    def has(name: str) -> bool:
        letters = iter(name)
        return all(letter in letters for letter in typed)

    assert sorted(rank_rooms(typed, names)) == sorted(filter(has, names))


def test_a_room_is_chosen_by_its_name_number_or_letters() -> None:
    assert find_room("dev", ROOMS) == "dev"
    assert find_room("2", ROOMS) == "dev"
    assert find_room("ran", ROOMS) == "random"
    assert find_room("9", ROOMS) is None
    assert find_room("99999999999", ROOMS) is None
    assert find_room("xyz", ROOMS) is None
    assert find_room("2", ["lobby", "dev", "2"]) == "2"


def name_of(room: RoomModel | None) -> str:
    return "" if room is None else room.name


def test_mentions_are_more_urgent_than_other_posts_and_muted_rooms_are_not() -> None:
    assert name_of(most_urgent([room("a", 5), room("b", 2, 1)])) == "b"
    assert name_of(most_urgent([room("a"), room("b", 5, muted=True), room("c", 1)])) == "c"
    assert name_of(most_urgent([room("b", 5, 1, muted=True), room("c", 1)])) == "b"
    assert most_urgent([room("a")]) is None


def test_room_list_is_sorted_by_members_and_shows_topics() -> None:
    lines = room_lines(room_list("r", (("dev", 2, "x\x1b[31m"), ("lobby", 12, "")), False), ["lobby"])
    assert lines[0].startswith("2 rooms")
    assert lines[1] == "* #lobby    12"
    assert lines[2].startswith("  #dev       2  x")
    assert "\x1b" not in lines[2]


def page(ref: str, first: int, count: int, truncated: bool = True) -> events.RoomList:
    """A page of the room list with `count` rooms from r`first` on."""
    return room_list(ref, tuple((f"r{n:05}", 1, "") for n in range(first, first + count)), truncated)


def test_a_room_list_is_collected_from_pages() -> None:
    listing = RoomListing()
    assert listing.add(page("a", 0, 3)) == "r00002"
    listing.expect("b")
    assert listing.add(page("b", 3, 3)) == "r00005"
    listing.expect("c")
    assert listing.add(page("c", 6, 1, truncated=False)) == ""
    assert list(listing.rooms) == [f"r{n:05}" for n in range(7)]
    assert listing.add(page("d", 1, 1, truncated=False)) == ""
    assert list(listing.rooms) == ["r00001"], "a new list"


def test_a_room_list_ends_after_ten_pages_and_with_a_server_without_pages() -> None:
    listing = RoomListing()
    ref = "p"
    count = 0
    while listing.add(page(ref, 500 * count, 500)):
        count += 1
        ref = f"p{count}"
        listing.expect(ref)
    assert len(listing.rooms) == 5_000
    assert listing.add(page("a", 0, 3)) == "r00002"
    listing.expect("b")
    assert listing.add(page("b", 0, 3)) == "", "the same page again"
    assert len(listing.rooms) == 3
    assert listing.add(page("c", 0, 0)) == ""


def test_a_truncated_list_says_so() -> None:
    rooms = tuple((f"r{n:03}", 1, "") for n in range(100))
    assert room_lines(room_list("r", rooms, False), [])[-1] == "… and 40 more"
    assert room_lines(room_list("r", rooms[:3], True), [])[-1] == "… and more"
