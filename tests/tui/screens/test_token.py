"""The token dialog: opened if the server requires a token, hides the input, saves it on request."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from broadcast_tui.client.storage.credentials import Credentials, PendingCredentials
from broadcast_tui.core.session.updates import ConnectionChanged, ConnectionState, DisconnectCause
from broadcast_tui.tui.screens.chat import ChatScreen
from broadcast_tui.tui.screens.token import TokenScreen
from broadcast_tui.tui.token_prompt import TokenPrompter
from tests.support.chat_app import Chat, chatting

URL = "ws://localhost:8765"
TOKEN = "bt_" + "a1_-" * 10
UNAUTHORIZED = DisconnectCause.UNAUTHORIZED
TOKEN_REQUIRED = ConnectionChanged(ConnectionState.REFUSED, "This server needs a token.", cause=UNAUTHORIZED)


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast_tui.client.storage.credentials._keyring", lambda: None)


def save_credentials_in(chat: Chat, home: Path, *, token: str = "", pin: str = "") -> Credentials:
    """Let the app save credentials in `home`."""
    credentials = Credentials(home)
    shown = chat.app._connections.shown
    assert shown is not None
    shown.tokens = TokenPrompter(chat.app, PendingCredentials(credentials, URL, token, pin))
    return credentials


async def wait_until_saved(chat: Chat) -> None:
    """Wait until the credentials are saved."""
    for worker in [worker for worker in chat.app.workers if worker.group == "keeping"]:
        await worker.wait()
    await chat.pilot.pause()


async def test_a_server_that_requires_a_token_opens_the_dialog_with_its_reason() -> None:
    async with chatting("ana") as chat:
        await chat.deliver(TOKEN_REQUIRED)
        assert isinstance(chat.app.screen, TokenScreen)
        drawn = "\n".join(chat.drawn())
        assert "This server needs a token." in drawn
        assert URL in drawn


async def test_any_other_rejection_opens_no_dialog() -> None:
    async with chatting("ana") as chat:
        await chat.deliver(ConnectionChanged(ConnectionState.REFUSED, "You were removed."))
        assert isinstance(chat.app.screen, ChatScreen)


@pytest.mark.parametrize("size", [(80, 24), (40, 10)])
async def test_the_token_is_hidden_and_sent_to_the_server(size: tuple[int, int]) -> None:
    async with chatting("ana", size=size) as chat:
        await chat.deliver(TOKEN_REQUIRED)
        await chat.type(*TOKEN)
        drawn = "\n".join(chat.drawn())
        assert TOKEN[:8] not in drawn
        assert "•••" in drawn
        assert "Enter Connect" in drawn
        await chat.type("enter")
        assert chat.client.called("authenticate") == [(TOKEN,)]
        assert isinstance(chat.app.screen, ChatScreen)


async def test_the_token_is_saved_after_success_if_checked(tmp_path: Path) -> None:
    async with chatting("ana") as chat:
        credentials = save_credentials_in(chat, tmp_path)
        await chat.deliver(TOKEN_REQUIRED)
        await chat.type(*TOKEN, "tab", "space")
        assert "[x] Save" in "\n".join(chat.drawn())
        await chat.type("enter")
        assert credentials.token(URL) == "", "it has not worked yet"
        await chat.deliver(ConnectionChanged(ConnectionState.ONLINE))
        await wait_until_saved(chat)
        assert credentials.token(URL) == TOKEN
        assert "is saved in" in chat.toasts
        assert TOKEN not in chat.toasts


async def test_keys_in_one_read_run_in_order(tmp_path: Path) -> None:
    async with chatting("ana") as chat:
        await chat.deliver(TOKEN_REQUIRED)
        for key in (*TOKEN, "tab", "space"):
            chat.app.post_message(events.Key(key, " " if key == "space" else key if len(key) == 1 else None))
        await chat.pilot.pause()
        assert "[x] Save" in "\n".join(chat.drawn())
        assert chat.app.screen.query_one(Input).value == TOKEN


async def test_the_token_is_not_saved_unless_checked(tmp_path: Path) -> None:
    async with chatting("ana") as chat:
        credentials = save_credentials_in(chat, tmp_path)
        await chat.deliver(TOKEN_REQUIRED)
        await chat.type(*TOKEN, "enter")
        await chat.deliver(ConnectionChanged(ConnectionState.ONLINE))
        await wait_until_saved(chat)
        assert not credentials.path.exists()


async def test_a_rejected_token_is_requested_again_and_not_saved(tmp_path: Path) -> None:
    async with chatting("ana") as chat:
        credentials = save_credentials_in(chat, tmp_path)
        await chat.deliver(TOKEN_REQUIRED)
        await chat.type(*TOKEN, "tab", "space", "enter")
        wrong = ConnectionChanged(ConnectionState.REFUSED, "This token is not valid.", cause=UNAUTHORIZED)
        await chat.deliver(wrong)
        assert "This token is not valid." in "\n".join(chat.drawn("#token-reason"))
        assert chat.app.screen.query_one(Input).value == ""
        await chat.type("escape")
        await chat.deliver(ConnectionChanged(ConnectionState.ONLINE))
        await wait_until_saved(chat)
        assert not credentials.path.exists()


async def test_the_token_of_an_invite_is_saved_after_success(tmp_path: Path) -> None:
    pin = "sha256:" + "A" * 43
    async with chatting("ana") as chat:
        credentials = save_credentials_in(chat, tmp_path, token=TOKEN, pin=pin)
        await chat.deliver(ConnectionChanged(ConnectionState.ONLINE))
        await wait_until_saved(chat)
        assert (credentials.token(URL), credentials.pin(URL)) == (TOKEN, pin)


@pytest.mark.parametrize(("typed", "error"), [("", "Enter a token"), ("two words", "Invalid token")])
async def test_an_invalid_token_is_rejected_in_the_dialog(typed: str, error: str) -> None:
    async with chatting("ana") as chat:
        await chat.deliver(TOKEN_REQUIRED)
        chat.app.screen.query_one(Input).value = typed
        await chat.type("enter")
        assert isinstance(chat.app.screen, TokenScreen)
        assert error in "\n".join(chat.drawn("#token-reason"))
        assert chat.client.called("authenticate") == []


async def test_escape_closes_the_dialog_and_shows_the_chat() -> None:
    async with chatting("ana") as chat:
        await chat.deliver(chat.client.post("bob", "still here"), TOKEN_REQUIRED)
        await chat.type("escape")
        assert isinstance(chat.app.screen, ChatScreen)
        assert any("still here" in row for row in chat.drawn())
