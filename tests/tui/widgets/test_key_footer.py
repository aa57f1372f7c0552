"""The footer of the chat: which keys it shows, when it is rebuilt, and clicks on it."""

from __future__ import annotations

from textual.widgets._footer import FooterKey

from broadcast_tui.tui.screens.help import HelpScreen
from broadcast_tui.tui.widgets.find_bar import FindInput
from broadcast_tui.tui.widgets.key_footer import KeyFooter
from tests.support.chat_app import chatting


async def test_the_footer_is_rebuilt_only_when_its_keys_change() -> None:
    async with chatting("ana", "bob") as chat:
        footer = chat.screen.query_one(KeyFooter)
        keys = list(footer.query(FooterKey))
        assert chat.drawn("KeyFooter")[0].split()[::2][:2] == ["F1", "Alt+K"]
        await chat.type("ctrl+f")
        assert isinstance(chat.app.focused, FindInput)
        await chat.type("escape")
        assert list(footer.query(FooterKey)) == keys
        chat.app.set_keymap({"app.show-help": "f2"})
        await chat.type("ctrl+f")
        assert "F2 Help" in chat.drawn("KeyFooter")[0]


async def test_a_click_on_a_key_runs_its_action() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.pilot.click("FooterKey")
        await chat.settled()
        assert isinstance(chat.app.screen, HelpScreen)


async def test_the_chat_is_laid_out_for_its_size_at_once() -> None:
    async with chatting("ana", "bob", size=(120, 6)) as chat:
        assert {"-wide", "-low"} <= chat.screen.classes
        await chat.pilot.resize_terminal(50, 30)
        assert {"-narrow", "-roomy"} <= chat.screen.classes
        assert not {"-wide", "-low"} & chat.screen.classes


async def test_a_removed_footer_is_not_rebuilt() -> None:
    async with chatting("ana", "bob") as chat:
        footer = chat.screen.query_one(KeyFooter)
        await footer.remove()
        await footer.recompose()


async def test_keys_that_do_not_fit_are_left_out() -> None:
    async with chatting("ana", "bob", size=(60, 20)) as chat:
        assert chat.drawn("KeyFooter")[0].endswith("^G Commands")
        await chat.pilot.resize_terminal(80, 24)
        await chat.settled()
        assert chat.drawn("KeyFooter")[0].endswith("^G Commands  Alt+Up Reply, React")
        await chat.pilot.resize_terminal(40, 10)
        await chat.settled()
        assert chat.drawn("KeyFooter")[0].endswith("^Q Quit")
