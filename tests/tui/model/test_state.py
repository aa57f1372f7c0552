from __future__ import annotations

from datetime import UTC, datetime

import pytest

from broadcast_tui.core.protocol import events
from broadcast_tui.core.session.updates import (
    CONNECTION_LOST,
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    DisconnectCause,
    GapFound,
    HistoryFetched,
    NameChanged,
    NameDenied,
    Noticed,
    PostRejected,
    PresenceChanged,
    RoomEntered,
    RoomLeft,
    Update,
)
from broadcast_tui.tui.model.notice_limiter import HIDDEN_LINE, LINES_MAX, WINDOW_S
from broadcast_tui.tui.model.room import ADDRESSED_MAX, MEMBERS_MAX, TYPING_MAX
from broadcast_tui.tui.model.state import AWAY_MAX, AppState, Changes
from broadcast_tui.tui.model.transcript.chunks import DeliveryState, LineKind
from tests.support.fake_client import FakeClient, member_list, room_list

AT = datetime(2025, 8, 30, 10, 30, tzinfo=UTC)
LOST = ConnectionChanged(ConnectionState.WAITING, "no answer", 4.0)


class Chat:
    """A state and the fake client that creates its updates."""

    def __init__(self, *people: str) -> None:
        self.client = FakeClient()
        self.state = AppState(name="ana")
        self.now = 100.0
        if people:
            self.apply(*self.client.online(*people))

    def apply(self, *updates: Update) -> Changes:
        return self.state.apply(updates, self.now, AT)

    @property
    def lines(self) -> list[str]:
        """All lines except day lines, as `kind: text` or `sender: text`."""
        chunks = self.state.rooms.shown.transcript.chunks
        lines = [chunk.line(i) for chunk in chunks for i in range(len(chunk))]
        return [
            f"{line.sender or line.kind.name}: {line.text}" for line in lines if line.kind is not LineKind.DAY
        ]

    def marks(self) -> list[DeliveryState]:
        chunks = self.state.rooms.shown.transcript.chunks
        return [chunk.line(i).mark for chunk in chunks for i in range(len(chunk)) if chunk.line(i).sender]


def test_entering_a_room_prints_one_line_and_requests_the_members() -> None:
    chat = Chat()
    changes = chat.apply(ConnectionChanged(ConnectionState.ONLINE), RoomEntered("lobby", 3, 0))
    assert changes.rooms_to_list == ["lobby"]
    assert chat.lines == []
    chat.apply(CaughtUp("lobby"))
    assert chat.lines == ["SYSTEM: Joined #lobby as ana with 2 others. F1 for help."]
    assert chat.apply(member_list("lobby", "", 3, ("ana", "bob", "eve"), False)).rooms_to_list == []
    assert chat.state.rooms.shown.people() == ["ana", "bob", "eve"]


def test_people_are_listed_without_regard_to_case_and_accents() -> None:
    chat = Chat("xavier", "Élodie", "ana", "Eve")
    assert chat.state.rooms.shown.people() == ["ana", "Élodie", "Eve", "xavier"]


def test_the_line_about_entering_a_room_follows_the_backlog() -> None:
    chat = Chat()
    chat.apply(ConnectionChanged(ConnectionState.ONLINE), RoomEntered("lobby", 2, 2))
    chat.apply(chat.client.post("bob", "first", live=False))
    chat.apply(LOST, ConnectionChanged(ConnectionState.ONLINE), RoomEntered("lobby", 2, 1))
    chat.apply(chat.client.post("bob", "second", live=False), CaughtUp("lobby"))
    chat.apply(chat.client.post("bob", "new"))
    assert [line for line in chat.lines if "onnect" not in line and "online" not in line] == [
        "bob: first",
        "bob: second",
        "SYSTEM: Joined #lobby as ana with 1 other. F1 for help.",
        "bob: new",
    ]
    chat.apply(RoomEntered("lobby", 2, 0), CaughtUp("lobby"))
    assert chat.lines[-1] == "bob: new"


