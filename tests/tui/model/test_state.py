from __future__ import annotations

from datetime import UTC, datetime

import pytest

from broadcast_tui.core.updates import (
    ConnectionChanged,
    ConnectionState,
    GapFound,
    HistoryFetched,
    MembersListed,
    NameChanged,
    NameDenied,
    Noticed,
    PostRefused,
    PresenceChanged,
    RoomEntered,
    TypingSeen,
    Update,
)
from broadcast_tui.tui.model.room import joined_names
from broadcast_tui.tui.model.state import AppState, Changes
from broadcast_tui.tui.model.transcript import LineKind, Mark
from tests.support.fake_client import FakeClient

AT = datetime(2025, 8, 30, 10, 30, tzinfo=UTC)
LOST = ConnectionChanged(ConnectionState.WAITING, "no answer", 4.0)


class Chat:
    """A state with the fake client that makes its updates."""

    def __init__(self, *people: str) -> None:
        self.client = FakeClient()
        self.state = AppState(name="ana")
        self.now = 100.0
        if people:
            self.take(*self.client.online(*people))

    def take(self, *updates: Update) -> Changes:
        return self.state.apply(updates, self.now, AT)

    @property
    def lines(self) -> list[str]:
        """All lines but those of days, as `kind: text` or `sender: text`."""
        chunks = self.state.shown.transcript.chunks
        lines = [chunk.line(i) for chunk in chunks for i in range(len(chunk))]
        return [
            f"{line.sender or line.kind.name}: {line.text}" for line in lines if line.kind is not LineKind.DAY
        ]

    def marks(self) -> list[Mark]:
        chunks = self.state.shown.transcript.chunks
        return [chunk.line(i).mark for chunk in chunks for i in range(len(chunk)) if chunk.line(i).sender]


def test_entering_a_room_says_so_once_and_asks_who_is_there() -> None:
    chat = Chat()
    changes = chat.take(ConnectionChanged(ConnectionState.ONLINE), RoomEntered("lobby", 3, 0))
    assert changes.unlisted == ["lobby"]
    assert chat.lines == ["SYSTEM: You are in lobby as ana. 2 others are here. F1 helps."]
    assert chat.take(MembersListed("lobby", "", 3, ("ana", "bob", "eve"), False)).unlisted == []
    assert chat.state.shown.people() == ["ana", "bob", "eve"]


def test_a_lost_connection_is_told_once_however_often_it_is_tried() -> None:
    chat = Chat("ana", "bob")
    before = len(chat.lines)
    for _ in range(5):
        chat.take(LOST, ConnectionChanged(ConnectionState.CONNECTING))
    assert len(chat.lines) == before + 1
    assert chat.lines[-1].startswith("SYSTEM: Connection lost: no answer.")
    chat.take(*chat.client.online("ana", "bob"))
    assert chat.lines[before + 1 :] == ["SYSTEM: Back online"]


def test_a_first_connection_that_fails_is_told_as_such() -> None:
    chat = Chat()
    chat.take(LOST)
    assert chat.lines[0].startswith("SYSTEM: No connection yet: no answer.")
    assert chat.state.connection.retry_in(chat.now) == 4
    assert chat.state.connection.retry_in(chat.now + 9) == 0


def test_a_post_goes_pending_delivered_arrived() -> None:
    chat = Chat("ana")
    chat.state.said("n1", "hi", AT)
    assert chat.marks() == [Mark.PENDING]
    delivered, arrived = chat.client.echo("n1", "hi")
    chat.take(delivered)
    assert chat.marks() == [Mark.DELIVERED]
    chat.take(arrived)
    assert chat.marks() == [Mark.NONE]
    assert chat.lines[-1] == "ana: hi"


def test_a_refused_post_is_marked_and_its_text_given_back() -> None:
    chat = Chat("ana")
    chat.state.said("n1", "hi", AT)
    changes = chat.take(PostRefused("lobby", "n1", "rate_limited", "Too fast.", "hi"))
    assert [refused.text for refused in changes.refused] == ["hi"]
    assert chat.marks() == [Mark.REFUSED]


