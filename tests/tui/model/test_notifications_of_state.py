"""Posts in rooms that are not viewed: unread counts, summary lines, alerts and bookmarks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from broadcast_tui.core.post import Bookmark, Position
from broadcast_tui.core.session.updates import (
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    HistoryFetched,
    PostArrived,
    PresenceChanged,
    RoomEntered,
    Update,
)
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.rooms import RoomSet
from broadcast_tui.tui.model.state import AppState, Changes
from broadcast_tui.tui.model.transcript.chunks import LineKind
from tests.support.fake_client import FakeClient

NOON = datetime(2025, 8, 30, 12, tzinfo=UTC)


class Chat:
    """A state in its lobby and the fake client that creates its updates; `minutes` is its clock."""

    def __init__(self, rooms: RoomSet | None = None, keywords: tuple[str, ...] = ()) -> None:
        self.client = FakeClient()
        self.state = AppState(rooms or RoomSet(), "ana", keywords=keywords)
        self.minutes = 0.0

    @property
    def at(self) -> datetime:
        return NOON + timedelta(minutes=self.minutes)

    def apply(self, *updates: Update) -> Changes:
        return self.state.apply(updates, 0.0, self.at)

    def posts(
        self, *texts: str, live: bool = True, room: str = "lobby", sender: str = "bob"
    ) -> list[PostArrived]:
        return [self.client.post(sender, text, live=live, room=room) for text in texts]

    def online(self, *backlog: PostArrived) -> Changes:
        *before, caught_up = self.client.online("ana", "bob")
        return self.apply(*before, *backlog, caught_up)

    def set_focused(self, focused: bool) -> None:
        self.state.rooms.set_focused(focused, self.at)

    def printed(self, room: str = "lobby") -> list[str]:
        """System and presence lines of a room, except the one about entering it."""
        chunks = self.state.rooms.get(room).transcript.chunks
        lines = [chunk.line(i) for chunk in chunks for i in range(len(chunk))]
        kinds = (LineKind.SYSTEM, LineKind.PRESENCE)
        return [line.text for line in lines if line.kind in kinds and "Joined #" not in line.text]

    def first_unread(self, room: str = "lobby") -> str:
        """The text of the post below the unread line; empty if there is no such line."""
        transcript = self.state.rooms.get(room).transcript
        line = None if transcript.unread_line_id is None else transcript.line(transcript.unread_line_id)
        return "" if line is None else line.text


# Leaving and returning


def test_a_long_absence_with_many_posts_is_summarized() -> None:
    chat = Chat()
    chat.online()
    chat.set_focused(False)
    chat.apply(PresenceChanged("lobby", "join", ("carl",), 3, "", NOON))
    chat.apply(*chat.posts("one", "ana: two", "three", "four", "ask Ana's cat"))
    chat.minutes = 14
    chat.set_focused(True)
    assert chat.printed() == ["carl joined", "away 14 min · 5 posts · 2 mention you · Alt+U"]
    assert chat.first_unread() == "one"
    assert (chat.state.rooms.unread, chat.state.rooms.mention_count) == (0, 0)
    chat.set_focused(False)
    chat.minutes = 60
    chat.set_focused(True)
    assert len(chat.printed()) == 2
    assert chat.first_unread() == ""


def test_a_short_absence_has_the_unread_line_but_no_summary() -> None:
    chat = Chat()
    chat.online()
    chat.set_focused(False)
    chat.apply(*chat.posts(*"abcdefgh"))
    chat.minutes = 0.9
    chat.set_focused(True)
    assert (chat.printed(), chat.first_unread()) == ([], "a")


def test_another_focus_event_of_the_same_kind_changes_nothing() -> None:
    chat = Chat()
    chat.online()
    chat.set_focused(False)
    chat.minutes = 5
    chat.set_focused(False)
    chat.apply(*chat.posts(*"abcdefgh"))
    chat.minutes = 10
    chat.set_focused(True)
    chat.set_focused(True)
    assert chat.printed() == ["away 10 min · 8 posts · Alt+U"]


def test_sending_removes_the_unread_line() -> None:
    chat = Chat()
    chat.online()
    chat.set_focused(False)
    chat.apply(*chat.posts("one"))
    chat.set_focused(True)
    chat.state.add_own_post("n1", "hi", NOON)
    assert chat.first_unread() == ""


def test_each_room_has_its_own_line_and_absence() -> None:
    chat = Chat()
    chat.online()
    chat.apply(RoomEntered("dev", 2, 0), CaughtUp("dev"))
    chat.apply(*chat.posts(*"abcde", room="dev"), *chat.posts("seen"))
    assert (chat.state.rooms.get("dev").unread, chat.state.rooms.unread) == (5, 5)
    chat.minutes = 2
    chat.state.rooms.show("dev", chat.at)
    chat.state.rooms.set_at_end(True)
    assert (chat.printed("dev"), chat.first_unread("dev")) == (["away 2 min · 5 posts · Alt+U"], "a")
    assert chat.state.rooms.unread == 0
    chat.apply(*chat.posts("elsewhere"))
    assert (chat.first_unread(), chat.state.rooms.unread) == ("elsewhere", 1)
    chat.state.rooms.show("lobby", chat.at)
    chat.state.rooms.set_at_end(True)
    assert (chat.printed(), chat.first_unread(), chat.first_unread("dev")) == ([], "elsewhere", "")


def test_changing_rooms_without_the_focus_marks_nothing_as_read() -> None:
    chat = Chat()
    chat.online()
    chat.apply(RoomEntered("dev", 2, 0), CaughtUp("dev"), *chat.posts("x", room="dev"))
    chat.set_focused(False)
    chat.state.rooms.show("dev", chat.at)
    chat.state.rooms.set_at_end(True)
    assert chat.state.rooms.unread == 1
    chat.set_focused(True)
    assert chat.state.rooms.unread == 0


def test_a_room_opened_above_its_end_is_unread_until_the_end_is_reached() -> None:
    chat = Chat()
    chat.online()
    chat.apply(RoomEntered("dev", 2, 0), CaughtUp("dev"), *chat.posts("x", "y", room="dev"))
    chat.state.rooms.show("dev", chat.at)
    chat.state.rooms.set_at_end(False)
    assert chat.state.rooms.unread == 2
    chat.state.rooms.set_at_end(True)
    assert chat.state.rooms.unread == 0


def test_only_mentions_count_in_a_muted_room() -> None:
    chat = Chat(RoomSet(levels={"dev": NotifyLevel.OFF}))
    chat.online()
    chat.apply(*chat.posts("ana!", "or not", room="dev"))
    assert (chat.state.rooms.unread, chat.state.rooms.mention_count, chat.state.rooms.get("dev").unread) == (
        1,
        1,
        2,
    )


# Reconnects


def lose_connection(chat: Chat, minutes: float) -> None:
    chat.apply(ConnectionChanged(ConnectionState.WAITING, "no answer", 4.0))
    chat.minutes += minutes
    chat.apply(ConnectionChanged(ConnectionState.WAITING, "no answer", 8.0))


def test_posts_missed_while_offline_are_summarized_without_a_notification() -> None:
    chat = Chat()
    chat.online()
    lose_connection(chat, 3)
    changes = chat.online(*chat.posts("one", "ana: two", live=False))
    assert changes.alerts == []
    assert chat.printed()[-1] == "offline 3 min · 2 posts · 1 mentions you · Alt+U"
    assert chat.first_unread() == "one"
    assert chat.state.rooms.unread == 0


def test_missed_posts_are_unread_while_the_room_is_not_viewed() -> None:
    chat = Chat()
    chat.online()
    chat.set_focused(False)
    lose_connection(chat, 3)
    assert chat.online(*chat.posts("one", "ana: two", live=False)).alerts == []
    assert (chat.state.rooms.unread, chat.state.rooms.mention_count) == (2, 1)
    chat.set_focused(True)
    assert "offline" not in "".join(chat.printed())


# Alerts


def test_mentions_notify_only_in_rooms_not_viewed() -> None:
    chat = Chat()
    chat.online()
    assert chat.apply(*chat.posts("hi ana")).alerts == []
    alerts = chat.apply(*chat.posts("hi ana", "hi all", room="dev")).alerts
    assert [(alert.room, alert.sender, alert.text) for alert in alerts] == [("dev", "bob", "hi ana")]
    chat.set_focused(False)
    assert [alert.text for alert in chat.apply(*chat.posts("ana?", "or not")).alerts] == ["ana?"]


def test_backlog_replay_history_and_own_posts_do_not_notify() -> None:
    chat = Chat(RoomSet(levels={"lobby": NotifyLevel.ALL}, has_focus=False))
    assert chat.online(*chat.posts("ana!", live=False)).alerts == []
    assert chat.apply(*chat.client.echo("n1", "I am ana")).alerts == []
    assert chat.apply(*chat.posts("ana from my other terminal", sender="ana")).alerts == []
    old = chat.client.post("bob", "ana, old")
    chat.state.rooms.shown.history_ref = "h1"
    assert chat.apply(HistoryFetched("lobby", "h1", (old.post,), False)).alerts == []
    assert (chat.state.rooms.unread, chat.state.rooms.mention_count) == (0, 0)


def test_levels_decide_which_posts_notify() -> None:
    for level, texts in [
        (NotifyLevel.OFF, []),
        (NotifyLevel.MENTIONS, ["ana"]),
        (NotifyLevel.ALL, ["ana", "bob"]),
    ]:
        chat = Chat(RoomSet(levels={"dev": level}))
        chat.online()
        assert [alert.text for alert in chat.apply(*chat.posts("ana", "bob", room="dev")).alerts] == texts


def test_keywords_notify_like_names() -> None:
    chat = Chat(keywords=("deploy",))
    chat.online()
    assert [alert.text for alert in chat.apply(*chat.posts("Deploy now", "deployed", room="dev")).alerts] == [
        "Deploy now"
    ]


def test_a_notification_shows_the_line_with_the_mention() -> None:
    chat = Chat()
    chat.online()
    assert [a.text for a in chat.apply(*chat.posts("much\nana: look\nmore", room="dev")).alerts] == [
        "ana: look"
    ]


def test_mentions_in_pages_of_history_are_marked() -> None:
    chat = Chat()
    chat.online()
    posts = [each.post for each in (*chat.posts("ana: old"), *chat.posts("I am ana", sender="ana"))]
    chat.state.rooms.shown.history_ref = "h1"
    chat.apply(HistoryFetched("lobby", "h1", tuple(posts), False))
    chunk = chat.state.rooms.shown.transcript.chunks[0]
    assert [chunk.line(i).mention for i in range(len(chunk)) if chunk.line(i).sender] == [True, False]


# Bookmarks across runs


def test_the_next_run_resumes_at_the_bookmark() -> None:
    first = Chat()
    first.online(*first.posts(*"abc", live=False))
    first.set_focused(False)
    first.apply(*first.posts("unread"))
    marks = first.state.rooms.current_bookmarks(first.at)
    assert marks == {"lobby": Bookmark(Position("k3f9", 3), NOON)}
    later = Chat(RoomSet(bookmarks=marks))
    later.minutes = 90
    changes = later.online(*later.posts(*"abc", "unread", "ana: more", "x", "y", "z", live=False))
    assert changes.opened
    assert changes.alerts == []
    assert later.printed() == ["away 1 h 30 min · 5 posts · 1 mentions you · Alt+U"]
    assert later.first_unread() == "unread"
    assert later.state.rooms.unread == 5
    later.state.rooms.set_at_end(True)
    assert later.state.rooms.current_bookmarks(later.at) == {"lobby": Bookmark(Position("k3f9", 8), later.at)}


def test_rooms_passed_to_the_set_get_bookmarks_and_levels() -> None:
    mark = Bookmark(Position("k3f9", 3), NOON)
    room = RoomModel("dev")
    chat = Chat(RoomSet(joined={"dev": room}, bookmarks={"dev": mark}, levels={"dev": NotifyLevel.ALL}))
    assert (room.level, room.reading.bookmark(NOON)) == (NotifyLevel.ALL, mark)
    chat.apply(RoomEntered("dev", 2, 0), *chat.posts(*"abcd", live=False, room="dev"), CaughtUp("dev"))
    assert chat.state.rooms.unread == 1


def test_a_first_visit_opens_at_the_end_without_unread_posts() -> None:
    chat = Chat()
    assert not chat.online(*chat.posts("ana!", *"bcdefg", live=False)).opened
    assert (chat.printed(), chat.first_unread(), chat.state.rooms.unread) == ([], "", 0)


def test_posts_of_ignored_users_are_not_unread_and_the_unread_line_keeps_its_post() -> None:
    chat = Chat()
    chat.online()
    chat.apply(*chat.posts("seen"), *chat.posts("seen, too", sender="eve"))
    chat.set_focused(False)
    chat.apply(*chat.posts("one"), *chat.posts("two", sender="eve"))
    reading = chat.state.rooms.shown.reading
    chat.state.rooms.ignore("eve", None)
    assert (chat.first_unread(), reading.target_id) == ("one", reading.transcript.unread_line_id)
    assert chat.apply(*chat.posts("ana!", sender="eve")).alerts == []
    assert (reading.count, reading.mentions) == (2, 0)
    chat.state.rooms.ignore("bob", None)
    assert reading.transcript.unread_line_id is None
    chat.state.rooms.unignore("eve")
    chat.apply(*chat.posts("three", sender="cy"))
    assert chat.first_unread() == "three"
