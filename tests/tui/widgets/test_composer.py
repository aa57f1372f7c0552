from __future__ import annotations

import pytest
from textual import events
from textual.app import App, ComposeResult

from broadcast_tui.tui.model.input.completion import CompletionContext
from broadcast_tui.tui.model.input.compose_mode import ComposeMode
from broadcast_tui.tui.model.input.history import InputHistory
from broadcast_tui.tui.model.input.suggestions import Suggestions
from broadcast_tui.tui.widgets.composer import PASTE_MAX, Composer, Submission, clean_paste
from tests.support.chat_app import press


class Stage(App[None]):
    """An app with only a composer that records its messages."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted: list[str] = []
        self.held_texts: set[str] = set()
        self.modes: list[ComposeMode | None] = []
        self.pasted: list[Composer.Pasted] = []
        self.suggestions: Suggestions | None = None

    def compose(self) -> ComposeResult:
        yield Composer(
            lambda: CompletionContext(("bob",), ("alice", "ana", "bob"), "ana"),
            InputHistory(room="lobby"),
            hold=lambda text: text in self.held_texts,
        )

    @property
    def composer(self) -> Composer:
        return self.query_one(Composer)

    def on_composer_submitted(self, event: Composer.Submitted) -> None:
        for submission in self.composer.take_submitted():
            self.submitted.append(submission.text)
            self.modes.append(submission.mode)
            self.composer.remember(submission.text)

    def on_composer_suggestions_changed(self, event: Composer.SuggestionsChanged) -> None:
        self.suggestions = event.suggestions

    def on_composer_pasted(self, event: Composer.Pasted) -> None:
        self.pasted.append(event)

    @property
    def suggested(self) -> list[str]:
        return [row.label for row in self.suggestions.rows] if self.suggestions else []


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


async def test_the_input_grows_to_at_most_eight_rows(stage: Stage) -> None:
    async with stage.run_test(size=(40, 20)) as pilot:
        heights = []
        for rows in (1, 2, 7, 8, 9, 30):
            stage.composer.text = "\n" * (rows - 1)
            await pilot.pause()
            heights.append(stage.composer.size.height)
        assert heights == [1, 2, 7, 8, 8, 8]


async def test_up_and_down_move_through_the_history_and_restore_the_draft(stage: Stage) -> None:
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
    (["ctrl+w", "ctrl+underscore", "alt+underscore"], "one ", 4),
    (["home", "right", "end", "left", "left"], "one two", 5),
    (["ctrl+left", "ctrl+left", "ctrl+right"], "one two", 3),
    (["ctrl+a", "delete", "ctrl+e", "ctrl+h", "backspace"], "ne t", 4),
    (["alt+b", "alt+b", "alt+delete"], " two", 0),
    (["ctrl+w", "left", "ctrl+w", "ctrl+y", "alt+y"], "two ", 3),
    (["ctrl+w", "left", "ctrl+w", "ctrl+y", "alt+y", "alt+y"], "one ", 3),
    (["alt+y"], "one two", 7),
    (["ctrl+w", "x", "shift+left", "ctrl+y"], "one two", 7),
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


WORDS: list[tuple[str, list[str], str]] = [
    ("one two, three", ["alt+b", "alt+b", "X"], "one Xtwo, three"),
    ("a, b", ["ctrl+a", "alt+f", "alt+f", "X"], "a, bX"),
    ("a, b", ["ctrl+left", "ctrl+left", "ctrl+right", "X"], "aX, b"),
    ("one two,", ["ctrl+shift+left", "X"], "one X"),
    ("(one) two", ["ctrl+a", "ctrl+shift+right", "X"], "X) two"),
    ("one\n  two", ["alt+b", "alt+b", "X"], "Xone\n  two"),
    ("one\n  two", ["alt+b", "alt+b", "alt+f", "alt+f", "X"], "one\n  twoX"),
]


@pytest.mark.parametrize(("text", "keys", "result"), WORDS)
async def test_cursor_movement_and_cuts_use_the_same_words(
    stage: Stage, text: str, keys: list[str], result: str
) -> None:
    async with stage.run_test() as pilot:
        stage.composer.put(text)
        await press(pilot, *keys)
        assert stage.composer.text == result


async def test_cutting_joins_lines(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, "a", "alt+enter", "b", "ctrl+a", "ctrl+u")
        assert stage.composer.text == "ab"


async def test_a_paste_is_cleaned_and_not_sent(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        stage.composer.post_message(events.Paste("one\r\ntwo\x1b[31m\x9b\u202e\rthree\tx\n"))
        await pilot.pause()
        assert stage.composer.text == "one\ntwo[31m\nthree   x\n"
        assert stage.submitted == []
        await press(pilot, "enter")
        await pilot.pause()
        assert stage.submitted == ["one\ntwo[31m\nthree   x"]


async def test_a_paste_replaces_the_selection(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"abc", "shift+left", "shift+left")
        stage.composer.post_message(events.Paste("X"))
        await pilot.pause()
        assert stage.composer.text == "aX"


def test_a_paste_is_bounded() -> None:
    assert len(clean_paste("x" * (PASTE_MAX + 5))) == PASTE_MAX


async def test_a_rejected_text_is_restored_before_newer_text(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"new")
        stage.composer.reject(Submission("old "))
        assert stage.composer.text == "old new"
        assert not stage.composer.give_back("other")
        assert stage.composer.text == "old new"


async def test_markup_is_shown_as_text(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        stage.composer.set_hint("[/] [red]x")
        await press(pilot, *"[/]", "[", "r", "]")
        await pilot.pause()
        assert stage.composer.text == "[/][r]"


async def test_a_text_that_cannot_be_restored_is_added_to_the_history(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"sent", "enter", *"new")
        assert not stage.composer.give_back("refused", "lobby")
        await press(pilot, "up")
        assert stage.composer.text == "refused"
        await press(pilot, "down")
        assert stage.composer.text == "new"


async def test_drafts_are_saved_per_room_with_cursor_and_undo(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"one two", "ctrl+w", "left")
        stage.composer.enter_room("ops")
        assert stage.composer.text == ""
        await press(pilot, *"other", "enter", *"more")
        stage.composer.enter_room("lobby")
        assert (stage.composer.text, stage.composer.offset_of_cursor) == ("one ", 3)
        await press(pilot, "ctrl+underscore")
        assert stage.composer.text == "one two"
        stage.composer.enter_room("ops")
        assert stage.composer.text == "more"
        await press(pilot, "ctrl+u", "up")
        assert stage.composer.text == "other"


async def test_submitted_text_is_available_before_the_message(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"here")
        stage.composer.action_send_post()
        assert stage.composer.take_submitted() == [Submission("here")]
        stage.composer.enter_room("ops")
        await pilot.pause()
        assert stage.submitted == []


async def test_a_held_text_stays_until_it_is_submitted(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        stage.held_texts.add("wait")
        await press(pilot, *"wait", "enter")
        assert (stage.submitted, stage.composer.text) == ([], "wait")
        stage.composer.submit("wait")
        await pilot.pause()
        assert (stage.submitted, stage.composer.text) == (["wait"], "")


async def test_a_rejected_text_becomes_the_draft_of_its_room(stage: Stage) -> None:
    async with stage.run_test():
        assert stage.composer.give_back("refused", "ops")
        assert not stage.composer.give_back("refused too", "ops")
        assert stage.composer.text == ""
        stage.composer.enter_room("ops")
        assert stage.composer.text == "refused"
        assert stage.composer.drafts.is_restored
        stage.composer.insert("!")
        assert stage.composer.text == "refused!"
        assert not stage.composer.drafts.is_restored


async def test_up_walks_the_room_and_ctrl_up_all_rooms(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"one", "enter")
        stage.composer.enter_room("ops")
        await press(pilot, *"two", "enter", "d", "up")
        assert stage.composer.text == "two"
        await press(pilot, "up")
        assert stage.composer.text == "two"
        await press(pilot, "ctrl+up")
        assert stage.composer.text == "one"
        await press(pilot, "ctrl+down", "ctrl+down")
        assert stage.composer.text == "d"


async def test_alt_period_inserts_the_last_word_of_earlier_posts(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"a first", "enter", *"a second", "enter", *"say ", "alt+full_stop")
        assert stage.composer.text == "say second"
        await press(pilot, "alt+full_stop", "!")
        assert stage.composer.text == "say first!"
        await press(pilot, "alt+full_stop")
        assert stage.composer.text == "say first!second"


async def test_commands_are_explained_while_typed_and_enter_still_sends(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"/ni")
        assert stage.suggested == ["/nick <name>"]
        await press(pilot, "tab")
        assert stage.composer.text == "/nick "
        assert stage.suggested == ["/nick <name>"]
        await press(pilot, "x")
        assert stage.suggested == []
        await press(pilot, "ctrl+u", *"/he", "enter")
        await pilot.pause()
        assert stage.submitted == ["/he"]
        assert stage.suggested == []


async def test_tab_lists_other_completions_until_another_key(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, "a", "tab")
        assert stage.suggested == ["alice", "ana"]
        assert stage.suggestions is not None
        assert stage.suggestions.chosen == 0
        await press(pilot, "tab")
        assert stage.composer.text == "ana: "
        assert stage.suggestions.chosen == 1
        await press(pilot, "x")
        assert stage.suggested == []
        assert stage.composer.text == "ana: x"


async def test_up_and_down_choose_in_the_list(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"@a", "down")
        assert stage.composer.text == "@alice "
        await press(pilot, "down")
        assert stage.composer.text == "@ana "
        await press(pilot, "up")
        assert stage.composer.text == "@alice "
        assert stage.suggestions is not None
        assert stage.suggestions.chosen == 0


async def test_up_goes_on_to_older_inputs_while_one_with_a_list_is_shown(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"older", "enter", *"/m", "escape", "enter", "up")
        assert stage.composer.text == "/m"
        assert len(stage.suggested) > 1
        await press(pilot, "up")
        assert stage.composer.text == "older"


async def test_up_recalls_an_input_once_the_list_is_closed(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"older", "enter", *"@a", "escape", "up")
        assert stage.composer.text == "older"


async def test_escape_closes_the_list_and_keeps_the_text(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"/n", "escape")
        assert stage.suggested == []
        assert stage.composer.text == "/n"
        await press(pilot, "i")
        assert stage.suggested == ["/nick <name>"]


async def test_an_emoji_is_inserted_by_tab_only(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"so :smile: ok 12:30:45", "enter")
        await pilot.pause()
        assert stage.submitted == ["so :smile: ok 12:30:45"]
        await press(pilot, *"so :smile:", "tab", *"ok")
        assert stage.composer.text == "so 😄 ok"


async def test_a_history_search_narrows_and_does_not_send_the_match(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"foo one", "enter", *"foo two", "enter", *"bar", "enter", *"dr", "ctrl+r", *"fo")
        assert stage.composer.text == "dr"
        assert stage.suggestions is not None
        assert stage.suggestions.prompt == "(search) fo"
        assert stage.suggested == ["foo one", "foo two"]
        assert stage.suggestions.chosen == 1
        await press(pilot, "ctrl+r")
        assert stage.suggestions.chosen == 0
        await press(pilot, "ctrl+s", "ctrl+r", "enter")
        await pilot.pause()
        assert stage.composer.text == "foo one"
        assert stage.suggestions is None
        assert len(stage.submitted) == 3
        await press(pilot, "ctrl+underscore")
        assert stage.composer.text == "dr"


@pytest.mark.parametrize("key", ["escape", "ctrl+c", "ctrl+g"])
async def test_a_canceled_search_restores_the_input(stage: Stage, key: str) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"foo", "enter", *"draft", "left", "ctrl+r", *"fo", key)
        assert (stage.composer.text, stage.composer.offset_of_cursor) == ("draft", 4)
        assert stage.suggestions is None
        await press(pilot, "x")
        assert stage.composer.text == "drafxt"


async def test_another_key_accepts_the_match_and_runs_its_action(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"foo", "enter", "ctrl+r", *"fo", "ctrl+a", "x")
        assert stage.composer.text == "xfoo"
        assert stage.suggestions is None


async def test_letters_typed_quickly_after_ctrl_r_are_searched(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"foo", "enter")
        for key in ["ctrl+r", "f", "backspace", "f", "o", "enter", "!"]:
            stage.post_message(events.Key(key, key if len(key) == 1 else None))
        await pilot.pause()
        assert stage.composer.text == "foo!"


async def test_text_pasted_into_a_search_is_searched(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        await press(pilot, *"foo", "enter", "ctrl+r")
        stage.composer.post_message(events.Paste("fo\nrest"))
        await pilot.pause()
        assert stage.suggested == ["foo"]
        assert stage.composer.text == ""


async def test_pastes_are_counted(stage: Stage) -> None:
    async with stage.run_test() as pilot:
        stage.composer.post_message(events.Paste("a\nb\nc\n"))
        stage.composer.post_message(events.Paste("x" * (PASTE_MAX + 1)))
        await pilot.pause()
        assert [(paste.lines, paste.kept) for paste in stage.pasted] == [(3, 0), (1, PASTE_MAX)]