def test_a_lost_connection_is_printed_once_for_all_attempts() -> None:
    chat = Chat("ana", "bob")
    before = len(chat.lines)
    for _ in range(5):
        chat.apply(LOST, ConnectionChanged(ConnectionState.CONNECTING))
    assert len(chat.lines) == before + 1
    assert chat.lines[-1].startswith("SYSTEM: Connection lost: no answer.")
    chat.apply(*chat.client.online("ana", "bob"))
    assert chat.lines[before + 1 :] == ["SYSTEM: Back online"]


def test_a_failed_first_connection_is_printed_as_such() -> None:
    chat = Chat()
    chat.apply(LOST)
    assert chat.lines[0].startswith("SYSTEM: No connection yet: no answer.")
    assert chat.state.connection.retry_in(chat.now) == 4
    assert chat.state.connection.retry_in(chat.now + 9) == 0


def test_a_post_is_pending_then_delivered_then_arrived() -> None:
    chat = Chat("ana")
    chat.state.add_own_post("n1", "hi", AT)
    assert chat.marks() == [DeliveryState.PENDING]
    delivered, arrived = chat.client.echo("n1", "hi")
    chat.apply(delivered)
    assert chat.marks() == [DeliveryState.DELIVERED]
    chat.apply(arrived)
    assert chat.marks() == [DeliveryState.NONE]
    assert chat.lines[-1] == "ana: hi"


def test_a_rejected_post_is_marked_and_its_text_returned() -> None:
    chat = Chat("ana")
    chat.state.add_own_post("n1", "hi", AT)
    changes = chat.apply(PostRejected("lobby", "n1", "rate_limited", "Too fast.", "hi"))
    assert [refused.text for refused in changes.rejected] == ["hi"]
    assert chat.marks() == [DeliveryState.REJECTED]


def test_posts_without_focus_are_unread_until_the_focus_returns() -> None:
    chat = Chat("ana", "bob")
    chat.apply(chat.client.post("bob", "seen"))
    chat.state.rooms.set_focused(False, AT)
    chat.apply(chat.client.post("bob", "one"), chat.client.post("bob", "two"))
    chat.apply(chat.client.post("bob", "replayed", live=False), *chat.client.echo("n1", "ours"))
    assert chat.state.rooms.unread == 3
    chat.state.rooms.set_focused(True, AT)
    assert chat.state.rooms.unread == 0
    chat.state.rooms.unseen = 5
    assert chat.state.rooms.unread == 5


def test_other_rooms_count_towards_unread() -> None:
    chat = Chat("ana")
    chat.apply(chat.client.post("bob", "elsewhere", room="dev"))
    assert chat.state.rooms.unread == 1
    assert chat.state.rooms.get("dev").unread == 1


def test_mentions_are_marked_except_in_own_posts() -> None:
    chat = Chat("ana", "bob")
    chat.apply(chat.client.post("bob", "ana: look"), *chat.client.echo("n1", "I am ana"))
    chunk = chat.state.rooms.shown.transcript.chunks[-1]
    posts = [chunk.line(i) for i in range(len(chunk)) if chunk.line(i).sender]
    assert [line.mention for line in posts] == [True, False]


def test_members_join_leave_and_rename() -> None:
    chat = Chat("ana", "bob")
    before = len(chat.lines)
    chat.apply(
        PresenceChanged("lobby", "join", ("eve", "zoe", "max", "tim"), 26, "", AT),
        PresenceChanged("lobby", "leave", ("bob",), 25, "", AT),
        PresenceChanged("lobby", "rename", ("eve", "eva"), 25, "", AT),
        PresenceChanged(
            "lobby", "join", (), 26, "A new client has joined the chat. 26 client(s) online.", AT
        ),
        PresenceChanged("lobby", "online", (), 7, "7 online", AT),
    )
    assert chat.lines[before:] == [
        "PRESENCE: eva, zoe and 2 others joined · bob left · A new client has joined the chat"
    ]
    assert chat.state.rooms.shown.people() == ["ana", "eva", "max", "tim", "zoe"]
    assert chat.state.rooms.shown.online == 7


