"""The index of rooms: names, bounds, and rooms that are forgotten without using a seq twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.engine.room_index import FORGET_AFTER_S, STARTS_MAX, RoomIndex

ROOMS = ("a", "b", "c", "d")
LATER = FORGET_AFTER_S + 1.0


def trimmed(index: RoomIndex, room: str, last: int, now: float = 0.0) -> None:
    """A room whose posts up to `last` have all been deleted."""
    index.set_bounds(room, 1, last, now)
    index.set_bounds(room, last + 1, last, now)


def test_rooms_with_posts_or_a_topic_are_listed_in_order() -> None:
    index = RoomIndex()
    index.set_bounds("b", 1, 3, 0.0)
    index.set_topic("c", "Tea", 0.0)
    index.set_topic("a", "Tea", 0.0)
    assert list(index.names()) == ["a", "b", "c"]
    index.set_topic("a", "", 0.0)
    index.set_bounds("b", 4, 3, 0.0)
    assert list(index.names()) == ["c"]
    index.set_topic("b", "Coffee", 0.0)
    assert list(index.names()) == ["b", "c"]


def test_only_rooms_that_have_been_empty_for_a_while_are_forgotten() -> None:
    index = RoomIndex()
    index.set_bounds("posts", 1, 3, 0.0)
    index.set_topic("topic", "Tea", 0.0)
    trimmed(index, "old", 3)
    trimmed(index, "people", 3)
    trimmed(index, "young", 3, now=2.0)
    index.open_rooms = {"people"}
    assert index.forget(FORGET_AFTER_S - 1.0, 10) == []
    assert index.forget(LATER, 10) == ["old"]
    assert [room in index for room in ("posts", "topic", "old", "young", "people")] == [1, 1, 0, 1, 1]
    index.open_rooms = ()
    assert index.forget(LATER + 2.0, 10) == ["people", "young"]
    assert len(index) == 2


def test_a_forgotten_room_starts_above_its_old_seqs() -> None:
    index = RoomIndex()
    trimmed(index, "a", 50)
    index.forget(LATER, 10)
    assert (index.floor, index.first_seq("a"), index.last_seq("a")) == (64, 65, 64)
    trimmed(index, "b", 60)
    index.forget(2 * LATER, 10)
    assert index.floor == 64, "the floor rises in powers of two"


def test_rooms_that_people_are_in_keep_their_start_when_the_floor_rises() -> None:
    index = RoomIndex()
    index.open_rooms = {"quiet"}
    trimmed(index, "a", 50)
    index.forget(LATER, 10)
    assert (index.last_seq("quiet"), index.last_seq("new")) == (0, 64)
    index.open_rooms = {"quiet", "new"}
    trimmed(index, "a", 99)
    index.forget(2 * LATER, 10)
    assert (index.last_seq("quiet"), index.last_seq("new"), index.last_seq("other")) == (0, 64, 128)
    index.set_bounds("quiet", 1, 1, LATER)
    assert index.last_seq("quiet") == 1


def test_rooms_keep_their_start_while_a_post_is_being_stored() -> None:
    index = RoomIndex()
    trimmed(index, "known", 5)
    trimmed(index, "other", 50)
    assert index.start_change("known", LATER) == 5
    assert index.start_change("unknown", LATER) == 0
    assert index.forget(LATER, 10) == ["other"]
    assert (index.last_seq("known"), index.last_seq("unknown"), index.last_seq("new")) == (5, 0, 64)
    index.set_bounds("unknown", 1, 1, LATER)
    trimmed(index, "unknown", 1, LATER)
    assert index.forget(2 * LATER, 10) == ["known", "unknown"]
    assert index.last_seq("unknown") == 64, "its start is no longer valid"


def test_the_number_of_stored_starts_is_bounded() -> None:
    index = RoomIndex()
    index.open_rooms = {"people"}
    for number in range(STARTS_MAX + 1):
        index.start_change(f"room{number}", 0.0)
    trimmed(index, "old", 50)
    index.forget(LATER, 10)
    assert index._starts == {"people": 0}


def test_many_rooms_are_forgotten_some_at_a_time() -> None:
    index = RoomIndex()
    index.load([(f"room{number}", 8, 7, "") for number in range(1_000)] + [("lobby", 1, 7, "")], 0)
    assert list(index.names()) == ["lobby"]
    assert [len(index.forget(0.0, 300)) for _ in range(5)] == [300, 300, 300, 100, 0]
    assert (len(index), index.floor) == (1, 8)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("post", "trim", "topic", "clear", "enter", "leave", "wait")),
            st.sampled_from(ROOMS),
        ),
        max_size=80,
    )
)
def test_no_seq_is_used_twice_and_people_see_no_jumps(steps: list[tuple[str, str]]) -> None:
    index = RoomIndex()
    people: dict[str, int] = {}
    index.open_rooms = people
    used: dict[str, int] = {}
    now = 0.0
    for step, room in steps:
        if step == "post":
            seq = index.last_seq(room) + 1
            assert seq > used.get(room, 0)
            if room in people:
                assert seq == people[room] + 1
                people[room] = seq
            used[room] = seq
            first = index.first_seq(room)
            index.set_bounds(room, min(first, seq), seq, now)
        elif step == "trim" and room in index:
            index.set_bounds(room, index.last_seq(room) + 1, index.last_seq(room), now)
        elif step in ("topic", "clear"):
            index.set_topic(room, "Tea" if step == "topic" else "", now)
        elif step == "enter":
            people.setdefault(room, index.last_seq(room))
        elif step == "leave":
            people.pop(room, None)
        elif step == "wait":
            now += LATER
            index.forget(now, 10)
        with_posts = {
            name for name in ROOMS if name in index and index.first_seq(name) <= index.last_seq(name)
        }
        assert list(index.names()) == sorted(with_posts | {name for name in ROOMS if index.topic(name)})
