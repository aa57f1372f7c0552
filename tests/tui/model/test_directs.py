"""Direct messages in the chat: opening, unread counts, names, and the end of a room."""

from __future__ import annotations

from broadcast_tui.core.post import Bookmark, Position
from broadcast_tui.core.session.updates import (
    CaughtUp,
    DirectOpened,
    PresenceChanged,
    RoomEntered,
    RoomLeft,
)
from broadcast_tui.tui.model.directs import DirectOpening, DirectRequest
from broadcast_tui.tui.model.notifications import alert_text
from broadcast_tui.tui.model.rooms import RoomSet, most_urgent
from broadcast_tui.tui.model.status import rooms_activity, status_items
from broadcast_tui.tui.widgets.room_list import Row
from tests.support.fake_client import AT
from tests.tui.model.test_notifications_of_state import NOON, Chat

ROOM, STORED = "@ana+bob~x1", "@ana+bob"
FAKE_EPOCH = "e1"


def opened(
    room: str = ROOM,
    other: str = "bob",
    *,
    durable: bool = False,
    ref: str = "",
    note: str = "",
    head: int = 1,
) -> DirectOpened:
    return DirectOpened(room, other, durable, note, ref, Position(FAKE_EPOCH, head))


def online(rooms: RoomSet | None = None) -> Chat:
    chat = Chat(rooms)
    chat.online()
    return chat


def enter(chat: Chat, *texts: str, room: str = ROOM, sender: str = "bob") -> None:
    """Enter a room with a replay."""
    chat.apply(
        RoomEntered(room, 2, len(texts)),
        *chat.posts(*texts, live=False, room=room, sender=sender),
        CaughtUp(room),
    )


def test_a_room_opened_by_another_person_is_joined_and_not_shown() -> None:
    chat = online()
    changes = chat.apply(opened())
    assert changes.directs == [DirectOpening(ROOM, False)]
    assert chat.state.rooms.shown_name == "lobby"
    changes = chat.apply(RoomEntered(ROOM, 2, 1), *chat.posts("psst", live=False, room=ROOM), CaughtUp(ROOM))
    room = chat.state.rooms.joined[ROOM]
    assert (room.label, room.unread, room.mention_count) == ("@bob", 1, 1)
    assert [alert_text(alert) for alert in changes.alerts] == ["bob to you alone: psst"]
    assert Row.of(room, False) == Row("@bob", 1, 0, False, False)
    assert rooms_activity(chat.state) == ("2:@bob 1", "2@")
    assert most_urgent(chat.state.rooms.joined.values()) is room


def test_each_live_post_of_the_other_counts_as_a_mention() -> None:
    chat = online()
    chat.apply(opened())
    enter(chat)
    changes = chat.apply(*chat.posts("one", "two", room=ROOM), *chat.posts("mine", room=ROOM, sender="ana"))
    assert chat.state.rooms.joined[ROOM].mention_count == 2
    assert [alert.mention for alert in changes.alerts] == [True, True]
    assert chat.state.directs.last_room == ROOM


def test_a_requested_room_is_shown_or_gets_the_message() -> None:
    chat = online()
    chat.state.directs.expect("n7", DirectRequest("bob", ("hello",)))
    [opening] = chat.apply(opened(ref="n7", note="bob cannot reply.")).directs
    assert opening == DirectOpening(ROOM, False, DirectRequest("bob", ("hello",)))
    assert "bob cannot reply." in chat.printed(ROOM)
    chat.state.directs.expect("n8", DirectRequest(show=True))
    assert chat.apply(opened(ref="n8")).directs == [DirectOpening(ROOM, True, DirectRequest(show=True))]


def test_ignored_people_open_nothing() -> None:
    chat = online()
    chat.state.rooms.ignore("bob", None)
    assert chat.apply(opened()).directs == []
    assert list(chat.state.rooms.joined) == ["lobby"]


def test_read_rooms_stay_closed_and_others_continue_after_the_bookmark() -> None:
    rooms = RoomSet(bookmarks={STORED: Bookmark(Position(FAKE_EPOCH, 3), NOON)})
    chat = online(rooms)
    assert chat.apply(opened(STORED, durable=True, head=3)).directs == []
    assert chat.apply(opened(STORED, durable=True, head=4)).directs == [DirectOpening(STORED, False)]