def test_consecutive_joins_and_leaves_in_a_large_room_share_one_line() -> None:
    chat = Chat("ana", "bob", "cy")
    before = len(chat.lines)

    def apply(event: str, *names: str) -> None:
        chat.apply(PresenceChanged("lobby", event, names, 30, "", AT))

    apply("leave", "cy")
    apply("join", "eve")
    assert chat.lines[before:] == ["PRESENCE: eve joined · cy left"]
    apply("join", "cy")
    apply("leave", "eve")
    assert chat.lines[before:] == ["PRESENCE: "]
    apply("leave", "bob")
    chat.apply(chat.client.post("cy", "hello"))
    apply("join", "bob")
    apply("leave", "cy")
    assert chat.lines[before:] == ["PRESENCE: bob left", "cy: hello", "PRESENCE: bob joined · cy left"]
    line = chat.state.rooms.shown.transcript.line(chat.state.rooms.shown.transcript.next_id - 1)
    assert line is not None
    assert line.brief == "cy left"


def test_ones_own_join_is_not_printed() -> None:
    chat = Chat("ana", "bob")
    before = len(chat.lines)
    chat.apply(PresenceChanged("lobby", "join", ("ana",), 2, "", AT))
    chat.apply(PresenceChanged("lobby", "join", ("ana", "eve"), 3, "", AT))
    assert chat.lines[before:] == ["PRESENCE: eve joined"]


def test_the_new_own_name_is_printed_once() -> None:
    chat = Chat("ana", "bob")
    before = len(chat.lines)
    chat.apply(NameChanged("ana2"), PresenceChanged("lobby", "rename", ("ana", "ana2"), 2, "", AT))
    assert chat.lines[before:] == ["SYSTEM: You are now known as ana2"]
    assert chat.state.name == "ana2"
    assert chat.state.rooms.shown.people() == ["ana2", "bob"]


def test_large_rooms_are_counted_and_listed_again_when_they_are_small() -> None:
    chat = Chat("ana")
    assert chat.apply(PresenceChanged("lobby", "online", (), 101, "", AT)).rooms_to_list == []
    assert chat.state.rooms.shown.people() is None
    assert chat.apply(PresenceChanged("lobby", "online", (), 99, "", AT)).rooms_to_list == []
    chat.apply(member_list("lobby", "", 101, (), True))
    assert chat.apply(PresenceChanged("lobby", "online", (), 99, "", AT)).rooms_to_list == ["lobby"]
    assert chat.apply(PresenceChanged("lobby", "online", (), 98, "", AT)).rooms_to_list == []


def test_a_name_denied_on_connecting_requires_another() -> None:
    chat = Chat()
    denied = NameDenied("ana", "name_taken", "That name is taken.")
    refused = ConnectionChanged(ConnectionState.REFUSED, "That name is taken.")
    assert chat.apply(denied, refused).denied == denied
    assert chat.lines == []
    assert chat.apply(ConnectionChanged(ConnectionState.CONNECTING)).denied is None


def test_a_denial_may_come_before_or_after_the_refusal() -> None:
    denied = NameDenied("ana", "name_taken", "That name is taken.")
    chat = Chat()
    assert chat.apply(denied).denied is None
    assert chat.apply(ConnectionChanged(ConnectionState.REFUSED)).denied == denied


def test_a_denied_rename_is_reported() -> None:
    chat = Chat("ana")
    changes = chat.apply(NameDenied("bob", "name_taken", "That name is taken."))
    assert changes.denied is None
    assert changes.errors == ["That name is taken."]


def test_a_rejection_for_another_reason_prints_the_reason() -> None:
    chat = Chat()
    chat.apply(ConnectionChanged(ConnectionState.REFUSED, "Wrong token."))
    assert chat.lines == ["ERROR: Connection rejected: Wrong token."]


def test_advice_is_appended_to_a_rejection() -> None:
    chat = Chat()
    chat.state.advice = {DisconnectCause.UNTRUSTED_CERTIFICATE: "Add --ca FILE."}
    for cause in (DisconnectCause.UNTRUSTED_CERTIFICATE, DisconnectCause.OTHER):
        chat.apply(ConnectionChanged(ConnectionState.REFUSED, "Not trusted", cause=cause))
    assert chat.lines == [
        "ERROR: Cannot connect: Not trusted. Add --ca FILE.",
        "ERROR: Connection rejected: Not trusted",
    ]


