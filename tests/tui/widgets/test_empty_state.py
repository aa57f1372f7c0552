from __future__ import annotations

from broadcast_tui.core.session.updates import CaughtUp, PresenceChanged, RoomEntered
from broadcast_tui.tui.invites import Invite, join_command
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.widgets.empty_state import MORE, EmptyState, filled, note_rows, people_text
from tests.support.chat_app import Chat, chatting
from tests.support.fake_client import AT
from tests.support.running import eventually


def drawn(chat: Chat) -> str:
    return "\n".join(chat.drawn())


async def test_an_empty_room_shows_how_others_join_and_three_keys() -> None:
    async with chatting("ana") as chat:
        await eventually(lambda: "broadcast-tui chat localhost:8765" in drawn(chat))
        rows = [row.strip() for row in chat.drawn("#empty") if row.strip()]
        assert rows[:2] == ["#lobby", "Nobody else is here yet"]
        assert "F1 Help   Alt+K Rooms   Ctrl+G Commands" in rows
        assert "Joined #lobby as ana" in "\n".join(chat.drawn("#log"))


async def test_the_first_message_ends_the_empty_state() -> None:
    async with chatting("ana", "bob") as chat:
        assert "No messages yet" in drawn(chat)
        height = chat.screen.log_view.size.height
        await chat.deliver(chat.client.post("bob", "hi", at=AT))
        assert not chat.screen.query_one(EmptyState).display
        assert chat.screen.log_view.size.height > height
        assert "hi" in drawn(chat)


async def test_a_person_who_joins_changes_the_text() -> None:
    async with chatting("ana") as chat:
        assert "Nobody else is here yet" in "\n".join(chat.drawn("#empty"))
        await chat.deliver(PresenceChanged("lobby", "join", ("bob",), 2, "bob joined", AT))
        assert "No messages yet" in "\n".join(chat.drawn("#empty"))
        assert "Nobody else" not in "\n".join(chat.drawn("#empty"))


async def test_further_lines_stand_above_the_keys() -> None:
    async with chatting("ana", size=(80, 30)) as chat:
        chat.screen.query_one(EmptyState).add_lines(["Write a message and press Enter."])
        await chat.pilot.pause()
        rows = [row.strip() for row in chat.drawn("#empty") if row.strip()]
        assert rows.index("Write a message and press Enter.") == len(rows) - 2


async def test_long_output_of_a_command_gets_the_whole_log() -> None:
    async with chatting("ana") as chat:
        for number in range(7):
            chat.screen.context.print(f"line {number}")
        await chat.settled()
        assert not chat.screen.query_one(EmptyState).display


async def test_a_low_terminal_shows_the_log_only() -> None:
    async with chatting("ana", size=(80, 12)) as chat:
        assert not chat.screen.query_one(EmptyState).display


async def test_a_room_left_empty_has_an_invite_of_its_own() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/join dev")
        await chat.deliver(RoomEntered("dev", 1, 0), CaughtUp("dev"))
        await eventually(lambda: "broadcast-tui chat localhost:8765/dev" in drawn(chat))
        assert "#dev" in "\n".join(chat.drawn("#empty"))


async def test_a_narrow_terminal_breaks_no_command_and_no_key() -> None:
    async with chatting("ana", size=(40, 24)) as chat:
        await eventually(lambda: "  broadcast-tui chat localhost:8765" in drawn(chat))
        rows = [row.strip() for row in chat.drawn("#empty")]
        assert "F1 Help   Alt+K Rooms" in rows
        assert "Ctrl+G Commands" in rows
        await chat.pilot.resize_terminal(34, 24)
        await eventually(lambda: MORE in drawn(chat))
        assert "broadcast-tui" not in drawn(chat)


SERVE = (
    "Only this machine can join. For others, restart it with: broadcast-tui serve --host 0.0.0.0 --port 8841"
)


def test_a_command_in_a_note_has_a_row_of_its_own_or_is_left_out() -> None:
    only, command = "Only this machine can join.", "broadcast-tui serve --host 0.0.0.0 --port 8841"
    assert note_rows(SERVE, 76, more=MORE) == [f"{only} For others, restart it with:", command]
    assert note_rows(SERVE, 46, more=MORE)[-1] == command
    assert note_rows(SERVE, 45, more=MORE) == [only, MORE]
    assert note_rows(SERVE, 45, more="") == [only]
    note = "A token is required to join. /invite NAME creates one."
    assert note_rows(note, 36, more=MORE) == ["A token is required to join.", "/invite NAME creates one."]


def test_rows_are_filled() -> None:
    assert filled(["one", "two", "three"], 7) == ["one two", "three"]
    assert filled(["陈伟", "bob"], 7) == ["陈伟", "bob"]
    assert filled(["too wide", "x"], 3) == ["too wide", "x"]
    assert filled([], 3) == []


def test_a_room_for_direct_messages_names_its_readers() -> None:
    room = RoomModel("@ana+bob")
    room.other = "bob"
    assert people_text(room) == "Only you and bob can read this"


def test_the_command_is_as_short_as_the_address_allows() -> None:
    assert join_command(Invite("http://host:8765/rooms/lobby")) == "broadcast-tui chat host:8765"
    assert join_command(Invite("http://host:8765/rooms/dev")) == "broadcast-tui chat host:8765/dev"
    assert join_command(Invite("http://[::1]:8765/rooms/dev")) == "broadcast-tui chat [::1]:8765/dev"
    fragment = "#pin=sha256:" + "A" * 43
    command = f"broadcast-tui chat 'wss://host:8765/lobby{fragment}'"
    assert join_command(Invite(f"https://host:8765/rooms/lobby{fragment}")) == command
    assert join_command(Invite("", "no")) == ""
