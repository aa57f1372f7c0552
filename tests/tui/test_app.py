from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from broadcast_tui.client.storage.preferences import FILE_NAME, Preferences
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.session.updates import ConnectionChanged, ConnectionState, NameChanged, NameDenied
from broadcast_tui.tui.app import ChatApp
from broadcast_tui.tui.keymap import AREAS, KEYS, shown_key
from broadcast_tui.tui.quit import ANSWER_TIMEOUT_S
from broadcast_tui.tui.replay.controls import ReplayControls
from broadcast_tui.tui.screens.chat import ChatScreen
from broadcast_tui.tui.screens.choice import Choice, ChoiceScreen, numbered_choices
from broadcast_tui.tui.screens.help import HelpScreen
from broadcast_tui.tui.screens.login import LoginScreen
from broadcast_tui.tui.terminal.signals import report_crash
from broadcast_tui.tui.terminal.title import TerminalTitle
from broadcast_tui.tui.widgets.composer import Composer
from broadcast_tui.tui.widgets.conversation import Conversation
from broadcast_tui.tui.widgets.find_bar import FindBar
from broadcast_tui.tui.widgets.post_bar import PostBar
from broadcast_tui.tui.widgets.readline_area import ReadlineArea
from tests.support.chat_app import chatting
from tests.support.running import eventually


async def test_the_app_asks_for_a_name_first(tmp_path: Path) -> None:
    async with chatting(name="", home=tmp_path) as chat:
        assert isinstance(chat.app.screen, LoginScreen)
        assert chat.client.calls == []
        await chat.type(*"bob", "enter")
        assert isinstance(chat.app.screen, ChatScreen)
        assert chat.client.name == "bob"
        assert chat.client.calls == [("start",)]
    assert Preferences.load(tmp_path).name == "bob"


def save_name(home: Path, name: str) -> None:
    preferences = Preferences.load(home)
    preferences.name = name
    preferences.save()


async def test_the_first_start_offers_the_name_of_the_systems_user() -> None:
    async with chatting(name="", suggested_name="eve") as chat:
        assert chat.app.screen.query_one(Input).value == "eve"
        await chat.type("enter")
        assert chat.client.name == "eve"


async def test_typing_replaces_a_suggested_name() -> None:
    async with chatting(name="", suggested_name="eve") as chat:
        await chat.type(*"bob", "enter")
        assert chat.client.name == "bob"


async def test_later_starts_do_not_ask(tmp_path: Path) -> None:
    save_name(tmp_path, "eve")
    async with chatting(name="", suggested_name="ana", home=tmp_path) as chat:
        assert isinstance(chat.app.screen, ChatScreen)
        assert chat.client.name == "eve"


async def test_a_later_start_asks_on_request(tmp_path: Path) -> None:
    save_name(tmp_path, "eve")
    async with chatting(name="", ask_name=True, home=tmp_path) as chat:
        assert chat.app.screen.query_one(Input).value == "eve"
        await chat.type(*"bob", "enter")
    assert Preferences.load(tmp_path).name == "bob"


async def test_a_saved_name_that_is_no_longer_valid_opens_the_dialog(tmp_path: Path) -> None:
    save_name(tmp_path, "system")
    async with chatting(name="", home=tmp_path) as chat:
        assert isinstance(chat.app.screen, LoginScreen)
        assert "reserved" in " ".join(chat.drawn("#login-reason"))


async def test_a_name_given_for_one_run_replaces_no_saved_name(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path):
        pass
    assert Preferences.load(tmp_path).name == "ana"
    async with chatting("bob", name="bob", home=tmp_path):
        pass
    assert Preferences.load(tmp_path).name == "ana"


async def test_a_new_name_is_saved(tmp_path: Path) -> None:
    save_name(tmp_path, "ana")
    async with chatting("ana", home=tmp_path) as chat:
        await chat.deliver(NameChanged("nina"))
    assert Preferences.load(tmp_path).name == "nina"


