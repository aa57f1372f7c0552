from __future__ import annotations

import pytest
from textual import events
from textual.app import App, ComposeResult

from broadcast_tui.tui.model.completion import People
from broadcast_tui.tui.widgets.composer import PASTE_MAX, Composer, clean_paste
from tests.support.chat_app import press


class Stage(App[None]):
    """A composer and what it said."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted: list[str] = []

    def compose(self) -> ComposeResult:
        yield Composer(lambda: People(("bob",), ("alice", "ana", "bob"), "ana"))

    @property
    def composer(self) -> Composer:
        return self.query_one(Composer)

    def on_composer_submitted(self, event: Composer.Submitted) -> None:
        self.submitted.append(event.text)
        self.composer.remember(event.text)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_enter_sends_and_empties_the_input(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"hi", "enter")
        await pilot.pause()
        assert stage.submitted == ["hi"]
        assert stage.composer.text == ""


async def test_blanks_are_not_sent(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, "enter", " ", "enter", "alt+enter", "enter")
        await pilot.pause()
        assert stage.submitted == []


async def test_a_new_line_does_not_send(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, "a", "alt+enter", "b", "shift+enter", "c", "ctrl+j", "d", "enter")
        await pilot.pause()
        assert stage.submitted == ["a\nb\nc\nd"]


async def test_letters_typed_right_after_enter_belong_to_the_next_post(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        for key in ["o", "n", "e", "enter", "t", "w", "o", "ctrl+u", "x", "enter"]:
            character = {"enter": "\r", "ctrl+u": "\x15"}.get(key, key)
            stage.post_message(events.Key(key, character))
        await pilot.pause()
        assert stage.submitted == ["one", "x"]


async def test_the_input_grows_to_eight_rows_and_no_further(stage: Stage) -> None:
    async with stage.run_test(size=(40, 20)) as pilot:
        heights = []
        for rows in (1, 2, 7, 8, 9, 30):
            stage.composer.text = "\n" * (rows - 1)
            await pilot.pause()
            heights.append(stage.composer.size.height)
        assert heights == [1, 2, 7, 8, 8, 8]


async def test_up_and_down_walk_the_history_and_restore_the_draft(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"one", "enter", *"two", "enter", *"draft")
        await press(pilot, "up")
        assert stage.composer.text == "two"
        await press(pilot, "up")
        assert stage.composer.text == "one"
        await press(pilot, "up", "down", "down")
        assert stage.composer.text == "draft"
        await press(pilot, "down")
        assert stage.composer.text == "draft"


async def test_up_moves_within_several_lines_first(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"old", "enter", "a", "alt+enter", "b", "up")
        assert stage.composer.text == "a\nb"
        assert stage.composer.cursor_location[0] == 0
        await press(pilot, "up")
        assert stage.composer.text == "old"
        await press(pilot, "down")
        assert stage.composer.text == "a\nb"


async def test_tab_completes_and_cycles(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, "tab")
        assert stage.composer.text == "bob: "
        await press(pilot, "tab")
        assert stage.composer.text == "alice: "
        await press(pilot, "shift+tab", *"hi")
        assert stage.composer.text == "bob: hi"
        assert stage.composer.has_focus


READLINE: list[tuple[list[str], str, int]] = [
    (["ctrl+a"], "one two", 0),
    (["ctrl+a", "right", "ctrl+d"], "oe two", 1),
    (["ctrl+b", "ctrl+t"], "one tow", 7),
    (["ctrl+t"], "one tow", 7),
    (["ctrl+w"], "one ", 4),
    (["ctrl+w", "ctrl+y"], "one two", 7),
    (["ctrl+w", "ctrl+w", "ctrl+y"], "one two", 7),
    (["ctrl+u"], "", 0),
    (["ctrl+u", "ctrl+y", "ctrl+y"], "one twoone two", 14),
    (["alt+b", "ctrl+k"], "one ", 4),
    (["alt+b", "ctrl+k", "ctrl+a", "ctrl+y"], "twoone ", 3),
    (["ctrl+a", "alt+f", "x"], "onex two", 4),
    (["ctrl+a", "alt+d"], " two", 0),
    (["alt+backspace"], "one ", 4),
    (["ctrl+a", "ctrl+e", "!"], "one two!", 8),
    (["ctrl+w", "ctrl+underscore"], "one two", 7),
]


async def test_keys_of_readline(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        for keys, text, cursor in READLINE:
            stage.composer.text = ""
            await press(pilot, *"one two", *keys)
            assert (keys, stage.composer.text, stage.composer.offset_of_cursor) == (keys, text, cursor)


async def test_alt_backspace_cuts_to_the_edge_of_the_word_ctrl_w_to_the_blank(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"a/b", "alt+backspace")
        assert stage.composer.text == "a/"
        await press(pilot, "b", "ctrl+w")
        assert stage.composer.text == ""


async def test_cutting_joins_lines(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, "a", "alt+enter", "b", "ctrl+a", "ctrl+u")
        assert stage.composer.text == "ab"


async def test_a_paste_is_kept_whole_cleaned_and_never_sends_itself(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        stage.composer.post_message(events.Paste("one\r\ntwo\x1b[31m\x9b\u202e\rthree\tx\n"))
        await pilot.pause()
        assert stage.composer.text == "one\ntwo[31m\nthree   x\n"
        assert stage.submitted == []
        await press(pilot, "enter")
        await pilot.pause()
        assert stage.submitted == ["one\ntwo[31m\nthree   x"]


async def test_a_paste_takes_the_place_of_the_selection(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"abc", "shift+left", "shift+left")
        stage.composer.post_message(events.Paste("X"))
        await pilot.pause()
        assert stage.composer.text == "aX"


def test_a_paste_is_bounded() -> None:
    assert len(clean_paste("x" * (PASTE_MAX + 5))) == PASTE_MAX


async def test_a_rejected_text_comes_back_before_what_was_typed_since(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"new")
        stage.composer.reject("old ")
        assert stage.composer.text == "old new"
        assert not stage.composer.give_back("other")
        assert stage.composer.text == "old new"


async def test_markup_is_only_text(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        stage.composer.set_hint("[/] [red]x")
        await press(pilot, *"[/]", "[", "r", "]")
        await pilot.pause()
        assert stage.composer.text == "[/][r]"
