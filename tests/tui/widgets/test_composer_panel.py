from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from textual import events
from textual.command import CommandPalette

from broadcast_tui.core.session.updates import ConnectionChanged, ConnectionState, PostRejected, Welcomed
from broadcast_tui.tui.commands.registry import COMMANDS
from broadcast_tui.tui.screens.chat import ChatScreen
from broadcast_tui.tui.screens.choice import LETTERS_AFTER_S, ChoiceScreen
from broadcast_tui.tui.widgets.suggestion_list import ROWS_MAX, SuggestionList
from tests.support.chat_app import Chat, chatting
from tests.support.running import eventually

LONG = "\n".join(f"row {number}" for number in range(21))


async def paste(chat: Chat, text: str) -> None:
    chat.composer.post_message(events.Paste(text))
    await chat.type()


def suggested(chat: Chat) -> list[str]:
    """The rows of the list above the input, as drawn."""
    return (
        [row.strip() for row in chat.drawn("SuggestionList")]
        if chat.screen.query_one(SuggestionList).display
        else []
    )


def footer_shows(chat: Chat, text: str, shown: bool) -> bool:
    return (text in chat.drawn("Footer")[0]) is shown


async def test_commands_are_listed_above_the_input_and_cover_no_more_than_half() -> None:
    async with chatting("ana") as chat:
        log = chat.screen.log_view.region
        await chat.type("/")
        assert len(suggested(chat)) == ROWS_MAX
        assert any("/me <action> " in row and "action in the third person" in row for row in suggested(chat))
        assert suggested(chat)[-1].endswith(f"1–{ROWS_MAX} of {len(COMMANDS)}")
        assert chat.screen.query_one(SuggestionList).region.bottom == chat.screen.status.region.y
        assert chat.screen.log_view.region == log
        for height, rows in [(10, 3), (6, 2), (4, 1), (3, 1), (2, 0), (1, 0)]:
            await chat.pilot.resize_terminal(40, height)
            await chat.type()
            assert (height, len(suggested(chat))) == (height, rows)
            assert chat.composer.text == "/"


async def test_the_numbers_of_the_listed_suggestions_move_with_the_choice() -> None:
    async with chatting("ana") as chat:
        await chat.type("/", "up")
        count = len(COMMANDS)
        assert suggested(chat)[-1].endswith(f"{count - ROWS_MAX + 1}–{count} of {count}")
        await chat.type("ctrl+u", *"/he")
        assert " of " not in suggested(chat)[-1]


async def test_a_click_accepts_a_suggestion() -> None:
    async with chatting("ana", "alan", "alice") as chat:
        await chat.type(*"hi al", "tab")
        assert suggested(chat) == ["alan", "alice"]
        await chat.pilot.click(SuggestionList, offset=(2, 1))
        assert chat.composer.text == "hi alice "
        await chat.type("ctrl+u", *"/h")
        await chat.pilot.click(SuggestionList, offset=(2, 0))
        assert chat.composer.text == "/help "


async def test_people_who_mentioned_the_user_are_completed_first() -> None:
    async with chatting("ana", "alice", "bob", "eve") as chat:
        await chat.deliver(
            chat.client.post("alice", "ana: are you there?"),
            chat.client.post("bob", "banana"),
            chat.client.post("eve", "hello"),
        )
        await chat.type("tab")
        assert chat.composer.text == "alice: "
        await chat.type("tab")
        assert chat.composer.text == "eve: "


async def test_the_history_search_has_a_prompt_on_a_small_screen() -> None:
    async with chatting("ana", size=(40, 3)) as chat:
        await chat.enter("something said")
        await chat.type("ctrl+r", *"som")
        assert suggested(chat) == ["(search) som   something said"]
        await chat.type("escape")
        assert suggested(chat) == []


async def test_history_search_keys_are_bound_only_during_a_search() -> None:
    async with chatting("ana") as chat:
        for keys, commands in [((), True), (("ctrl+r",), False), (("ctrl+g",), True)]:
            await chat.type(*keys)
            await eventually(partial(footer_shows, chat, "^G Commands", commands))
        await chat.type("ctrl+g")
        assert isinstance(chat.app.screen, CommandPalette)


async def test_escape_first_closes_the_search_and_then_scrolls_to_the_end() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(*(chat.client.post("bob", f"line {i}") for i in range(60)))
        await chat.type("pageup", "ctrl+r", "escape")
        assert not any("line 59" in row for row in chat.drawn("#log"))
        await chat.type("escape")
        assert any("line 59" in row for row in chat.drawn("#log"))


async def test_a_long_paste_must_be_confirmed() -> None:
    async with chatting("ana") as chat:
        await paste(chat, LONG)
        assert "Pasted 21 lines. Press Enter" in chat.toasts
        for _ in range(3):
            await chat.type("enter")
            assert isinstance(chat.app.screen, ChoiceScreen)
            assert any("Send 21 lines as one post?" in row for row in chat.drawn())
            await chat.type("enter")
            assert isinstance(chat.app.screen, ChatScreen)
        assert chat.sent == []
        assert chat.composer.text == LONG


