"""/msg, /query, /r, and /part of direct messages."""

from __future__ import annotations

import pytest

from broadcast_tui.core.session.updates import CaughtUp, DirectOpened, Noticed, RoomEntered
from broadcast_tui.tui.commands.directs import follow_openings, split_name
from tests.support.fake_client import AT
from tests.support.fake_context import FakeContext

ROOM = "@ana+bob~x1"


class Context(FakeContext):
    def receive_opened(self, ref: str, room: str = ROOM, other: str = "bob") -> None:
        changes = self.state.apply([DirectOpened(room, other, True, ref=ref)], 0.0, AT)
        follow_openings(self.client, self.state, self, changes.directs)

    @property
    def last_ref(self) -> str:
        return f"n{self.client._count}"


def test_msg_opens_the_room_and_sends_without_showing_it() -> None:
    context = Context("ana", "bob")
    assert context.execute("/msg @bob hello there")
    assert context.client.called("direct") == [("bob",)]
    context.receive_opened(context.last_ref)
    assert context.client.called("join") == [(ROOM, "50")]
    assert context.client.called("say") == [(ROOM, "hello there")]
    assert context.output[-1] == "Sent to @bob only."
    assert context.state.rooms.shown_name == "lobby"
    assert context.state.rooms.joined[ROOM].transcript.pending_count == 1


def test_names_of_emoji_become_emoji_in_direct_messages() -> None:
    context = Context("ana", "bob")
    assert context.execute("/msg bob I :heart: it")
    context.receive_opened(context.last_ref)
    context.receive(context.client.post("bob", "hi", room=ROOM))
    assert context.execute("/r :+1:")
    assert context.client.called("say") == [(ROOM, "I ❤ it"), (ROOM, "👍")]


def test_a_message_to_nobody_returns_to_the_input() -> None:
    context = Context("ana", "bob")
    assert context.execute("/msg carl hello there")
    notice = Noticed("No such user: carl.", True, "unknown_person", context.last_ref)
    [rejected] = context.state.apply([notice], 0.0, AT).rejected
    assert (rejected.room, rejected.text) == ("lobby", "/msg carl hello there")
    assert context.state.apply([notice], 0.0, AT).rejected == []


def test_query_shows_the_room() -> None:
    context = Context("ana", "bob")
    assert context.execute("/query bob")
    context.receive_opened(context.last_ref)
    assert context.state.rooms.shown_name == ROOM
    assert context.client.called("say") == []


def test_r_answers_the_person_who_wrote_last() -> None:
    context = Context("ana", "bob")
    assert not context.execute("/r hi")
    assert context.warnings == ["Nobody has written to you yet. Use /msg bob hello."]
    context.receive_opened("")
    context.receive(RoomEntered(ROOM, 2, 0), CaughtUp(ROOM), context.client.post("bob", "psst", room=ROOM))
    assert context.execute("/r yes?")
    assert context.client.called("say") == [(ROOM, "yes?")]


def test_msg_needs_a_text_and_a_connection() -> None:
    context = Context("ana", "bob")
    assert not context.execute("/msg bob")
    assert "Specify a message: /msg bob hello" in context.warnings[-1]
    offline = Context()
    assert not offline.execute("/msg bob hello")
    assert offline.warnings == ["You are offline. Try again when you are connected."]


@pytest.mark.parametrize(
    ("typed", "name", "text"),
    [
        ("bob hi", "bob", "hi"),
        ("@bob: hi", "bob", "hi"),
        ("Mary Ann hi there", "Mary Ann", "hi there"),
        ("mary ann", "mary ann", ""),
        ("carl a  b", "carl", "a  b"),
        ("bob", "bob", ""),
    ],
)
def test_known_names_may_contain_spaces(typed: str, name: str, text: str) -> None:
    context = Context("ana", "bob", "Mary Ann")
    assert split_name(typed, context.state) == (name, text)


def test_part_closes_the_room_and_join_opens_it_again() -> None:
    context = Context("ana", "bob")
    context.receive_opened("")
    assert context.execute("/part @bob")
    assert context.client.called("leave") == [(ROOM,)]
    assert context.output[-1] == "Closed @bob until the next message. /join opens it again."
    assert context.execute("/join @bob")
    assert context.client.called("join") == [(ROOM, "50"), (ROOM, "50")]


def test_buffer_finds_the_room_by_the_name_of_the_person() -> None:
    context = Context("ana", "bob")
    context.receive_opened("")
    assert context.execute("/buffer bob")
    assert context.state.rooms.shown_name == ROOM
