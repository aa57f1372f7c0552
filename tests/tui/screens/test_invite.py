"""/invite: a link and its QR code, which fit the terminal or are replaced by what does."""

from __future__ import annotations

import pytest
from textual.widgets import Static

from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.qr_code import qr_rows
from broadcast_tui.tui.invites import Invite, InviteError, invite_lines, link_to
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.screens.invite import InviteScreen
from tests.support.chat_app import Chat, chatting
from tests.support.fake_context import FakeContext
from tests.support.running import eventually

DIRECT = "@ana+bob~x1"
LINK = "http://localhost:8765/rooms/lobby"
WITH_TOKEN = f"http://192.168.1.5:8765/rooms/lobby#token=bt_{'k' * 43}"


def shows_code(chat: Chat, link: str) -> bool:
    """Whether the whole QR code of `link` is on the screen."""
    drawn = chat.drawn()
    rows = [row.strip() for row in qr_rows(link) if row.strip()]
    return all(any(row in line for line in drawn) for row in rows)


async def open_invite(chat: Chat) -> None:
    await chat.enter("/invite")
    await eventually(lambda: isinstance(chat.app.screen, InviteScreen))
    await chat.pilot.pause()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 40)])
async def test_code_and_link_are_shown(size: tuple[int, int]) -> None:
    async with chatting("ana", size=size) as chat:
        await open_invite(chat)
        assert shows_code(chat, LINK)
        assert LINK in "".join(line.strip(" │") for line in chat.drawn())
        assert "Only this machine" in " ".join(chat.drawn())
        await chat.type("y")
        await eventually(lambda: "Copied" in chat.toasts)
        await chat.type("escape")
        assert chat.app.screen is chat.screen


@pytest.mark.parametrize(("size", "fits"), [((80, 24), True), ((120, 40), True), ((40, 10), False)])
async def test_invite_with_a_token(size: tuple[int, int], fits: bool) -> None:
    async with chatting("ana", size=size) as chat:
        chat.app.push_screen(InviteScreen(Invite(WITH_TOKEN, "Show it to nobody else.")))
        await chat.pilot.pause()
        await chat.pilot.pause()
        assert shows_code(chat, WITH_TOKEN) is fits
        text = chat.app.screen.query_one("#invite-text", Static)
        assert ("The QR code needs" in str(text.render())) is not fits


async def test_code_is_hidden_and_shown_when_the_terminal_is_resized() -> None:
    async with chatting("ana", size=(80, 24)) as chat:
        await open_invite(chat)
        await chat.pilot.resize_terminal(40, 10)
        await chat.pilot.pause()
        assert not shows_code(chat, LINK)
        assert LINK in " ".join(chat.drawn())
        await chat.pilot.resize_terminal(100, 30)
        await chat.pilot.pause()
        assert shows_code(chat, LINK)


async def test_failed_invite_is_a_warning() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/invite bob")
        await eventually(lambda: "cannot create tokens" in chat.toasts)
        assert chat.app.screen is chat.screen


def test_nobody_is_invited_to_direct_messages() -> None:
    context = FakeContext("ana")
    assert context.execute("/invite bob")
    assert context.called("open_invite") == [("bob",)]
    context.state.rooms.joined[DIRECT] = RoomModel(DIRECT)
    context.show_room(DIRECT)
    assert not context.execute("/invite")
    assert "direct messages" in context.warnings[-1]


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("ws://localhost:1", "http://localhost:1/rooms/dev"),
        ("wss://chat.example.org:8765", "https://chat.example.org:8765/rooms/dev"),
    ],
)
def test_link_is_that_of_the_client(url: str, link: str) -> None:
    invite = link_to(url, "dev")
    assert invite.link == link
    assert bool(invite.note) is ("localhost" in url)
    with pytest.raises(InviteError):
        link_to(url, "dev", "bob")


def test_lines_of_an_invite() -> None:
    def fail(url: str, room: str, name: str) -> Invite:
        raise BroadcastError(f"no invite for {name} to {room}")

    assert invite_lines(lambda *_: Invite("http://x"), "", "", "") == "http://x"
    assert invite_lines(lambda *_: Invite("http://x", "Note."), "", "", "") == "http://x\nNote."
    assert invite_lines(fail, "", "dev", "bob") == "no invite for bob to dev"
