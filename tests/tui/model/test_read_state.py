from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.post import ROOM_BEGIN, Bookmark, Position, is_newer
from broadcast_tui.tui.model.read_state import Arrival, CatchUpSummary, OlderPost, ReadState
from broadcast_tui.tui.model.transcript.records import OlderPost as TranscriptPost
from broadcast_tui.tui.model.transcript.transcript import Transcript

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)


class Room:
    """A read state and its posts, used as the screen uses it."""

    def __init__(self, bookmark: Bookmark | None = None) -> None:
        self.transcript = Transcript(zone=UTC)
        self.reading = ReadState(self.transcript)
        self.seq = 0
        self.there = self.at_end = True
        if bookmark is not None:
            self.reading.resume(bookmark)

    def post(
        self, *, own: bool = False, mention: bool = False, live: bool = True, epoch: str = "k3f9"
    ) -> int:
        self.seq += 1
        line_id = self.transcript.add_post(
            "ana" if own else "bob", "hi", NOON, own=own, mention=mention, post_id=f"{epoch}-{self.seq}"
        )
        arrival = Arrival(line_id, Position(epoch, self.seq), own, mention, live)
        self.reading.arrived(arrival, there=self.there, at_end=self.at_end)
        return line_id

    def leave(self, minutes: float = 0) -> None:
        self.reading.left(NOON + timedelta(minutes=minutes))
        self.there = False

    def come_back(self, minutes: float = 0) -> CatchUpSummary | None:
        self.there = True
        absence = self.reading.returned(NOON + timedelta(minutes=minutes))
        if self.at_end:
            self.reading.seen()
        return absence

    def catch_up(self, minutes: float = 0) -> CatchUpSummary | None:
        absence = self.reading.caught_up(NOON + timedelta(minutes=minutes), there=self.there)
        if self.there and self.at_end:
            self.reading.seen()
        return absence

    @property
    def read_seq(self) -> int:
        mark = self.reading.bookmark(NOON)
        assert mark is not None
        return mark.position.seq


def read_room(posts: int = 3) -> Room:
    """A room without unread posts."""
    room = Room()
    for _ in range(posts):
        room.post(live=False)
    room.catch_up()
    return room


def test_viewed_posts_are_read_without_an_unread_line() -> None:
    room = read_room()
    room.post()
    assert (room.reading.count, room.transcript.unread_line_id, room.read_seq) == (0, None, 4)


def test_the_unread_line_is_above_the_first_post_after_leaving() -> None:
    room = read_room()
    room.leave()
    room.transcript.add_system("carl joined", NOON)
    first = room.post(mention=True)
    room.post()
    assert room.transcript.unread_line_id == room.reading.target_id == first
    assert (room.reading.count, room.reading.mentions, room.read_seq) == (2, 1, 3)


def test_the_unread_line_stays_until_leaving_again() -> None:
    room = read_room()
    room.leave()
    first = room.post()
    room.come_back()
    room.post()
    assert room.transcript.unread_line_id == room.reading.target_id == first
    assert (room.reading.count, room.reading.mentions, room.read_seq) == (0, 0, 5)
    room.leave()
    assert room.transcript.unread_line_id is None
    assert room.post() == room.transcript.unread_line_id


def test_leaving_before_everything_was_seen_keeps_the_line() -> None:
    room = read_room()
    room.leave()
    first = room.post()
    room.at_end = False
    room.come_back()
    room.leave()
    room.post()
    assert room.transcript.unread_line_id == first
    assert room.reading.count == 2


def test_scrolled_up_posts_are_unread_without_a_line() -> None:
    room = read_room()
    room.at_end = False
    first = room.post()
    assert (room.reading.count, room.reading.target_id, room.transcript.unread_line_id) == (1, first, None)
    assert room.read_seq == 3
    room.reading.seen()
    assert (room.reading.count, room.reading.target_id, room.read_seq) == (0, None, 4)


def test_own_posts_are_neither_unread_nor_below_a_line() -> None:
    room = read_room()
    room.leave()
    room.post(own=True)
    assert (room.reading.count, room.transcript.unread_line_id, room.read_seq) == (0, None, 4)
    room.post()
    room.post(own=True)
    assert (room.reading.count, room.read_seq) == (1, 4)


def test_the_unread_line_can_be_removed() -> None:
    room = read_room()
    room.leave()
    room.post()
    room.come_back()
    room.reading.drop_unread_line()
    assert (room.transcript.unread_line_id, room.reading.target_id) == (None, None)


def test_an_absence_counts_its_posts() -> None:
    room = read_room()
    room.leave(0)
    for number in range(6):
        room.post(mention=number % 3 == 0)
    absence = room.come_back(14)
    assert absence == CatchUpSummary("away", 840.0, 6, 2)
    assert absence.is_notable
    assert absence.line("Alt+U") == "away 14 min · 6 posts · 2 mention you · Alt+U"
    assert room.come_back(15) is None


