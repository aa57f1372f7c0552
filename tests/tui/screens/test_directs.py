"""Direct messages on the chat screen."""

from __future__ import annotations

from broadcast_tui.core.session.updates import CaughtUp, DirectOpened, Noticed, RoomEntered
from tests.support.chat_app import Chat, chatting

ROOM = "@ana+bob~x1"


async def open_room(chat: Chat, ref: str = "") -> None:
    await chat.deliver(DirectOpened(ROOM, "bob", False, ref=ref))
    await chat.deliver(RoomEntered(ROOM, 2, 0), CaughtUp(ROOM))


async def test_a_post_is_never_sent_to_the_room_from_which_a_conversation_is_opened() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.enter("/query bob")
        ref = f"n{chat.client._count}"
        await chat.enter("a secret")
        await chat.enter("/me whispers")
        assert chat.client.called("say") == []
        await open_room(chat, ref)
        assert chat.client.called("say") == [(ROOM, "a secret"), (ROOM, "/me whispers")]
        assert chat.screen._state.rooms.shown_name == ROOM


async def test_a_message_returns_to_the_input_if_the_conversation_cannot_be_opened() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.enter("/query carl")
        ref = f"n{chat.client._count}"
        await chat.enter("a secret")
        await chat.deliver(Noticed("No such user: carl.", True, "unknown_person", ref))
        assert chat.client.called("say") == []
        assert chat.composer.text == "/msg carl a secret"


async def test_a_conversation_opens_without_moving_the_view() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.type(*"half a ")
        await open_room(chat)
        await chat.deliver(chat.client.post("bob", "psst", room=ROOM))
        assert chat.composer.text == "half a "
        assert chat.client.called("join") == [(ROOM, "50")]
        assert chat.app.screen is chat.screen
        assert chat.screen._state.rooms.shown_name == "lobby"


async def test_conversations_are_not_saved_as_rooms() -> None:
    async with chatting("ana", "bob") as chat:
        await open_room(chat)
        await chat.enter("/buffer bob")
        rooms = chat.app._preferences.rooms[chat.client.url]
        assert rooms.joined == ("lobby",)


async def test_search_and_pins_of_a_conversation_name_the_other_person() -> None:
    async with chatting("ana", "bob") as chat:
        await open_room(chat)
        await chat.enter("/buffer bob")
        for command, title in (("/pins", "Pinned in @bob"), ("/search lunch", "Search @bob: lunch")):
            await chat.enter(command)
            assert str(chat.app.screen.query_one("#search").border_title) == title
            await chat.type("escape")


async def test_a_click_on_a_person_opens_direct_messages() -> None:
    async with chatting("ana", "bob", size=(100, 24)) as chat:
        await chat.type(*"half a ")
        rows = [row.strip() for row in chat.drawn("#people")]
        await chat.pilot.click("#people", offset=(2, rows.index("ana (you)")))
        await chat.pilot.click("#people", offset=(2, rows.index("2 here")))
        await chat.pilot.click("#people", offset=(2, rows.index("bob") + 3))
        assert chat.client.called("direct") == []
        await chat.pilot.click("#people", offset=(2, rows.index("bob")))
        assert chat.client.called("direct") == [("bob",)]
        await open_room(chat, f"n{chat.client._count}")
        assert chat.screen._state.rooms.shown_name == ROOM
        assert chat.composer.text == ""
        await chat.type("alt+1")
        assert chat.composer.text == "half a "