def test_a_kick_says_who_and_how_to_rejoin() -> None:
    chat = Chat()
    kick = ConnectionChanged(ConnectionState.REFUSED, "ana kicked you: spam", cause=DisconnectCause.KICKED)
    chat.apply(kick)
    chat.state.reconnect_key = "F5"
    chat.apply(kick)
    assert chat.lines == [
        "ERROR: ana kicked you: spam. /reconnect to rejoin.",
        "ERROR: ana kicked you: spam. F5 to rejoin.",
    ]


def test_a_lost_connection_without_a_reason_needs_none() -> None:
    chat = Chat()
    chat.apply(ConnectionChanged(ConnectionState.WAITING, CONNECTION_LOST, 1.0))
    [line] = chat.lines
    assert line.startswith("SYSTEM: No connection yet. Reconnecting…")


def test_older_posts_are_prepended_only_if_requested() -> None:
    chat = Chat("ana")
    arrived = chat.client.post("bob", "old")
    view = chat.state.rooms.shown
    chat.apply(HistoryFetched("lobby", "h9", (arrived.post,), True))
    assert not any("old" in line for line in chat.lines)
    view.history_ref = "h1"
    chat.apply(HistoryFetched("lobby", "h1", (arrived.post,), False))
    assert chat.lines[0] == "bob: old"
    assert view.history_ended
    assert not view.history_ref


def test_a_failed_request_may_be_made_again() -> None:
    chat = Chat("ana")
    chat.state.rooms.shown.history_ref = "h1"
    before = chat.lines
    changes = chat.apply(Noticed("No such room.", error=True, ref="h1"))
    assert chat.state.rooms.shown.history_ref == ""
    assert changes.errors == ["No such room."]
    assert chat.lines == before


def test_an_error_that_answers_no_request_is_in_the_log() -> None:
    chat = Chat("ana")
    changes = chat.apply(Noticed("Posts may be missing.", error=True))
    assert changes.errors == []
    assert chat.lines[-1] == "ERROR: Posts may be missing."


def test_a_gap_is_reported() -> None:
    chat = Chat("ana")
    chat.apply(GapFound("lobby", 1200, "trimmed"), GapFound("lobby", None, "epoch"))
    assert chat.lines[-2:] == [
        "SYSTEM: 1,200 posts are missing here: the server no longer has them.",
        "SYSTEM: Some posts are missing here: the server restarted without its history.",
    ]


def test_who_prints_the_list_it_requested() -> None:
    chat = Chat("ana", "bob")
    chat.state.rooms.shown.who_ref = "p1"
    chat.apply(member_list("lobby", "p1", 5, ("ana", "bob"), True))
    assert chat.lines[-1] == "SYSTEM: 5 here: ana (you), bob and 3 more"


def test_typing_ends_by_time_by_a_post_or_by_leaving() -> None:
    chat = Chat("ana", "bob", "eve")
    chat.apply(events.Typing("lobby", "bob"), events.Typing("lobby", "eve"), events.Typing("lobby", "ana"))
    assert chat.state.rooms.shown.typing(chat.now) == ["bob", "eve"]
    chat.apply(chat.client.post("bob", "done"))
    assert chat.state.rooms.shown.typing(chat.now) == ["eve"]
    assert chat.state.rooms.shown.typing(chat.now + 60) == []


@pytest.mark.parametrize("hostile", ["e\x1b[31mve", "e\u202eve", "e\nve", "e\x9bve"])
def test_names_are_sanitized_everywhere(hostile: str) -> None:
    chat = Chat("ana")
    chat.apply(
        PresenceChanged("lobby", "join", (hostile,), 2, "", AT),
        events.Typing("lobby", hostile),
        ConnectionChanged(ConnectionState.WAITING, hostile, 1.0),
        NameChanged(hostile),
    )
    texts = [*(chat.state.rooms.shown.people() or ()), *chat.state.rooms.shown.typing(chat.now)]
    texts += [chat.state.name, chat.state.connection.reason, *chat.lines]
    assert not any(set("\x1b\u202e\n\x9b") & set(text) for text in texts)


