from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.style import Style
from textual import events
from textual.geometry import Region

from broadcast_tui.core.protocol.events import Typing
from broadcast_tui.core.session.updates import (
    CaughtUp,
    ConnectionChanged,
    ConnectionState,
    HistoryFetched,
    NameChanged,
    NameDenied,
    Noticed,
    PostArrived,
    PostRejected,
    PresenceChanged,
    RoomEntered,
)
from broadcast_tui.tui.commands.registry import COMMANDS, Argument
from broadcast_tui.tui.screens.chat import ChatScreen
from broadcast_tui.tui.screens.help import HelpScreen, help_sections
from broadcast_tui.tui.screens.switcher import SwitcherScreen
from broadcast_tui.tui.terminal.notifications import Notifier
from broadcast_tui.tui.terminal.title import TerminalTitle
from tests.support.chat_app import Chat, chatting
from tests.support.fake_client import AT
from tests.support.profile import by_profile


async def test_a_post_is_sent_shown_as_pending_and_then_delivered() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.type(*"hi", "enter")
        assert chat.sent == ["hi"]
        assert any("…" in row and row.endswith("hi") for row in chat.drawn("#log"))
        await chat.deliver(*chat.client.echo(f"n{chat.client._count}", "hi"))
        rows = [row for row in chat.drawn("#log") if row.endswith("hi")]
        assert len(rows) == 1
        assert "…" not in rows[0]


async def test_an_unknown_command_is_never_sent_and_stays_in_the_input() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/hlep")
        assert chat.sent == []
        assert chat.composer.text == "/hlep"
        assert "Did you mean /help?" in chat.toasts


async def test_two_slashes_send_one() -> None:
    async with chatting("ana") as chat:
        await chat.enter("//x")
        assert chat.sent == ["/x"]


async def test_me_is_a_post() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/me waves")
        assert chat.sent == ["/me waves"]
        assert any("ana waves" in row for row in chat.drawn("#log"))


async def test_nick_is_validated_requested_and_applied() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/nick system")
        assert chat.client.called("rename") == []
        assert chat.composer.text == "/nick system"
        await chat.type("ctrl+u")
        await chat.enter("/nick eve")
        assert chat.client.called("rename") == [("eve",)]
        assert chat.drawn("#status")[0].endswith("ana")
        await chat.deliver(NameChanged("eve"))
        assert chat.drawn("#status")[0].endswith("eve")


async def test_who_requests_the_member_list() -> None:
    async with chatting("ana", "bob") as chat:
        request_count = len(chat.client.called("list_members"))
        await chat.enter("/who")
        assert len(chat.client.called("list_members")) == request_count + 1


async def test_help_lists_every_command() -> None:
    async with chatting("ana", size=(100, 44)) as chat:
        await chat.enter("/help")
        drawn = "\n".join(chat.drawn("#log"))
        assert all(f"/{command.name}" in drawn for command in COMMANDS)


async def test_clear_clears_the_screen_only() -> None:
    async with chatting("ana") as chat:
        await chat.deliver(chat.client.post("bob", "something"))
        await chat.enter("/clear")
        assert not any("something" in row for row in chat.drawn("#log"))
        assert chat.sent == []


async def test_text_typed_while_offline_is_queued() -> None:
    async with chatting("ana") as chat:
        await chat.deliver(ConnectionChanged(ConnectionState.WAITING, "no answer", 9.0))
        await chat.enter("later")
        assert chat.sent == ["later"]
        assert any("…" in row and "later" in row for row in chat.drawn("#log"))


async def test_a_refused_text_comes_back_if_nothing_else_is_being_written() -> None:
    async with chatting("ana") as chat:
        await chat.enter("hi")
        nonce = f"n{chat.client._count}"
        await chat.deliver(PostRejected("lobby", nonce, "rate_limited", "Too fast.", "hi"))
        assert chat.composer.text == "hi"
        drawn = "\n".join(chat.drawn("#log"))
        assert "⚠" in drawn
        assert "Too fast." in drawn
        await chat.deliver(PostRejected("lobby", nonce, "rate_limited", "Too fast.", "other"))
        assert chat.composer.text == "hi"