def test_only_stored_rooms_have_bookmarks() -> None:
    chat = online()
    for room in (ROOM, STORED):
        chat.apply(opened(room, durable=room == STORED))
        enter(chat, "hi", room=room)
    assert STORED in chat.state.rooms.current_bookmarks(AT)
    assert ROOM not in chat.state.rooms.current_bookmarks(AT)


def test_names_prove_nothing_is_said_once() -> None:
    chat = online()
    chat.apply(opened(), opened("@ana+zoe~x2", "zoe"), opened("@ana+mia", "mia", durable=True))
    warnings = [
        "Names prove nothing on this server: bob may be anyone. "
        "Direct messages end with the server and are not stored."
    ]
    assert [chat.printed(room) for room in (ROOM, "@ana+zoe~x2", "@ana+mia")] == [warnings, [], []]


def test_another_client_with_the_same_name_gets_another_room() -> None:
    chat = online()
    chat.apply(opened())
    chat.apply(opened("@ana+bob~x2"))
    rooms = chat.state.rooms
    assert [room.label for room in rooms.joined.values()] == ["#lobby", "@bob (old)", "@bob"]
    assert chat.printed("@ana+bob~x2") == [
        "Another client uses the name bob now. It may be a different person."
    ]
    assert rooms.direct_with("BOB") is rooms.joined["@ana+bob~x2"]


def test_the_label_follows_a_rename() -> None:
    chat = online()
    chat.apply(opened())
    enter(chat)
    chat.apply(PresenceChanged(ROOM, "rename", ("bob", "robert"), 2, "", AT))
    assert chat.state.rooms.joined[ROOM].label == "@robert"
    chat.apply(opened(other="rob"))
    assert chat.state.rooms.joined[ROOM].label == "@rob"


def test_only_renames_have_a_line_between_the_messages() -> None:
    chat = online()
    chat.apply(opened())
    enter(chat, "hi")
    room = chat.state.rooms.joined[ROOM]
    before = room.transcript.next_id
    for event in ("leave", "join"):
        chat.apply(PresenceChanged(ROOM, event, ("bob",), 2, "", AT))
    assert room.transcript.next_id == before
    assert "bob" in room.members
    chat.apply(PresenceChanged(ROOM, "rename", ("bob", "robert"), 2, "", AT))
    assert room.transcript.next_id == before + 1


def test_the_end_of_a_room_is_reported_where_the_user_is() -> None:
    chat = online()
    chat.apply(opened())
    enter(chat)
    chat.state.rooms.show(ROOM, chat.at)
    chat.apply(RoomLeft(ROOM))
    assert chat.state.rooms.shown_name == "lobby"
    assert chat.printed()[-1] == (
        "The direct messages with bob have ended: the server restarted and did not store them. "
        "/msg starts new ones."
    )


def test_a_closed_room_opens_again_with_the_next_message() -> None:
    chat = online()
    chat.apply(opened())
    enter(chat, "one")
    chat.state.rooms.part(ROOM, chat.at)
    chat.apply(RoomLeft(ROOM))
    assert not any("ended" in line for line in chat.printed())
    assert chat.apply(opened(head=2)).directs == [DirectOpening(ROOM, False)]
    enter(chat, "two")
    assert chat.state.rooms.joined[ROOM].unread == 2


def test_the_status_line_says_whether_the_other_person_is_there() -> None:
    chat = online()
    chat.apply(opened())
    enter(chat)
    chat.state.rooms.show(ROOM, chat.at)
    left, _ = status_items(chat.state, "server", 0.0)
    assert [item.text for item in left] == ["@bob", "bob is here"]
    chat.apply(PresenceChanged(ROOM, "leave", ("bob",), 1, "", AT))
    assert [item.text for item in status_items(chat.state, "server", 0.0)[0]] == ["@bob"]


def test_who_can_read_it_is_printed_if_there_is_no_header() -> None:
    for has_header in (True, False):
        chat = online()
        chat.state.has_header = has_header
        chat.apply(opened(durable=True))
        enter(chat)
        expected = [] if has_header else ["Only you and bob can read this conversation."]
        assert chat.printed(ROOM) == expected