def test_leaving_preserves_the_lines_and_shows_the_previous_room() -> None:
    chat = Chat("ana")
    for room in ("dev", "ops"):
        chat.apply(RoomEntered(room, 1, 0))
        chat.state.rooms.show(room, AT)
    chat.apply(chat.client.post("bob", "kept", room="ops"), RoomLeft("ops"))
    assert list(chat.state.rooms.joined) == ["lobby", "dev"]
    assert chat.state.rooms.shown_name == "dev"
    assert not chat.state.rooms.left["ops"].entered
    chat.apply(chat.client.post("bob", "late", room="ops"))
    assert "ops" not in chat.state.rooms.joined
    chat.apply(RoomEntered("ops", 1, 0))
    assert list(chat.state.rooms.joined) == ["lobby", "dev", "ops"]
    chat.state.rooms.show("ops", AT)
    assert "bob: kept" in chat.lines


def test_rejoining_before_the_leave_is_confirmed_stays_joined() -> None:
    chat = Chat("ana")
    chat.apply(RoomEntered("dev", 1, 0))
    chat.state.rooms.part("dev", AT)
    chat.state.rooms.enter("dev")
    chat.state.rooms.show("dev", AT)
    chat.apply(RoomLeft("dev"), RoomEntered("dev", 1, 0))
    assert list(chat.state.rooms.joined) == ["lobby", "dev"]
    assert chat.state.rooms.shown_name == "dev"
    chat.apply(RoomLeft("dev"))
    assert chat.state.rooms.shown_name == "lobby"


def test_the_only_room_stays_on_the_screen() -> None:
    chat = Chat("ana")
    chat.apply(RoomLeft("lobby"))
    assert chat.state.rooms.shown_name == "lobby"
    assert list(chat.state.rooms.joined) == ["lobby"]


def test_the_number_of_left_rooms_is_limited() -> None:
    chat = Chat("ana")
    for number in range(12):
        chat.apply(RoomEntered(f"r{number}", 1, 0), RoomLeft(f"r{number}"))
    assert list(chat.state.rooms.left) == [f"r{number}" for number in range(4, 12)]


def test_showing_a_room_marks_it_as_read() -> None:
    chat = Chat("ana", "bob")
    chat.apply(chat.client.post("bob", "hi ana", room="dev"), chat.client.post("bob", "hi", room="dev"))
    assert (chat.state.rooms.get("dev").unread, chat.state.rooms.get("dev").mention_count) == (2, 1)
    assert (chat.state.rooms.unread, chat.state.rooms.unread_here) == (2, 0)
    chat.state.rooms.show("dev", AT)
    chat.state.rooms.set_at_end(True)
    assert (chat.state.rooms.get("dev").unread, chat.state.rooms.get("dev").mention_count) == (0, 0)
    assert chat.state.rooms.previous == "lobby"


def test_without_the_focus_a_room_that_is_shown_stays_unread() -> None:
    chat = Chat("ana", "bob")
    chat.apply(chat.client.post("bob", "hi", room="dev"))
    chat.state.rooms.set_focused(False, AT)
    chat.state.rooms.show("dev", AT)
    assert chat.state.rooms.get("dev").unread == 1
    chat.state.rooms.set_focused(True, AT)
    assert chat.state.rooms.get("dev").unread == 0


def test_away_status_ends_on_return_or_leave() -> None:
    chat = Chat("ana", "bob", "eve")
    chat.apply(events.Away("bob", True, "lunch"), events.Away("eve", True))
    assert [(person.name, person.away) for person in chat.state.member_list() or ()] == [
        ("ana", None),
        ("bob", "lunch"),
        ("eve", ""),
    ]
    chat.apply(PresenceChanged("lobby", "rename", ("bob", "rob"), 3, "", AT))
    assert chat.state.away.reason("rob") == "lunch"
    chat.apply(events.Away("rob", False), PresenceChanged("lobby", "leave", ("eve",), 2, "", AT))
    assert [chat.state.away.reason(name) for name in ("rob", "eve", "bob")] == [None, None, None]