async def test_an_error_of_the_server_is_a_notice_like_one_of_the_chat() -> None:
    async with chatting("ana") as chat:
        lines = len(chat.screen.log_view.transcript)
        await chat.enter("/kick")
        assert "Usage: /kick" in chat.toasts
        await chat.type("ctrl+c")
        await chat.enter("/kick bob")
        await chat.deliver(Noticed("Only admins can do that.", True, "forbidden", "r1"))
        assert chat.toasts == "Only admins can do that."
        assert len(chat.screen.log_view.transcript) == lines
        chat.app.clear_notifications()
        await chat.deliver(NameDenied("bob", "name_taken", "That name is taken."))
        assert chat.toasts == "That name is taken."


async def test_the_failure_of_a_request_that_the_user_has_not_made_is_not_reported() -> None:
    async with chatting("ana") as chat:
        listed = chat.client.ref_of("list_members", "lobby")
        lost = "Connection lost; please try again."
        await chat.deliver(Noticed(lost, True, "", listed))
        assert chat.toasts == ""
        await chat.deliver(Noticed(lost, True, "", "r1"))
        assert chat.toasts == lost


async def test_an_error_of_a_server_that_is_not_displayed_names_it() -> None:
    async with chatting("ana") as chat:
        chat.screen.submit("/connect ws://other.example:1")
        await chat.pilot.pause()
        await chat.deliver(Noticed("Only admins can do that.", True, "forbidden", "r1"))
        assert chat.toasts == "localhost: Only admins can do that."


async def test_typing_is_reported_but_not_for_commands() -> None:
    async with chatting("ana") as chat:
        await chat.type(*"/he")
        assert chat.client.called("send_typing") == []
        await chat.type("ctrl+u", "h")
        assert chat.client.called("send_typing") == [("lobby",)]


async def test_showing_a_draft_again_does_not_report_typing() -> None:
    async with chatting("ana") as chat:
        chat.composer.give_back("draft", "ops")
        chat.composer.enter_room("ops")
        await chat.type()
        assert chat.composer.text == "draft"
        assert chat.client.called("send_typing") == []
        await chat.type("s")
        assert len(chat.client.called("send_typing")) == 1


async def test_who_types_is_shown_until_they_post() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(Typing("lobby", "bob"))
        assert "bob is typing…" in chat.drawn("#status")[0]
        await chat.deliver(chat.client.post("bob", "there"))
        assert "typing" not in chat.drawn("#status")[0]


async def test_a_lost_connection_is_in_the_status_with_its_countdown() -> None:
    async with chatting("ana") as chat:
        assert "  ● online  " in chat.drawn("#status")[0]
        await chat.deliver(ConnectionChanged(ConnectionState.WAITING, "no answer", 30.0))
        found = re.search(r"reconnecting in (\d+) s", chat.drawn("#status")[0])
        assert found is not None
        assert 0 < int(found[1]) <= 30
        await chat.type("f5")
        assert chat.client.called("reconnect_now") == [()]


async def test_scrolled_up_the_view_stays_and_new_posts_are_counted() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(*(chat.client.post("bob", f"line {i}") for i in range(60)))
        await chat.type("pageup")
        top = chat.drawn("#log")[0]
        await chat.deliver(*(chat.client.post("bob", f"new {i}") for i in range(12)))
        await chat.pilot.pause()
        assert chat.drawn("#log")[0] == top
        assert chat.drawn("#log")[-1].rstrip(" ▂▃▄▅▆▇").endswith("↓ 12 new")
        await chat.type("escape")
        assert "new" not in chat.drawn("#status")[0]


async def test_reaching_the_top_asks_for_older_posts_once() -> None:
    async with chatting("ana", "bob") as chat:
        posts = [chat.client.post("bob", f"line {i}") for i in range(60)]
        await chat.deliver(*posts)
        await chat.type("ctrl+home")
        await chat.type("pageup")
        assert chat.client.called("fetch_history") == [("lobby", str(posts[0].post.position), "50")]


async def test_members_are_listed_if_there_is_space_or_on_demand() -> None:
    async with chatting("ana", "bob") as chat:
        for width, shown in [(40, False), (80, False), (99, False), (100, True), (140, True)]:
            await chat.pilot.resize_terminal(width, 24)
            assert (width, chat.screen.people.display) == (width, shown)
        await chat.type("f8")
        assert not chat.screen.people.display
        await chat.pilot.resize_terminal(50, 24)
        await chat.type("f8")
        assert chat.screen.people.display