async def test_an_invalid_name_is_rejected_while_typing() -> None:
    async with chatting(name="") as chat:
        for typed, reason in [("system", "reserved"), ("x" * 40, "shorter"), ("<b>", "letters")]:
            chat.app.screen.query_one(Input).value = typed
            await chat.pilot.pause()
            assert reason in " ".join(" ".join(chat.drawn("#login-reason")).split())
            assert chat.app.screen.query_one("#login-reason").has_class("-bad")
            assert chat.app.screen.query_one(Input).has_class("-invalid")
            await chat.type("enter")
            assert isinstance(chat.app.screen, LoginScreen)


async def test_an_invalid_initial_name_opens_the_dialog_with_the_reason() -> None:
    async with chatting(name="system") as chat:
        assert isinstance(chat.app.screen, LoginScreen)
        assert "reserved" in " ".join(chat.drawn("#login-reason"))
        assert chat.client.calls == []


async def test_an_empty_name_is_rejected_on_enter() -> None:
    async with chatting(name="") as chat:
        assert not chat.app.screen.query_one("#login-reason").has_class("-bad")
        await chat.type("enter")
        assert "Enter a name" in " ".join(chat.drawn("#login-reason"))


async def test_a_taken_name_reopens_the_dialog_with_the_reason() -> None:
    async with chatting() as chat:
        await chat.deliver(
            NameDenied("ana", "name_taken", "That name is taken."), ConnectionChanged(ConnectionState.REFUSED)
        )
        assert isinstance(chat.app.screen, LoginScreen)
        assert "taken" in " ".join(chat.drawn("#login-reason"))
        assert chat.app.screen.query_one(Input).value == "ana"
        await chat.type("2", "enter")
        assert chat.client.called("rename") == [("ana2",)]
        assert isinstance(chat.app.screen, ChatScreen)
        await chat.deliver(*chat.client.online("ana2"))
        assert "● online" in chat.drawn("#status")[0]


async def test_a_paste_into_the_name_is_cleaned() -> None:
    async with chatting(name="") as chat:
        chat.app.screen.query_one(Input).post_message(events.Paste("\x1b[31mbob\u202e\nrm -rf\n"))
        await chat.pilot.pause()
        assert chat.app.screen.query_one(Input).value == "[31mbob"


async def test_keys_in_the_dialog_are_handled_in_typed_order() -> None:
    async with chatting(name="") as chat:
        for key in ["o", "l", "d", "ctrl+u", "n", "e", "x", "backspace", "w", "enter"]:
            character = {"ctrl+u": "\x15", "backspace": "\x7f", "enter": "\r"}.get(key, key)
            chat.app.post_message(events.Key(key, character))
        await chat.pilot.pause()
        assert chat.client.name == "new"


async def test_alt_backspace_deletes_the_word_before_the_cursor_in_the_dialog() -> None:
    async with chatting(name="") as chat:
        await chat.type(*"one", " ", *"two", "alt+backspace")
        assert chat.app.screen.query_one(Input).value == "one "


async def test_ctrl_q_quits_from_the_dialog() -> None:
    async with chatting(name="") as chat:
        await chat.type("ctrl+q")
        assert chat.app.return_code == 0