def test_a_member_list_replaces_away_status() -> None:
    chat = Chat("ana", "bob", "eve")
    chat.apply(events.Away("bob", True, "lunch"))
    chat.apply(member_list("lobby", "", 3, ("ana", "bob", "eve"), False, (("eve", "out"),)))
    assert [person.away for person in chat.state.member_list() or ()] == [None, None, "out"]
    chat.state.rooms.shown.who_ref = "w"
    chat.apply(member_list("lobby", "w", 3, ("ana", "bob", "eve"), False, (("eve", "out"),)))
    assert chat.lines[-1] == "SYSTEM: 3 here: ana (you), bob, eve (away)"


def test_a_rename_in_another_terminal_leaves_the_own_away_status() -> None:
    chat = Chat("ana")
    chat.apply(events.Away("ana", True, "lunch"))
    chat.apply(
        PresenceChanged("lobby", "rename", ("ana", "anna"), 2, "", AT), events.Away("ana", True, "lunch")
    )
    assert (chat.state.own_away, chat.state.away.reason("anna")) == ("lunch", "lunch")
    assert sum("You are away" in line for line in chat.lines) == 1


def test_the_own_away_status_is_printed_once() -> None:
    chat = Chat("ana")
    before = len(chat.lines)
    chat.apply(events.Away("ana", True, "lunch"), events.Away("ana", True, "lunch"))
    assert chat.state.own_away == "lunch"
    chat.apply(NameChanged("anna"))
    assert chat.state.own_away == "lunch"
    chat.apply(events.Away("anna", False))
    assert chat.lines[before:] == [
        "SYSTEM: You are away: lunch. Use /back when you return.",
        "SYSTEM: You are now known as anna",
        "SYSTEM: You are back.",
    ]


def test_posts_of_ignored_users_are_hidden_everywhere_and_not_counted() -> None:
    chat = Chat("ana", "bob", "eve")
    chat.apply(chat.client.post("eve", "before"), chat.client.post("eve", "ana!", room="dev"))
    chat.state.rooms.ignore("eve", None)
    assert not any("before" in line for line in chat.lines)
    unread = chat.state.rooms.unread
    chat.apply(chat.client.post("eve", "ana again", room="dev"), chat.client.post("bob", "hm"))
    chat.apply(RoomEntered("new", 2, 0), chat.client.post("eve", "hey", room="new"))
    assert chat.state.rooms.unread == unread
    assert "SYSTEM: 1 hidden from eve" in chat.lines
    assert chat.state.rooms.unignore("eve")
    assert "eve: before" in chat.lines
    assert not chat.state.rooms.unignore("eve")


def test_a_temporary_ignore_expires() -> None:
    chat = Chat("ana", "eve")
    chat.state.rooms.ignore("eve", chat.now + 60)
    chat.apply(chat.client.post("eve", "hm"))
    assert not chat.state.tick(chat.now + 59, AT)
    assert chat.state.tick(chat.now + 60, AT)
    assert chat.lines[-2:] == ["eve: hm", "SYSTEM: eve is no longer ignored"]


def test_a_topic_is_stored_and_printed_in_its_room() -> None:
    chat = Chat("ana")
    chat.apply(RoomEntered("dev", 1, 0, "Old"), events.Topic("dev", "New\x1b", "bob"))
    view = chat.state.rooms.get("dev")
    assert (view.topic, view.topic_by, view.topic_at) == ("New␛", "bob", AT)
    assert not any("topic" in line for line in chat.lines)
    chat.state.rooms.show("dev", AT)
    assert chat.lines[-1] == "SYSTEM: bob set the topic to: New␛"