async def test_the_member_list_follows_joins_and_counts() -> None:
    async with chatting("ana", "bob", size=(100, 24)) as chat:
        await chat.deliver(PresenceChanged("lobby", "join", ("eve",), 3, "", AT))
        rows = [row.strip() for row in chat.drawn("#people") if row.strip()]
        assert rows == ["3 here", "ana (you)", "bob", "eve"]
        await chat.deliver(PresenceChanged("lobby", "online", (), 250, "", AT))
        assert [row.strip() for row in chat.drawn("#people") if row.strip()] == ["250 here"]


async def test_a_mention_gets_its_color_when_the_member_becomes_known() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(chat.client.post("bob", "@eve hello"))

        def mention_style() -> Style | None:
            rows = chat.screen.log_view.render_lines(Region(0, 0, *chat.screen.log_view.size))
            return next(part.style for row in rows for part in row if "@eve" in part.text)

        plain = mention_style()
        assert plain is not None
        await chat.deliver(PresenceChanged("lobby", "join", ("eve",), 3, "", AT))
        style = mention_style()
        assert style is not None
        assert style.color != plain.color


async def test_the_member_list_leaves_the_log_its_columns() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.type("f8")
        await chat.deliver(chat.client.post("bob", "hello"))
        assert chat.screen.people.display
        assert any(row.endswith("bob │ hello") for row in chat.drawn("#log"))


@pytest.mark.parametrize("others", [0, 1, 12_345])
async def test_the_welcome_fits_in_one_row_of_100_columns(others: int) -> None:
    async with chatting(size=(100, 24)) as chat:
        online = ConnectionChanged(ConnectionState.ONLINE)
        await chat.deliver(online, RoomEntered("lobby", others + 1, 0), CaughtUp("lobby"))
        rows = chat.drawn("#log")
        assert rows[1].partition("── ")[2].startswith("Joined #lobby as ana")
        assert rows[1].endswith("F1 for help.")


async def test_a_key_shows_a_long_post_in_full_and_the_log_says_which() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.type("alt+o")
        assert chat.toasts == "No long post in view"
        await chat.deliver(chat.client.post("bob", "\n".join("abcdefghijklmnop")))
        assert "… 8 more lines (Alt+O)" in "\n".join(chat.drawn("#log"))
        chat.app.set_keymap({"log.unfold-post": "f3"})
        await chat.pilot.resize_terminal(90, 24)
        assert "… 8 more lines (F3)" in "\n".join(chat.drawn("#log"))
        await chat.type("f3")
        assert any(row.endswith("┆ p") for row in chat.drawn("#log"))


async def test_alt_j_reports_which_join_and_leave_lines_are_shown() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(PresenceChanged("lobby", "join", ("eve",), 30, "", AT))
        seen, reports = [], []
        for _ in range(3):
            seen.append("eve joined" in "\n".join(chat.drawn("#log")))
            await chat.type("alt+j")
            reports.append(chat.toasts)
        assert seen == [False, True, False]
        assert reports == [
            f"Join and leave lines: {whom}" for whom in ("everyone", "hidden", "small rooms, recent speakers")
        ]


async def test_the_choice_of_join_and_leave_lines_is_saved(tmp_path: Path) -> None:
    async with chatting("ana", "bob", home=tmp_path) as chat:
        await chat.type("alt+j")
    async with chatting("ana", "bob", home=tmp_path) as chat:
        await chat.deliver(PresenceChanged("lobby", "join", ("eve",), 30, "", AT))
        assert "eve joined" in "\n".join(chat.drawn("#log"))


async def test_the_ignore_list_is_saved(tmp_path: Path) -> None:
    async with chatting("ana", "bob", home=tmp_path) as chat:
        await chat.enter("/ignore bob")
        await chat.enter("/ignore eve 1h")
        await chat.enter("/ignore zed")
        await chat.enter("/unignore zed")
    async with chatting("ana", "bob", home=tmp_path) as chat:
        posts = [chat.client.post(name, f"{name} speaks") for name in ("bob", "eve", "zed")]
        await chat.deliver(*posts)
        await chat.enter("/ignore")
        log = "\n".join(chat.drawn("#log"))
        assert "zed speaks" in log
        assert "bob speaks" not in log
        assert "eve speaks" not in log
        assert "eve (" in log


