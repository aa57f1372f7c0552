"""Unsent texts at the end of a chat are in the input of the next one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.chat_app import Chat, chatting
from tests.support.running import eventually

pytestmark = pytest.mark.app


def write(chat: Chat, text: str) -> None:
    chat.composer.give_back(text)


async def quit_chat(chat: Chat) -> None:
    await chat.type("ctrl+q")
    assert chat.app.return_code == 0


def saved(home: Path) -> object:
    return json.loads((home / "drafts.json").read_text())


async def test_drafts_are_restored_per_room(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path, rooms=("lobby", "dev")) as chat:
        write(chat, "for the lobby\nin two lines")
        await chat.type("alt+2")
        write(chat, "for dev")
        await quit_chat(chat)
    async with chatting("ana", home=tmp_path, rooms=("lobby", "dev")) as chat:
        assert chat.composer.text == "for the lobby\nin two lines"
        assert chat.composer.cursor_location == (1, len("in two lines"))
        assert chat.client.called("send_typing") == []
        await chat.type("alt+2")
        assert chat.composer.text == "for dev"
        await chat.type("enter")
        assert chat.sent == ["for dev"]
    assert list(saved(tmp_path).values()) == [{"lobby": "for the lobby\nin two lines"}]  # type: ignore[attr-defined]


async def test_drafts_survive_a_crash(tmp_path: Path) -> None:
    async def crash() -> None:
        async with chatting("ana", home=tmp_path) as chat:
            write(chat, "unsent")
            chat.app._handle_exception(RuntimeError("broken"))
            await chat.pilot.pause()

    with pytest.raises(RuntimeError, match="broken"):
        await crash()
    async with chatting("ana", home=tmp_path) as chat:
        assert chat.composer.text == "unsent"


async def test_drafts_are_saved_while_the_chat_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast_tui.tui.draft_saver.IDLE_S", 0.01)
    async with chatting("ana", "bob", home=tmp_path) as chat:

        async def is_saved(*drafts: dict[str, str]) -> None:
            await eventually(
                lambda: (tmp_path / "drafts.json").exists() and list(saved(tmp_path).values()) == [*drafts]  # type: ignore[attr-defined]
            )

        await chat.type(*"half")
        await is_saved({"lobby": "half"})
        await chat.type("enter")
        await is_saved()
        await chat.type("up", "!")
        assert chat.composer.drafts.mode is not None, "an edit"
        await chat.type("escape")
        await chat.deliver(chat.client.post("bob", "Lunch?"))
        await chat.type("alt+up", "r", *"yes")
        await is_saved({"lobby": "yes"})
        await quit_chat(chat)


async def test_a_draft_is_saved_while_an_entry_of_the_history_is_shown(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        await chat.enter("sent before")
        write(chat, "unsent")
        await chat.type("up")
        assert chat.composer.text == "sent before"
        await quit_chat(chat)
    async with chatting("ana", home=tmp_path) as chat:
        assert chat.composer.text == "unsent"


async def test_a_changed_entry_of_the_history_is_a_draft(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        await chat.enter("sent before")
        await chat.type("ctrl+up", "!")
        await quit_chat(chat)
    async with chatting("ana", home=tmp_path) as chat:
        assert chat.composer.text == "sent before!"


async def test_a_reply_becomes_an_ordinary_draft(tmp_path: Path) -> None:
    async with chatting("ana", "bob", home=tmp_path) as chat:
        await chat.deliver(chat.client.post("bob", "Lunch?"))
        await chat.type("alt+up", "r", *"yes")
        await quit_chat(chat)
    async with chatting("ana", home=tmp_path) as chat:
        assert chat.composer.text == "yes"
        assert chat.composer.drafts.mode is None


async def test_the_draft_set_aside_for_a_reply_wins_and_the_reply_is_in_the_history(tmp_path: Path) -> None:
    async with chatting("ana", "bob", home=tmp_path) as chat:
        await chat.deliver(chat.client.post("bob", "Lunch?"))
        write(chat, "a longer text")
        await chat.type("alt+up", "r", *"yes")
        await quit_chat(chat)
    async with chatting("ana", home=tmp_path) as chat:
        assert chat.composer.text == "a longer text"
        await chat.type("ctrl+up")
        assert chat.composer.text == "yes"


@pytest.mark.parametrize("text", ["/token bt_0123456789abcdef", "/pasword hunter2", "my password: hunter2"])
async def test_secrets_are_not_saved(tmp_path: Path, text: str) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        write(chat, text)
        await quit_chat(chat)
    assert not (tmp_path / "drafts.json").exists()
    assert not any("hunter2" in file.read_text() for file in tmp_path.iterdir() if file.is_file())


async def test_a_kiosk_saves_no_drafts(tmp_path: Path) -> None:
    (tmp_path / "drafts.json").write_text('{"ws://127.0.0.1:1": {"lobby": "of another person"}}')
    before = (tmp_path / "drafts.json").read_text()
    async with chatting("ana", home=tmp_path, kiosk=True) as chat:
        assert chat.composer.text == ""
        write(chat, "unsent")
        await quit_chat(chat)
    assert (tmp_path / "drafts.json").read_text() == before


async def test_hostile_text_of_the_file_is_cleaned(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        url = chat.client.url
    (tmp_path / "drafts.json").write_text(json.dumps({url: {"lobby": "a\x1b[31mb\u202e"}}))
    async with chatting("ana", home=tmp_path) as chat:
        assert chat.composer.text == "a[31mb"


async def test_drafts_of_all_servers_are_saved(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        write(chat, "here")
        chat.screen.submit("/connect ws://other.example:1")
        await chat.pilot.pause()
        write(chat, "there")
        await quit_chat(chat)
        url = chat.client.url
    assert saved(tmp_path) == {url: {"lobby": "here"}, "ws://other.example:1": {"lobby": "there"}}