async def test_the_theme_is_saved(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        chat.app.theme = "nord"
        await chat.pilot.pause()
    async with chatting("ana", home=tmp_path) as chat:
        assert chat.app.theme == "nord"


async def test_a_theme_option_applies_to_one_run(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path, theme="nord") as chat:
        assert chat.app.theme == "nord"
    async with chatting("ana", home=tmp_path) as chat:
        assert chat.app.theme == "broadcast-dark"


async def test_user_keys_replace_the_defaults() -> None:
    async with chatting("ana", keys={"people.toggle-list": "f3", "composer.cut-line-start": "f4"}) as chat:
        people = chat.app.screen.query_one("#people")
        shown = people.display
        await chat.type("f8")
        assert people.display is shown
        await chat.type("f3")
        assert people.display is not shown
        await chat.type(*"word", "ctrl+u")
        assert chat.app.screen.query_one(Composer).text == "word"
        await chat.type("f4")
        assert chat.app.screen.query_one(Composer).text == ""


async def test_messages_name_the_keys_in_effect() -> None:
    keys = {
        "app.show-help": "f2",
        "app.quit-chat": "ctrl+f4,ctrl+q",
        "log.go-unread": "f9",
        "log.toggle-mouse": "f10",
        "pick.copy-text": "c",
    }
    async with chatting("ana", "bob", keys=keys, size=(120, 30)) as chat:
        assert any(row.endswith("Joined #lobby as ana with 1 other. F2 for help.") for row in chat.drawn())
        assert chat.screen._state.rooms.unread_key == "F9"
        await chat.enter("/help")
        assert any("F2 opens the help page" in row for row in chat.drawn())
        await chat.deliver(chat.client.post("bob", "hello"))
        await chat.type("alt+up")
        assert "c copy" in " ".join(chat.drawn("PostBar"))
        await chat.type("escape", "f10")
        assert "F10 turns it on" in chat.toasts
        await chat.type("f2")
        assert isinstance(chat.app.screen, HelpScreen)
        await chat.type("f2")
        assert isinstance(chat.app.screen, ChatScreen)
    async with chatting(name="", keys=keys) as chat:
        assert "Enter Join · Ctrl+F4 Quit" in "\n".join(chat.drawn())


class LocalServerDouble:
    """A local server that starts, or fails with `refusal`."""

    def __init__(self, refusal: str = "") -> None:
        self.refusal = refusal
        self.is_managed = False
        self.has_ended = False
        self.full = False
        self.asked_count = 0
        self.connected = 1

    def answers(self) -> bool:
        self.asked_count += 1
        return self.full

    def start(self) -> None:
        if self.refusal:
            raise BroadcastError(self.refusal)
        self.is_managed, self.has_ended = True, False

    def connected_count(self) -> int:
        return self.connected

    def detach(self) -> str:
        self.is_managed = False
        return "It goes on."


async def test_starting_a_server_is_offered_once_if_none_listens() -> None:
    local = LocalServerDouble()
    async with chatting(local_server=local) as chat:
        waiting = ConnectionChanged(ConnectionState.WAITING, "refused", 1.0)
        await chat.deliver(waiting)
        await eventually(lambda: isinstance(chat.app.screen, ChoiceScreen))
        await chat.type("s")
        await eventually(lambda: chat.client.called("reconnect_now") == [()])
        assert local.is_managed
        await chat.deliver(waiting)
        assert isinstance(chat.app.screen, ChatScreen)


async def test_a_server_of_this_chat_that_has_ended_can_be_started_again() -> None:
    local = LocalServerDouble()
    local.is_managed = True
    async with chatting("ana", local_server=local) as chat:
        for _ in range(2):
            await chat.deliver(ConnectionChanged(ConnectionState.WAITING, "restarting", 1.0))
            assert isinstance(chat.app.screen, ChatScreen), "it is still running"
            local.has_ended = True
            await chat.deliver(ConnectionChanged(ConnectionState.WAITING, "refused", 1.0))
            await eventually(lambda: isinstance(chat.app.screen, ChoiceScreen))
            await chat.type("s")
            await eventually(lambda: not local.has_ended)
            await chat.deliver(*chat.client.online("ana"))


async def test_the_reason_why_a_server_cannot_start_is_shown() -> None:
    async with chatting(local_server=LocalServerDouble("The port is taken.")) as chat:
        await chat.deliver(ConnectionChanged(ConnectionState.WAITING, "refused", 1.0))
        await eventually(lambda: isinstance(chat.app.screen, ChoiceScreen))
        await chat.type("enter")
        await eventually(lambda: chat.client.called("reconnect_now") == [()])
        assert "The port is taken." in chat.toasts


async def test_no_server_is_offered_if_a_full_one_answers() -> None:
    local = LocalServerDouble()
    local.full = True
    async with chatting(local_server=local) as chat:
        await chat.deliver(ConnectionChanged(ConnectionState.WAITING, "the server is full", 1.0))
        await eventually(lambda: local.asked_count == 1)
        await chat.pilot.pause()
        assert isinstance(chat.app.screen, ChatScreen)


async def test_no_server_is_offered_after_joining() -> None:
    async with chatting("ana", "bob", local_server=LocalServerDouble()) as chat:
        await chat.deliver(ConnectionChanged(ConnectionState.WAITING, "gone", 1.0))
        assert isinstance(chat.app.screen, ChatScreen)


@pytest.mark.parametrize(
    ("people", "key", "ends", "keeps_running"),
    [(("ana",), "", True, False), (("ana", "bob"), "k", True, True), (("ana", "bob"), "c", True, False),
     (("ana", "bob"), "s", False, False), (("ana", "bob"), "escape", False, False)],
)  # fmt: skip
async def test_quitting_with_others_on_a_managed_server_asks_first(
    people: tuple[str, ...], key: str, ends: bool, keeps_running: bool
) -> None:
    local = LocalServerDouble()
    local.is_managed = True
    local.connected = len(people)
    async with chatting(*people, local_server=local) as chat:
        await chat.type("ctrl+q")
        if key:
            assert "1 other is still here" in " ".join(chat.drawn("#choice"))
            await chat.type(key)
        assert (chat.app.return_code == 0) is ends
        assert local.is_managed is not keeps_running


async def test_others_on_a_managed_server_count_even_if_not_visible() -> None:
    """They are in other rooms, or the chat displays another server."""
    local = LocalServerDouble()
    local.is_managed = True
    local.connected = 2
    async with chatting("ana", local_server=local) as chat:
        await chat.type("ctrl+q")
        assert "1 other is still here" in " ".join(chat.drawn("#choice"))
        await chat.type("s")
        await chat.enter("/connect ws://localhost:9000")
        await eventually(lambda: bool(chat.elsewhere))
        there = chat.elsewhere[0]
        await there.deliver(*there.online("ana", "bob", "eve"))
        await chat.type("ctrl+q")
        assert "1 other is still here" in " ".join(chat.drawn("#choice"))
        await chat.type("s")
        local.connected = 1
        await chat.type("ctrl+q")
        assert chat.app.return_code == 0


@pytest.mark.parametrize(
    ("keys", "ends"), [(["s"], False), (["escape"], False), (["q"], True), (["ctrl+q"], True)]
)
async def test_quitting_with_unsent_posts_asks_first(keys: list[str], ends: bool) -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(ConnectionChanged(ConnectionState.CLOSED))
        await chat.enter("not yet")
        await chat.type("ctrl+q")
        assert "1 post has not been sent." in " ".join(chat.drawn("#choice"))
        await chat.type(*keys)
        await eventually(lambda: not isinstance(chat.app.screen, ChoiceScreen))
        await eventually(lambda: (chat.app.return_code == 0) is ends)


async def test_unsent_posts_and_others_on_a_managed_server_are_two_questions() -> None:
    local = LocalServerDouble()
    local.is_managed = True
    async with chatting("ana", "bob", local_server=local) as chat:
        await chat.deliver(ConnectionChanged(ConnectionState.CLOSED))
        await chat.enter("not yet")
        await chat.type("ctrl+q", "ctrl+q")
        await eventually(lambda: "1 other is still here" in " ".join(chat.drawn("#choice")))
        assert chat.app.return_code is None


async def test_posts_in_transit_are_not_asked_about_but_reported_if_undelivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stderr = StringIO()
    monkeypatch.setattr("sys.__stderr__", stderr)
    async with chatting("ana", "bob") as chat:
        await chat.enter("one")
        chat.client.unacknowledged = 2
        await chat.type("ctrl+q")
        assert chat.app.return_code == 0
    assert stderr.getvalue() == (
        "broadcast-tui: 2 posts were not sent. To edit and resend, press Ctrl+Up in the next chat.\n"
    )


async def test_quitting_waits_less_than_a_second_for_server_and_terminal() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.enter("one")
        chat.client.unacknowledged = 1
        await chat.type("ctrl+q")
    assert 0.0 < chat.client.close_timeout_s < 1.0 - ANSWER_TIMEOUT_S


async def test_a_choice_is_made_by_letter_or_by_arrows() -> None:
    async with chatting("ana") as chat:
        made: list[str | None] = []
        choices = [Choice("o", "One", "1"), Choice("t", "Two [b]", "2")]
        for keys in (["t"], ["O"], ["enter"], ["down", "enter"], ["j", "k", "enter"], ["escape"]):
            chat.app.push_screen(ChoiceScreen("Which? [/]", choices), made.append)
            await chat.pilot.pause()
            assert "Two [b]" in " ".join(chat.drawn("#choice"))
            await chat.type(*keys)
        assert made == ["2", "1", "1", "2", "1", ""]


async def test_a_choice_is_made_by_its_number_or_an_unambiguous_first_letter() -> None:
    async with chatting("ana") as chat:
        for texts, key, expected in (
            (("yes", "no"), "y", "yes"),
            (("yes", "no"), "n", "no"),
            (("yes", "no"), "N", "no"),
            (("Kiwi", "lime"), "k", "Kiwi"),
            (("today", "tomorrow"), "t", None),
            (("2", "1"), "1", "2"),
        ):
            made: list[str | None] = []
            chat.app.push_screen(ChoiceScreen("Which?", numbered_choices(texts)), made.append)
            await chat.pilot.pause()
            await chat.type(key)
            assert made == ([] if expected is None else [expected])
            if not made:
                await chat.type("escape")


async def test_a_key_conflict_is_reported() -> None:
    async with chatting("ana", keys={"people.toggle-list": "f1"}, size=(120, 30)) as chat:
        assert "F1 is bound to both people.toggle-list and app.show-help" in chat.toasts


async def test_a_corrupt_preferences_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("{")
    async with chatting("ana", home=tmp_path, size=(120, 30)) as chat:
        assert "Ignored unreadable file" in chat.toasts


async def test_a_crash_exits_with_one_line_and_a_file(tmp_path: Path) -> None:
    apps: list[ChatApp] = []

    async def crash() -> None:
        async with chatting("ana", home=tmp_path) as chat:
            apps.append(chat.app)
            chat.app.call_later(lambda: 1 // 0)
            await chat.pilot.pause()

    with pytest.raises(ZeroDivisionError):
        await crash()
    assert apps[0].return_code == 1
    assert "ZeroDivisionError" in (tmp_path / "crash.log").read_text()


def test_a_crash_report_is_one_safe_line(tmp_path: Path) -> None:
    line = report_crash(ValueError("bad\n\x1b[31m" + "x" * 500), tmp_path)
    assert line.startswith("broadcast-tui: internal error: ValueError: bad")
    assert str(tmp_path / "crash.log") in line
    assert not set("\n\x1b") & set(line)
    (tmp_path / "file").write_text("")
    assert "details could not be written" in report_crash(ValueError("x"), tmp_path / "file")


def test_the_title_is_pushed_once_sanitized_and_restored() -> None:
    written: list[str] = []
    title = TerminalTitle(written.append)
    title.set("lob\x1b]0;by\x07", 3)
    title.set("lob\x1b]0;by\x07", 3)
    title.restore()
    title.restore()
    assert written[:2] == ["\x1b[22;0t", "\x1b]0;(3) lob␛]0;by␇ · broadcast-tui\x07"]
    assert written[2].endswith("\x1b[23;0t")
    assert len(written) == 3
    title.set("lobby", 4)
    assert len(written) == 3
    title.show_again()
    assert "(4) lobby" in written[3]


def test_every_key_is_unique_in_its_area() -> None:
    assert len({row.id for row in KEYS}) == len(KEYS)
    assert {row.area for row in KEYS} == set(AREAS)
    for area in AREAS:
        keys = [key for row in KEYS if row.area == area for key in row.keys.split(",")]
        assert len(keys) == len(set(keys))


def test_every_binding_is_in_the_key_table() -> None:
    rows = {row.id: row for row in KEYS}
    bound = [
        b
        for cls in (
            ChatApp,
            ChatScreen,
            Conversation,
            ReadlineArea,
            Composer,
            PostBar,
            FindBar,
            ReplayControls,
        )
        for b in cls.__dict__["BINDINGS"]
    ]
    assert {binding.id for binding in bound} == set(rows)
    assert all(binding.key == rows[binding.id].keys for binding in bound)


def test_keys_are_displayed_in_common_notation() -> None:
    assert [shown_key(key) for key in ("f1", "ctrl+a", "alt+backspace", "pageup")] == [
        "F1",
        "Ctrl+A",
        "Alt+Backspace",
        "PgUp",
    ]


async def test_configured_words_count_as_mentions() -> None:
    async with chatting("ana", mentions=("deploy",)) as chat:
        assert chat.app._connections.servers.shown.state.keywords == ("deploy",)