async def test_ctrl_c_clears_the_input_which_up_brings_back_then_asks_to_quit() -> None:
    async with chatting("ana") as chat:
        await chat.type(*"draft", "ctrl+c")
        assert chat.composer.text == ""
        await chat.type("up")
        assert chat.composer.text == "draft"
        await chat.type("ctrl+c", "ctrl+c")
        assert "Press again" in chat.toasts
        assert not chat.client.closed
        await chat.type("ctrl+c")
        assert chat.client.closed
        assert chat.app.return_code == 0


async def test_the_latest_warning_is_at_the_top_of_the_log() -> None:
    async with chatting("ana") as chat:
        for count in range(30):
            await chat.enter(f"/x{count}")
            chat.composer.text = ""
        assert "command: /x29" in chat.drawn()[1]


async def test_a_warning_ends_with_the_next_input_and_does_not_cover_the_number_of_people() -> None:
    async with chatting("ana") as chat:
        await chat.enter("/x")
        assert "command: /x" in chat.drawn()[1]
        assert "1 here" in chat.drawn("#status")[0]
        chat.composer.text = ""
        await chat.enter("hello")
        assert chat.toasts == ""
        assert not any("command: /x" in row for row in chat.drawn())


async def test_keys_run_in_order_after_a_screen_binding() -> None:
    async with chatting("ana") as chat:
        for key in ["ctrl+u", "o", "l", "d", "ctrl+c", "n", "e", "w"]:
            character = {"ctrl+c": "\x03", "ctrl+u": "\x15"}.get(key, key)
            chat.app.post_message(events.Key(key, character))
        await chat.pilot.pause()
        assert chat.composer.text == "new"
        await chat.type("up")
        assert chat.composer.text == "old"


async def test_ctrl_c_copies_the_selection() -> None:
    async with chatting("ana") as chat:
        await chat.type(*"one", "shift+left", "ctrl+c")
        assert chat.app.clipboard == "e"
        assert chat.composer.text == "one"


@pytest.mark.parametrize("keys", [["ctrl+q"], ["/", "q", "u", "i", "t", "enter"], ["ctrl+d", "ctrl+d"]])
async def test_quitting_closes_the_client_first(keys: list[str]) -> None:
    async with chatting("ana") as chat:
        await chat.type(*keys)
        assert chat.client.closed
        assert chat.app.return_code == 0


async def test_ctrl_k_on_an_empty_line_opens_the_switcher_and_cuts_otherwise() -> None:
    async with chatting("ana") as chat:
        await chat.type(*"ab", "ctrl+a", "ctrl+k")
        assert chat.composer.text == ""
        assert isinstance(chat.app.screen, ChatScreen)
        await chat.type("ctrl+k")
        assert isinstance(chat.app.screen, SwitcherScreen)


async def test_the_palette_offers_the_slash_commands() -> None:
    async with chatting("ana") as chat:
        offered = {command.title: command for command in chat.app.get_system_commands(chat.screen)}
        assert {command.usage for command in COMMANDS} <= set(offered)
        offered["/me <action>"].callback()
        assert chat.composer.text == "/me "
        chat.screen.fill("/nick ")
        await chat.type("up")
        assert chat.composer.text == "/me "
        assert all(c.argument is Argument.REQUIRED or c.usage in offered for c in COMMANDS)


async def test_f1_shows_every_key_and_command() -> None:
    async with chatting("ana", size=(100, 290)) as chat:
        await chat.type("f1")
        assert isinstance(chat.app.screen, HelpScreen)
        drawn = "\n".join(chat.drawn())
        assert all(heading in drawn for heading, _ in help_sections())
        assert all(what in drawn for _, rows in help_sections() for what, _ in rows)
        await chat.type("escape")
        assert isinstance(chat.app.screen, ChatScreen)