@pytest.mark.parametrize(
    ("absence", "notable"),
    [
        (CatchUpSummary("away", 60, 5, 0), True),
        (CatchUpSummary("away", 59, 500, 3), False),
        (CatchUpSummary("away", 6000, 4, 3), False),
        (CatchUpSummary("offline", 2, 5, 0), True),
        (CatchUpSummary("offline", 2, 1, 1), True),
        (CatchUpSummary("offline", 9000, 4, 0), False),
        (CatchUpSummary("away", -5000, 50, 0), False),
    ],
)
def test_only_long_absences_with_many_posts_are_notable(absence: CatchUpSummary, notable: bool) -> None:
    assert absence.is_notable is notable


def test_the_line_of_an_absence_is_grammatical() -> None:
    assert (
        CatchUpSummary("offline", 20, 1, 1).line("Alt+U") == "offline 20 s · 1 post · 1 mentions you · Alt+U"
    )
    assert CatchUpSummary("away", 60, 1212, 0).line("F2") == "away 1 min · 1,212 posts · F2"


# Lost connections


def test_replayed_posts_are_below_the_unread_line_and_summarized_while_viewing() -> None:
    room = read_room()
    room.reading.disconnected(NOON)
    room.reading.entered(NOON, there=True)
    first = room.post(live=False, mention=True)
    for _ in range(5):
        room.post(live=False)
    assert room.catch_up(3) == CatchUpSummary("offline", 180.0, 6, 1)
    assert room.transcript.unread_line_id == first
    assert (room.reading.count, room.read_seq) == (0, 9)


def test_a_replay_takes_the_line_from_where_all_was_seen() -> None:
    room = read_room()
    room.leave()
    old = room.post()
    room.come_back()
    room.reading.disconnected(NOON)
    room.reading.entered(NOON, there=True)
    new = room.post(live=False)
    room.catch_up()
    assert room.transcript.unread_line_id == new != old


def test_a_replay_while_away_is_notable_on_return() -> None:
    room = read_room()
    room.leave(0)
    room.post()
    room.reading.disconnected(NOON)
    room.reading.entered(NOON, there=False)
    for _ in range(5):
        room.post(live=False)
    assert room.catch_up(3) is None
    assert room.come_back(5) == CatchUpSummary("away", 300.0, 6, 0)


def test_posts_that_are_lost_count_as_missed() -> None:
    room = read_room()
    for _ in range(2):
        room.reading.disconnected(NOON)
        room.reading.entered(NOON, there=True)
        room.reading.add_lost(4000)
        room.reading.add_lost(None)
        room.post(live=False)
        assert room.catch_up(3) == CatchUpSummary("offline", 180.0, 4001, 0)
    room.leave(3)
    room.reading.add_lost(7)
    room.post()
    assert room.come_back(4) == CatchUpSummary("away", 60.0, 8, 0)


def test_a_short_break_without_posts_is_nothing() -> None:
    room = read_room()
    room.reading.disconnected(NOON)
    room.reading.entered(NOON, there=True)
    absence = room.catch_up()
    assert absence is not None
    assert not absence.is_notable
    assert room.transcript.unread_line_id is None


# Bookmarks across runs


def test_the_backlog_of_a_first_visit_is_read() -> None:
    room = Room()
    room.post(live=False, mention=True)
    assert room.catch_up() is None
    assert (room.reading.count, room.transcript.unread_line_id, room.read_seq) == (0, None, 1)


def test_a_room_seen_empty_is_read_from_its_beginning() -> None:
    room = Room()
    room.catch_up()
    mark = room.reading.bookmark(NOON)
    assert mark == Bookmark(ROOM_BEGIN, NOON)
    later = Room(mark)
    first = later.post(live=False)
    assert later.transcript.unread_line_id == first


def test_posts_after_the_bookmark_are_unread() -> None:
    room = Room(Bookmark(Position("k3f9", 3), NOON - timedelta(hours=2)))
    ids = [room.post(live=False, mention=number == 0) for number in range(9)]
    assert room.catch_up() == CatchUpSummary("away", 7200.0, 6, 0)
    assert room.transcript.unread_line_id == ids[3]
    assert room.read_seq == 9


def test_posts_between_the_bookmark_and_the_backlog_count_as_well() -> None:
    room = Room(Bookmark(Position("k3f9", 3), NOON - timedelta(hours=2)))
    room.seq = 160
    for _ in range(50):
        room.post(live=False)
    absence = room.catch_up()
    assert absence is not None
    assert absence.posts == 207


def test_a_room_of_another_epoch_is_all_new() -> None:
    room = Room(Bookmark(Position("old", 300), NOON))
    first = room.post(live=False)
    assert room.catch_up(2) == CatchUpSummary("away", 120.0, 1, 0)
    assert room.transcript.unread_line_id == first
    assert is_newer(Position("new", 1), Position("old", 2))