def test_what_arrives_unseen_is_unread_until_the_terminal_is_looked_at() -> None:
    chat = Chat("ana", "bob")
    chat.take(chat.client.post("bob", "seen"))
    chat.state.look(False, AT)
    chat.take(chat.client.post("bob", "one"), chat.client.post("bob", "two"))
    chat.take(chat.client.post("bob", "replayed", live=False), *chat.client.echo("n1", "ours"))
    assert chat.state.unread == 3
    chat.state.look(True, AT)
    assert chat.state.unread == 0
    chat.state.unseen = 5
    assert chat.state.unread == 5


def test_other_rooms_count_towards_unread() -> None:
    chat = Chat("ana")
    chat.take(chat.client.post("bob", "elsewhere", room="dev"))
    assert chat.state.unread == 1
    assert chat.state.view("dev").unread == 1


def test_mentions_are_marked_but_not_ones_own() -> None:
    chat = Chat("ana", "bob")
    chat.take(chat.client.post("bob", "ana: look"), *chat.client.echo("n1", "I am ana"))
    chunk = chat.state.shown.transcript.chunks[-1]
    posts = [chunk.line(i) for i in range(len(chunk)) if chunk.line(i).sender]
    assert [line.mention for line in posts] == [True, False]


def test_people_come_go_and_change_their_names() -> None:
    chat = Chat("ana", "bob")
    before = len(chat.lines)
    chat.take(
        PresenceChanged("lobby", "join", ("eve", "zoe", "max", "tim"), 6, "", AT),
        PresenceChanged("lobby", "leave", ("bob",), 5, "", AT),
        PresenceChanged("lobby", "rename", ("eve", "eva"), 5, "", AT),
        PresenceChanged("lobby", "join", (), 6, "A new client has joined the chat.", AT),
        PresenceChanged("lobby", "online", (), 7, "7 online", AT),
    )
    assert chat.lines[before:] == [
        "SYSTEM: eve, zoe and 2 others joined",
        "SYSTEM: bob left",
        "SYSTEM: eve is now eva",
        "SYSTEM: A new client has joined the chat.",
    ]
    assert chat.state.shown.people() == ["ana", "eva", "max", "tim", "zoe"]
    assert chat.state.shown.online == 7


def test_our_own_coming_is_no_news() -> None:
    chat = Chat("ana", "bob")
    before = len(chat.lines)
    chat.take(PresenceChanged("lobby", "join", ("ana",), 2, "", AT))
    chat.take(PresenceChanged("lobby", "join", ("ana", "eve"), 3, "", AT))
    assert chat.lines[before:] == ["SYSTEM: eve joined"]


def test_our_new_name_is_told_once() -> None:
    chat = Chat("ana", "bob")
    before = len(chat.lines)
    chat.take(NameChanged("ana2"), PresenceChanged("lobby", "rename", ("ana", "ana2"), 2, "", AT))
    assert chat.lines[before:] == ["SYSTEM: You are now ana2"]
    assert chat.state.name == "ana2"
    assert chat.state.shown.people() == ["ana2", "bob"]


def test_large_rooms_are_counted_and_listed_again_when_they_are_small() -> None:
    chat = Chat("ana")
    assert chat.take(PresenceChanged("lobby", "online", (), 101, "", AT)).unlisted == []
    assert chat.state.shown.people() is None
    assert chat.take(PresenceChanged("lobby", "online", (), 99, "", AT)).unlisted == ["lobby"]
    assert chat.take(PresenceChanged("lobby", "online", (), 98, "", AT)).unlisted == []


def test_a_name_denied_at_the_door_asks_for_another() -> None:
    chat = Chat()
    denied = NameDenied("ana", "name_taken", "That name is taken.")
    refused = ConnectionChanged(ConnectionState.REFUSED, "That name is taken.")
    assert chat.take(denied, refused).denied == denied
    assert chat.lines == []
    assert chat.take(ConnectionChanged(ConnectionState.CONNECTING)).denied is None