@pytest.mark.parametrize("size", [(80, 24), (40, 24)])
async def test_the_help_starts_with_the_keys_to_know_first(size: tuple[int, int]) -> None:
    async with chatting("ana", size=size, keys={"room.switch": "f3"}) as chat:
        await chat.type("f1")
        drawn = "\n".join(chat.drawn())
        rows = ["Enter", "F3", "Alt+Up", "Ctrl+Q"] if size[0] == 80 else ["Enter", "Tab", "Alt+Up"]
        assert drawn.index("Keys to know first") < min(drawn.index(key) for key in rows)
        assert "Commands:" not in drawn


async def test_typing_anywhere_goes_into_the_input() -> None:
    async with chatting("ana") as chat:
        chat.screen.log_view.focus()
        await chat.type(*"hi")
        assert chat.composer.text == "hi"
        assert chat.composer.has_focus


async def test_a_denied_rename_is_a_line_not_a_dialog() -> None:
    async with chatting("ana") as chat:
        await chat.deliver(NameDenied("bob", "name_taken", "That name is taken."))
        assert any("That name is taken." in row for row in chat.drawn("#log"))
        assert isinstance(chat.app.screen, ChatScreen)


HOSTILE = "x\x1b[31m\x1b]0;t\x07\x9b2J\u202e[red][/]\r\nSYSTEM: y"


async def test_hostile_text_is_drawn_harmless_everywhere() -> None:
    async with chatting("ana", "bob", size=(120, 30)) as chat:
        await chat.deliver(
            chat.client.post(HOSTILE, HOSTILE),
            PresenceChanged("lobby", "join", (HOSTILE,), 3, HOSTILE, AT),
            Typing("lobby", HOSTILE),
            NameDenied("q", "name_taken", HOSTILE),
        )
        await chat.enter("/" + HOSTILE)
        drawn = "".join(chat.drawn())
        assert not set("\x1b\x07\x9b\u202e\r\n") & set(drawn)
        assert "[red][/]" in drawn
        assert not any(row.strip().startswith("SYSTEM") for row in chat.drawn("#log"))
        assert not set("\x1b\x07\x9b\u202e\r\n") & set(chat.toasts)


async def test_any_terminal_size_works() -> None:
    async with chatting("ana", "bob", size=(1, 1)) as chat:
        await chat.deliver(*(chat.client.post("bob", f"日本語 {i} " * 9) for i in range(9)))
        more = by_profile([], [(5, 2), (10, 4), (20, 5), (1, 1)])
        for size in [(2, 3), (3, 1), *more, (300, 90), (40, 10)]:
            await chat.pilot.resize_terminal(*size)
            await chat.enter("hi")
            await chat.type("f8")
        for size in [(3, 3), (40, 10)]:
            await chat.pilot.resize_terminal(*size)
            await chat.type("f1", "escape")
        assert chat.sent == ["hi"] * (4 + len(more))
        assert any(row.endswith("hi") for row in chat.drawn("#log"))


async def test_forty_by_ten_has_log_status_input_and_footer() -> None:
    async with chatting("ana", "bob", size=(40, 10)) as chat:
        await chat.deliver(*(chat.client.post("bob", f"line {i}") for i in range(9)))
        assert chat.screen.log_view.size.height >= 7
        assert chat.screen.status.region.height == 1
        assert chat.composer.region.height == 1
        await chat.type(*"words", "alt+enter", *"more")
        assert chat.composer.region.height == 2


# Unread posts and notifications


async def focus(chat: Chat, focused: bool) -> None:
    chat.app.post_message(events.AppFocus() if focused else events.AppBlur())
    await chat.pilot.pause()
    await chat.settled()


def capture_notifications(chat: Chat, **environment: str) -> list[str]:
    """Collect what is written to the terminal from now on, with these environment variables."""
    written: list[str] = []
    chat.app._notifier = Notifier(written.append, {"TERM": "xterm", **environment})
    return written


async def test_the_unread_line_stays_until_escape_at_the_end() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(chat.client.post("bob", "seen"))
        await focus(chat, False)
        await chat.deliver(PresenceChanged("lobby", "join", ("eve",), 3, "", AT))
        await chat.deliver(*(chat.client.post("bob", f"new {i}") for i in range(3)))
        await focus(chat, True)
        await chat.type("alt+j")
        rows = chat.drawn("#log")
        at = next(i for i, row in enumerate(rows) if "── new ──" in row)
        assert rows[at + 1].endswith("new 0")
        assert rows[at - 1].endswith("eve joined")
        await chat.deliver(chat.client.post("bob", "and more"))
        assert any("── new ──" in row for row in chat.drawn("#log"))
        await chat.type("escape")
        assert not any("── new ──" in row for row in chat.drawn("#log"))