def test_an_unused_bookmark_is_preserved() -> None:
    mark = Bookmark(Position("k3f9", 3), NOON - timedelta(hours=2))
    room = Room(mark)
    assert room.reading.bookmark(NOON) == mark
    room.leave()
    room.there = True
    assert room.reading.returned(NOON) is None
    assert room.reading.bookmark(NOON) == mark


def test_the_line_moves_up_as_older_unread_posts_are_fetched() -> None:
    room = Room(Bookmark(Position("k3f9", 30), NOON))
    room.seq = 100
    first_held = room.post(live=False)
    room.catch_up()
    assert room.reading.begins_above
    for start in (51, 1):
        room.transcript.prepend_posts(
            [
                TranscriptPost("bob", "old", NOON, number == 31, False, f"k3f9-{number}")
                for number in range(start, start + 50)
            ]
        )
        room.reading.prepended([], ended=False)
    assert room.transcript.unread_line_id is not None
    assert room.transcript.unread_line_id < first_held
    chunk = next(
        c for c in reversed(room.transcript.chunks) if c.first_id <= (room.transcript.unread_line_id or 0)
    )
    assert chunk.numbers[room.transcript.unread_line_id - chunk.first_id] == 32  # 31 is our own
    room.transcript.prepend_posts([TranscriptPost("bob", "older", NOON, False, False, "k3f9-0")])
    room.reading.prepended([], ended=False)
    assert not room.reading.begins_above


def test_unloaded_unread_posts_are_counted_before_they_are_loaded() -> None:
    room = Room(Bookmark(Position("k3f9", 30), NOON))
    room.seq = 110
    first_held = room.post(live=False)
    room.post(live=False, mention=True)
    room.at_end = False
    room.catch_up()
    assert (room.reading.count, room.reading.above_count) == (82, 80)
    assert room.reading.target_id == first_held
    posts = [(number, number in (100, 101), number in (29, 31)) for number in range(21, 111)]
    room.transcript.prepend_posts(
        TranscriptPost("bob", "old", NOON, own, mention, f"k3f9-{number}") for number, own, mention in posts
    )
    page = [OlderPost(Position("k3f9", number), own, mention) for number, own, mention in posts]
    room.reading.prepended(page, ended=False)
    assert (room.reading.count, room.reading.mentions, room.reading.above_count) == (80, 2, 0)
    assert not room.reading.begins_above


def test_posts_lost_on_the_server_are_not_unread() -> None:
    room = Room(Bookmark(Position("k3f9", 30), NOON))
    room.seq = 110
    room.post(live=False)
    room.at_end = False
    room.catch_up()
    room.transcript.prepend_posts([TranscriptPost("bob", "old", NOON, False, False, "k3f9-110")])
    room.reading.prepended([OlderPost(Position("k3f9", 110), False, False)], ended=True)
    assert (room.reading.count, room.reading.above_count) == (2, 0)


def test_own_posts_do_not_hide_unread_posts_above() -> None:
    room = Room(Bookmark(Position("k3f9", 1), NOON))
    room.seq = 10
    room.at_end = False
    own = room.post(live=False, own=True)
    room.post(live=False)
    room.catch_up()
    assert (room.reading.count, room.reading.above_count, room.transcript.unread_line_id) == (10, 9, own)


def test_own_posts_at_the_top_of_the_loaded_lines_are_not_above_them() -> None:
    room = Room(Bookmark(Position("k3f9", 10), NOON))
    room.seq = 10
    room.at_end = False
    room.post(live=False, own=True)
    first = room.post(live=False)
    room.catch_up()
    assert (room.reading.count, room.reading.above_count, room.transcript.unread_line_id) == (1, 0, first)


# Comparison with a simple model


@dataclass(frozen=True)
class Step:
    what: str
    own: bool = False


STEPS = st.lists(
    st.one_of(
        st.builds(Step, st.just("post"), st.booleans()),
        st.sampled_from([Step("leave"), Step("back"), Step("up"), Step("end"), Step("drop")]),
    ),
    max_size=40,
)


@given(STEPS)
def test_unread_counts_unseen_posts(steps: list[Step]) -> None:
    room = read_room(1)
    unseen: list[int] = []
    rule: int | None = None
    for step in steps:
        match step.what:
            case "post":
                line_id = room.post(own=step.own)
                if not step.own and not (room.there and room.at_end):
                    if not room.there and (rule is None or not unseen):
                        rule = line_id
                    unseen.append(line_id)
            case "leave" if room.there:
                room.leave()
                rule = rule if unseen else None
            case "back" if not room.there:
                room.come_back()
            case "up" if room.there:
                room.at_end = False
            case "end" if room.there:
                room.at_end = True
                room.reading.seen()
            case "drop" if room.there and room.at_end:
                room.reading.drop_unread_line()
                rule = None
        if room.there and room.at_end:
            unseen.clear()
        assert room.reading.count == len(unseen)
        assert room.transcript.unread_line_id == rule
        assert room.reading.target_id == (unseen[0] if unseen else rule)