def test_a_denial_may_come_before_or_after_the_refusal() -> None:
    denied = NameDenied("ana", "name_taken", "That name is taken.")
    chat = Chat()
    assert chat.take(denied).denied is None
    assert chat.take(ConnectionChanged(ConnectionState.REFUSED)).denied == denied


def test_a_rename_that_is_denied_leaves_a_line() -> None:
    chat = Chat("ana")
    assert chat.take(NameDenied("bob", "name_taken", "That name is taken.")).denied is None
    assert chat.lines[-1] == "ERROR: That name is taken."


def test_a_refusal_for_another_reason_says_why() -> None:
    chat = Chat()
    chat.take(ConnectionChanged(ConnectionState.REFUSED, "Wrong token."))
    assert chat.lines == ["ERROR: The server refused us: Wrong token."]


def test_older_posts_go_on_top_only_if_asked_for() -> None:
    chat = Chat("ana")
    arrived = chat.client.post("bob", "old")
    view = chat.state.shown
    chat.take(HistoryFetched("lobby", "h9", (arrived.post,), True))
    assert not any("old" in line for line in chat.lines)
    view.history_ref = "h1"
    chat.take(HistoryFetched("lobby", "h1", (arrived.post,), False))
    assert chat.lines[0] == "bob: old"
    assert view.history_ended
    assert not view.history_ref


def test_a_failed_request_may_be_made_again() -> None:
    chat = Chat("ana")
    chat.state.shown.history_ref = "h1"
    chat.take(Noticed("No such room.", error=True, ref="h1"))
    assert chat.state.shown.history_ref == ""
    assert chat.lines[-1] == "ERROR: No such room."


def test_a_gap_is_never_silent() -> None:
    chat = Chat("ana")
    chat.take(GapFound("lobby", 1200, "trimmed"), GapFound("lobby", None, "epoch"))
    assert chat.lines[-2:] == [
        "SYSTEM: 1,200 posts are missing here: the server keeps no more than it has sent.",
        "SYSTEM: Some posts are missing here: the server started anew.",
    ]


def test_who_prints_the_list_it_asked_for() -> None:
    chat = Chat("ana", "bob")
    chat.state.shown.who_ref = "p1"
    chat.take(MembersListed("lobby", "p1", 5, ("ana", "bob"), True))
    assert chat.lines[-1] == "SYSTEM: 5 here: ana (you), bob and 3 more"


def test_typing_ends_by_time_by_a_post_or_by_leaving() -> None:
    chat = Chat("ana", "bob", "eve")
    chat.take(TypingSeen("lobby", "bob"), TypingSeen("lobby", "eve"), TypingSeen("lobby", "ana"))
    assert chat.state.shown.typing(chat.now) == ["bob", "eve"]
    chat.take(chat.client.post("bob", "done"))
    assert chat.state.shown.typing(chat.now) == ["eve"]
    assert chat.state.shown.typing(chat.now + 60) == []


@pytest.mark.parametrize("hostile", ["e\x1b[31mve", "e\u202eve", "e\nve", "e\x9bve"])
def test_names_are_safe_to_draw_wherever_they_are_kept(hostile: str) -> None:
    chat = Chat("ana")
    chat.take(
        PresenceChanged("lobby", "join", (hostile,), 2, "", AT),
        TypingSeen("lobby", hostile),
        ConnectionChanged(ConnectionState.WAITING, hostile, 1.0),
        NameChanged(hostile),
    )
    kept = [*(chat.state.shown.people() or ()), *chat.state.shown.typing(chat.now)]
    kept += [chat.state.name, chat.state.connection.reason, *chat.lines]
    assert not any(set("\x1b\u202e\n\x9b") & set(text) for text in kept)


def test_names_are_joined_for_reading() -> None:
    assert joined_names(["a"]) == "a"
    assert joined_names(["a", "b"]) == "a and b"
    assert joined_names(["a", "b", "c"]) == "a, b and c"
    assert joined_names(["a", "b", "c", "d"]) == "a, b and 2 others"