async def test_a_confirmed_paste_is_sent_as_one_post() -> None:
    async with chatting("ana") as chat:
        await paste(chat, LONG)
        await chat.type("enter", "right", "enter")
        await chat.type()
        assert chat.sent == [LONG]
        assert chat.composer.text == ""
        await chat.type("up")
        assert chat.composer.text == LONG


@pytest.mark.parametrize("size", [(80, 24), (40, 10)])
async def test_the_question_before_a_long_post_has_a_frame(size: tuple[int, int]) -> None:
    async with chatting("ana", size=size) as chat:
        await paste(chat, LONG)
        await chat.type("enter")
        rows = [row.strip() for row in chat.drawn("#choice")]
        assert (rows[0][0], rows[-1][0]) == ("╭", "╰")
        assert all(row.startswith("│") and row.endswith("│") for row in rows[1:-1])


async def test_a_discarded_paste_is_in_the_history() -> None:
    async with chatting("ana") as chat:
        await paste(chat, LONG)
        await chat.type("enter", "right", "right", "enter")
        await chat.type()
        assert chat.sent == []
        assert chat.composer.text == ""
        await chat.type("up")
        assert chat.composer.text == LONG


@pytest.mark.parametrize(("letter", "sent", "left"), [("s", [LONG], ""), ("d", [], ""), ("e", [], LONG)])
async def test_the_question_has_letters_which_do_nothing_at_first(
    letter: str, sent: list[str], left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("broadcast_tui.tui.screens.choice.monotonic", lambda: now[0])
    async with chatting("ana") as chat:
        await paste(chat, LONG)
        await chat.type("enter", letter)
        assert isinstance(chat.app.screen, ChoiceScreen)
        now[0] = LETTERS_AFTER_S
        await chat.type(letter)
        await chat.type()
        assert isinstance(chat.app.screen, ChatScreen)
        assert (chat.sent, chat.composer.text) == (sent, left)


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_leaving_the_question_keeps_the_text(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast_tui.tui.screens.choice.monotonic", lambda: 0.0)
    async with chatting("ana", size=(40, 10)) as chat:
        await paste(chat, LONG)
        await chat.type("enter", "right", "s", key)
        assert isinstance(chat.app.screen, ChatScreen)
        assert (chat.sent, chat.composer.text) == ([], LONG)


async def test_twenty_lines_are_sent_without_a_question() -> None:
    async with chatting("ana") as chat:
        await paste(chat, LONG.partition("\n")[2])
        await chat.type("enter")
        assert len(chat.sent) == 1


async def test_a_post_that_is_too_large_shows_a_warning_and_is_not_sent() -> None:
    async with chatting("ana") as chat:
        await chat.deliver(Welcomed("ana", "n1", ("lobby",), 20))
        await paste(chat, "é" * 11)
        assert "⚠ 2 bytes too long" in chat.drawn("#status")[0]
        await chat.type("enter")
        assert chat.sent == []
        assert chat.composer.text == "é" * 11
        assert "2 bytes too long for one post" in chat.toasts
        await chat.type("backspace")
        assert "too long" not in chat.drawn("#status")[0]
        await chat.type("enter")
        assert chat.sent == ["é" * 10]


async def test_queued_posts_are_counted() -> None:
    async with chatting("ana") as chat:
        await chat.enter("one")
        assert "queued" not in chat.drawn("#status")[0]
        await chat.deliver(ConnectionChanged(ConnectionState.WAITING, "no answer", 9.0))
        await chat.enter("two")
        assert "⏳ 2 queued" in chat.drawn("#status")[0]
        await chat.deliver(ConnectionChanged(ConnectionState.ONLINE))
        assert "queued" not in chat.drawn("#status")[0]


async def test_a_rejected_text_goes_to_the_history_if_another_is_being_typed() -> None:
    async with chatting("ana") as chat:
        await chat.enter("refused")
        await chat.enter("accepted")
        await chat.type(*"draft")
        await chat.deliver(PostRejected("lobby", "n1", "rate_limited", "Too\x1b fast.", "refused"))
        assert chat.composer.text == "draft"
        assert "Not sent: Too␛ fast." in chat.toasts
        await chat.type("up")
        assert chat.composer.text == "refused"
        await chat.type("down")
        assert chat.composer.text == "draft"


async def test_history_survives_a_restart(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        await chat.enter("before")
        await chat.enter("/who")
        await chat.enter(" secret")
        await chat.enter("/hlep")
    async with chatting("ana", home=tmp_path) as chat:
        await chat.type("up")
        assert chat.composer.text == "/who"
        await chat.type("up")
        assert chat.composer.text == "before"
        await chat.type("up")
        assert chat.composer.text == "before"


async def test_an_unreadable_history_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "input-history.jsonl").mkdir()
    async with chatting("ana", home=tmp_path) as chat:
        assert "Cannot read" in chat.toasts
        await chat.enter("still works")
        assert chat.sent == ["still works"]