async def test_sending_and_losing_the_focus_remove_the_unread_line() -> None:
    async with chatting("ana", "bob") as chat:
        for cause in ("send", "leave"):
            await focus(chat, False)
            await chat.deliver(chat.client.post("bob", "new"))
            await focus(chat, True)
            assert any("── new ──" in row for row in chat.drawn("#log"))
            if cause == "send":
                await chat.enter("hi")
            else:
                await focus(chat, False)
            assert not any("── new ──" in row for row in chat.drawn("#log"))


async def test_alt_u_goes_to_the_first_unread_post() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.type("alt+u")
        assert "No unread posts" in chat.toasts
        await focus(chat, False)
        await chat.deliver(*(chat.client.post("bob", f"new {i}") for i in range(60)))
        await focus(chat, True)
        assert not any("── new ──" in row for row in chat.drawn("#log"))
        await chat.type("alt+u")
        rows = chat.drawn("#log")
        assert "── new ──" in rows[0]
        assert "new 0" in rows[1]
        await chat.type("escape")
        assert chat.screen.log_view.is_following
        await chat.type("alt+u")
        assert "── new ──" in chat.drawn("#log")[0]


async def test_alt_u_goes_to_newer_posts_if_scrolled_up() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(*(chat.client.post("bob", f"old {i}") for i in range(60)))
        await chat.type("ctrl+home")
        await chat.deliver(*(chat.client.post("bob", f"new {i}") for i in range(60)))
        await chat.type("alt+u")
        assert "bob │ new 0  " in chat.drawn("#log")[0]


async def test_alt_p_and_alt_n_walk_the_mentions() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.type("alt+p")
        assert "No mentions of you" in chat.toasts
        for text in ("ana one", "ana two"):
            await chat.deliver(chat.client.post("bob", text))
            await chat.deliver(*(chat.client.post("bob", f"line {i}") for i in range(40)))
        for key, text, toast in [
            ("alt+p", "ana two", "No mentions"),
            ("alt+p", "ana one", "No mentions"),
            ("alt+p", "ana two", "No earlier mention"),
            ("alt+n", "ana one", "No later mention"),
            ("alt+n", "ana two", "No later mention"),
        ]:
            await chat.type(key)
            assert any(row.endswith(f"┃ {text}") for row in chat.drawn("#log"))
            assert toast in chat.toasts