def test_a_ping_and_a_list_are_answered_once() -> None:
    chat = Chat("ana")
    chat.state.requests.start_ping("p", chat.now - 0.012)
    chat.state.requests.list_ref = "l"
    listed = room_list("l", (("lobby", 1, ""), ("dev", 2, "x")), False)
    for _ in range(2):
        chat.apply(member_list("lobby", "p", 1, ("ana",), False), listed)
    assert chat.lines[-2:] == [
        "SYSTEM: Round trip: 12 ms",
        "SYSTEM: 2 rooms with member counts (* joined):\n  #dev       2  x\n* #lobby     1",
    ]
    assert list(chat.state.known_rooms) == ["lobby", "dev"]


def test_a_list_is_printed_after_its_last_page() -> None:
    chat = Chat("ana")
    chat.state.requests.list_ref = "l"
    changes = chat.apply(room_list("l", (("dev", 2, ""),), True))
    assert (changes.next_rooms, changes.rooms_listed) == (("l", "dev"), True)
    assert list(chat.state.known_rooms) == ["dev"]
    chat.state.requests.continue_list("l", "m")
    changes = chat.apply(room_list("m", (("lobby", 1, ""),), False))
    assert changes.next_rooms is None
    assert chat.lines[-1] == "SYSTEM: 2 rooms with member counts (* joined):\n  #dev       2\n* #lobby     1"
    assert list(chat.state.known_rooms) == ["dev", "lobby"]


def test_a_requested_disconnection_is_printed_as_such() -> None:
    chat = Chat("ana")
    chat.apply(ConnectionChanged(ConnectionState.CLOSED))
    assert chat.lines[-1].startswith("SYSTEM: Disconnected.")
    chat.apply(ConnectionChanged(ConnectionState.ONLINE))
    assert chat.lines[-1] == "SYSTEM: Back online"


# -- what a server sends is bounded


def test_notices_are_limited_and_say_so() -> None:
    chat = Chat("ana", "bob")
    before = len(chat.lines)
    chat.apply(*(Noticed(f"notice {number}", True) for number in range(20_000)))
    chat.apply(*(events.Topic("lobby", f"topic {number}", "bob", "") for number in range(20_000)))
    chat.apply(*(GapFound("lobby", None, "epoch") for _ in range(20_000)))
    chat.apply(*(NameChanged(f"ana{number}") for number in range(20_000)))
    assert len(chat.lines) - before == LINES_MAX + 1
    assert chat.lines[-1] == f"SYSTEM: {HIDDEN_LINE}"
    assert chat.state.rooms.shown.topic == "topic 19999"
    assert chat.state.name == "ana19999"
    chat.now += WINDOW_S
    chat.apply(Noticed("later"))
    assert chat.lines[-1] == "SYSTEM: later"


def test_joins_of_many_people_store_a_bounded_number_of_names() -> None:
    chat = Chat("ana", "bob")
    before = len(chat.lines)
    for number in range(50):
        names = tuple(f"{number} {other}" for other in range(500))
        chat.apply(PresenceChanged("lobby", "join", names, 3, "", AT))
    room = chat.state.rooms.shown
    assert len(room.members) <= MEMBERS_MAX
    assert room.people() is None
    chat.apply(member_list("lobby", "", 3, tuple(f"name {number}" for number in range(1_000)), False))
    assert room.people() is None
    assert len(chat.lines) - before <= 50


def test_typing_and_away_people_are_bounded() -> None:
    chat = Chat("ana", "bob")
    chat.apply(*(events.Typing("lobby", f"name {number}") for number in range(20_000)))
    chat.apply(*(events.Away(f"name {number}", True, "gone") for number in range(20_000)))
    assert len(chat.state.rooms.shown.typing(chat.now)) == TYPING_MAX
    known = [number for number in range(20_000) if chat.state.away.reason(f"name {number}") is not None]
    assert known == list(range(20_000 - AWAY_MAX, 20_000))


def test_people_who_mention_the_user_are_bounded() -> None:
    chat = Chat("ana")
    chat.apply(*(chat.client.post(f"bob{number}", "ana: hi") for number in range(200)))
    assert len(chat.state.rooms.shown.addressed) == ADDRESSED_MAX
    assert next(reversed(chat.state.rooms.shown.addressed)) == "bob199"