async def test_the_next_start_opens_at_the_unread_line(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        await chat.deliver(*(chat.client.post("bob", f"line {i}") for i in range(5)))
    async with chatting(home=tmp_path) as chat:
        written = capture_notifications(chat)
        *before, caught_up = chat.client.online("ana", "bob")
        backlog = [chat.client.post("bob", f"line {i}", live=False) for i in range(5)]
        backlog += [chat.client.post("bob", f"ana: night {i}", live=False) for i in range(45)]
        await chat.deliver(*before, *backlog, caught_up)
        rows = chat.drawn("#log")
        assert "── new ──" in rows[0]
        assert rows[1].endswith("ana: night 0")
        assert chat.drawn("#log")[-1].rstrip(" ▂▃▄▅▆▇").endswith("↓ 45 new")
        await chat.type("escape")
        assert "new" not in chat.drawn("#status")[0]
        assert written == []
    async with chatting(home=tmp_path) as chat:
        *before, caught_up = chat.client.online("ana", "bob")
        await chat.deliver(*before, *(each for each in backlog), caught_up)
        assert not any("── new ──" in row for row in chat.drawn("#log"))


async def test_unread_posts_above_the_backlog_are_fetched_on_the_way_to_them(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        await chat.deliver(chat.client.post("bob", "read"))
    async with chatting(home=tmp_path) as chat:
        *before, caught_up = chat.client.online("ana", "bob")
        read, *posts = [chat.client.post("bob", f"night {i}", live=False) for i in range(100)]
        await chat.deliver(*before, *posts[49:], caught_up)
        assert chat.drawn("#log")[1].endswith("night 50")
        await chat.type("alt+u")
        assert len(chat.client.called("fetch_history")) == 1
        ref = f"n{chat.client._count}"
        older = tuple(each.post for each in (read, *posts[:49]))
        await chat.deliver(HistoryFetched("lobby", ref, older, False))
        rows = chat.drawn("#log")
        assert "── new ──" in rows[0]
        assert rows[1].endswith("night 1")


async def deliver_history(chat: Chat, posts: list[PostArrived], *, more: bool = True) -> None:
    """Answer the last request for a page of history."""
    older = tuple(each.post for each in posts)
    await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", older, more))


@pytest.mark.parametrize("size", [(80, 24), (80, 100)])
async def test_all_unread_posts_are_counted_and_shown_from_the_first(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        await chat.deliver(chat.client.post("bob", "read"))
    async with chatting(home=tmp_path, size=size) as chat:
        *before, caught_up = chat.client.online("ana", "bob")
        posts = [chat.client.post("bob", f"night {i}", live=False) for i in range(131)]
        await chat.deliver(*before, *posts[81:], caught_up)
        assert chat.screen._state.rooms.unread == 130
        assert len(chat.client.called("fetch_history")) == 1
        await deliver_history(chat, posts[:81])
        rows = chat.drawn("#log")
        assert "── new ──" in rows[0]
        assert rows[1].rstrip(" ▁▂▃▄▅▆▇").endswith("night 1")
        assert chat.screen._state.rooms.unread == 130
        assert len(chat.client.called("fetch_history")) == 1


async def test_fetched_posts_do_not_move_a_log_that_was_scrolled(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        await chat.deliver(chat.client.post("bob", "read"))
    async with chatting(home=tmp_path) as chat:
        *before, caught_up = chat.client.online("ana", "bob")
        posts = [chat.client.post("bob", f"night {i}", live=False) for i in range(131)]
        await chat.deliver(*before, *posts[81:], caught_up)
        await chat.type("pagedown")
        rows = [row[:60].rstrip() for row in chat.drawn("#log")[:-1]]
        await deliver_history(chat, posts[:81])
        assert [row[:60].rstrip() for row in chat.drawn("#log")[:-1]] == rows
        await chat.type("alt+u")
        assert chat.drawn("#log")[1].endswith("night 1")


async def test_the_unread_line_counts_older_unread_posts_above_it(tmp_path: Path) -> None:
    async with chatting("ana", home=tmp_path) as chat:
        await chat.deliver(chat.client.post("bob", "read"))
    async with chatting(home=tmp_path) as chat:
        *before, caught_up = chat.client.online("ana", "bob")
        posts = [chat.client.post("bob", f"night {i}", live=False) for i in range(2_451)]
        await chat.deliver(*before, *posts[2_401:], caught_up)
        assert "── 2,400 older unread above ──" in chat.drawn("#log")[0]
        for end in range(2_401, 1_401, -200):
            await deliver_history(chat, posts[end - 200 : end])
        assert len(chat.client.called("fetch_history")) == 5
        rows = chat.drawn("#log")
        assert "── 1,400 older unread above ──" in rows[0]
        assert rows[1].endswith("night 1401")
        assert chat.screen._state.rooms.unread == 2_450
        await chat.type("alt+u")
        assert len(chat.client.called("fetch_history")) == 6


async def test_a_mention_notifies_only_without_the_focus() -> None:
    async with chatting("ana", "bob") as chat:
        written = capture_notifications(chat)
        await chat.deliver(chat.client.post("bob", "hi ana"))
        assert written == []
        await focus(chat, False)
        await chat.deliver(chat.client.post("bob", "hi all"))
        await chat.deliver(chat.client.post("bob", "hi ana", live=False), *chat.client.echo("n", "I, ana"))
        assert written == []
        await chat.deliver(chat.client.post("bob", "hi ana;\x1b]0;x\x07"))
        await chat.deliver(chat.client.post("bob", "ana?"))
        assert written == ["\x1b]9;bob in #lobby: hi ana,␛]0,x␇\x07\x07"]


async def test_a_mention_in_another_room_notifies_with_the_focus() -> None:
    async with chatting("ana", "bob") as chat:
        written = capture_notifications(chat, TMUX="/tmp/tmux-0/default,1,0")
        await chat.deliver(chat.client.post("bob", "hi ana", room="dev"))
        assert written == ["\x1bPtmux;\x1b\x1b]9;bob in #dev: hi ana\x07\x1b\\\x07"]


async def test_notification_levels_are_saved(tmp_path: Path) -> None:
    async with chatting("ana", "bob", home=tmp_path) as chat:
        for typed, output in [
            ("/notify", "notifies you of mentions"),
            ("/notify all", "notifies you of every post"),
            ("/notify", "notifies you of every post"),
            ("/mute", "#lobby is muted"),
            ("/unmute", "notifies you of mentions"),
            ("/notify OFF", "#lobby is muted"),
        ]:
            await chat.enter(typed)
            assert output in " ".join(
                " ".join(filter(None, map(str.strip, chat.drawn("#log")))).split()[-20:]
            )
        await chat.enter("/notify loudly")
        assert "off, mentions, all or test" in chat.toasts
        assert chat.composer.text == "/notify loudly"
        assert chat.sent == []
    async with chatting("ana", "bob", home=tmp_path) as chat:
        written = capture_notifications(chat)
        await focus(chat, False)
        await chat.deliver(chat.client.post("bob", "hi ana"))
        assert written == []
        assert chat.composer.text == "/notify loudly"  # a draft
        chat.composer.stash()
        await chat.enter("/notify all")
        await focus(chat, False)
        await chat.deliver(chat.client.post("bob", "whatever"))
        assert len(written) == 1


async def test_notify_test_notifies_at_once_and_reports_the_method() -> None:
    async with chatting("ana", "bob") as chat:
        written = capture_notifications(chat, TMUX="x")
        await chat.enter("/notify test")
        await chat.enter("/notify test")
        assert len(written) == 2
        assert "This is a test" in written[0]
        assert any("allow-passthrough" in row for row in chat.drawn("#log"))
        written = capture_notifications(chat, TERM="linux")
        await chat.enter("/notify test")
        assert written == ["\x07"]
        assert any("Sent the bell." in row for row in chat.drawn("#log"))


async def test_the_title_counts_mentions_separately() -> None:
    async with chatting("ana", "bob") as chat:
        titles: list[str] = []
        chat.app._terminal_title = TerminalTitle(titles.append)
        await focus(chat, False)
        await chat.deliver(chat.client.post("bob", "hi ana"))
        await chat.deliver(chat.client.post("bob", "hi all"))
        await focus(chat, True)
        shown = [title[4:-1] for title in titles if title.startswith("\x1b]0;")]
        assert shown == [f"{counts}#lobby · broadcast-tui" for counts in ("(1!) ", "(1!, 2) ", "")]


async def test_only_two_consecutive_presses_quit() -> None:
    async with chatting("ana", "bob") as chat:
        for between in (["a", "b", "ctrl+c"], ["pageup"], ["a", "backspace"], ["left"]):
            await chat.type("ctrl+c", *between, "ctrl+c")
            assert not chat.client.closed
            chat.screen._quit_until = 0.0
        await chat.type("ctrl+c", "ctrl+c")
        assert chat.client.closed


@pytest.mark.parametrize("size", [(80, 24), (40, 10)])
async def test_a_toast_replaces_the_previous_one(size: tuple[int, int]) -> None:
    async with chatting("ana", "bob", size=size) as chat:
        await chat.type("alt+m", "alt+j", "alt+j")
        assert len(chat.app._notifications) == 1
        assert len([toast for toast in chat.screen.query("Toast") if toast.region.height]) == 1


async def test_a_small_terminal_shows_only_the_last_notice_in_two_rows() -> None:
    async with chatting("ana", "bob", size=(40, 10)) as chat:
        for number in range(3):
            chat.app.notify(f"notice {number} " + "that goes on and on " * 6)
            await chat.pilot.pause()
        rows = [row for row in chat.drawn() if "notice" in row or "on and on" in row]
        assert 1 <= len(rows) <= 2
        assert "notice 2" in rows[0]


async def test_names_of_emoji_are_sent_as_emoji() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.enter("nice :tada: `:tada:`")
        await chat.enter("/me is happy :+1:")
        await chat.enter("/shrug :tada:")
        assert chat.sent == ["nice 🎉 `:tada:`", "/me is happy 👍", "🎉 ¯\\_(ツ)_/¯"]
