"""Picking posts, copying and finding in the conversation."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product

import pytest
from textual import events

from broadcast_tui.tui.screens.inspect import InspectScreen
from broadcast_tui.tui.screens.search import SearchScreen
from broadcast_tui.tui.terminal import clipboard
from broadcast_tui.tui.terminal.clipboard import Tool
from broadcast_tui.tui.widgets import conversation
from broadcast_tui.tui.widgets.find_bar import FindBar
from broadcast_tui.tui.widgets.message_log import MessageLog
from broadcast_tui.tui.widgets.post_bar import PostBar
from tests.support.chat_app import Chat, chatting
from tests.support.running import eventually


@pytest.fixture(autouse=True)
def no_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run no browser and leave the clipboard unchanged."""
    monkeypatch.setattr(clipboard, "clipboard_tools", lambda environment: [])
    monkeypatch.setattr(conversation, "browser_tool", lambda environment: None)


@asynccontextmanager
async def chat_with_posts(*texts: str, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Chat]:
    """A room with `texts` posted by bob, by default `post 0` to `post 59`."""
    async with chatting("ana", "bob", size=size) as chat:
        sent = texts or [f"post {n}" for n in range(60)]
        await chat.deliver(*(chat.client.post("bob", text) for text in sent))
        yield chat


def picked(chat: Chat) -> str:
    line = chat.screen.conversation.log_view.highlights.picked_line
    return "" if line is None else line.text


def log_texts(chat: Chat) -> list[str]:
    """The texts of one-line posts in view, without what is drawn over the first and the last row."""
    rows = [row.rstrip(" ▂▃▄▅▆▇").rpartition("│ ")[2] for row in chat.drawn("#log")]
    return [re.sub(r" +(\w{3} \d+ \w+|↓ Esc Latest)$", "", row).rstrip() for row in rows]


async def workers_done(chat: Chat) -> None:
    """Wait for the workers that copy and open links."""
    for worker in [worker for worker in chat.app.workers if worker.group in ("copy", "open")]:
        await worker.wait()
    await chat.settled()
    await chat.pilot.pause()


async def drag(chat: Chat, start: tuple[int, int], end: tuple[int, int]) -> None:
    await chat.pilot.mouse_down("#log", offset=start)
    await chat.pilot.hover("#log", offset=end)
    await chat.pilot.mouse_up("#log", offset=end)
    await chat.pilot.pause()


async def find_status(chat: Chat) -> str:
    """The match count in the find bar after the whole log is searched."""
    finder = chat.screen.conversation.finder.state
    while finder is not None and not finder.is_complete:
        await chat.pilot.pause()
    chat.screen.conversation.finder.search_some()
    await chat.pilot.pause()
    return str(chat.screen.query_one("#find-count").render())


# Picking


async def test_alt_up_picks_the_newest_post_in_view_and_keys_move() -> None:
    async with chat_with_posts() as chat:
        await chat.type("alt+up")
        seen = [picked(chat)]
        for key in ("k", "up", "j", "g", "down", "G", "pageup", "pagedown", "alt+up"):
            await chat.type(key)
            seen.append(picked(chat))
        assert seen[:7] == [f"post {n}" for n in (59, 58, 57, 58, 0, 1, 59)]
        assert seen[7] in [f"post {n}" for n in range(40, 50)]
        assert seen[8:] == ["post 59", "post 58"]
        assert any(row.startswith("▶") and row.endswith("post 58") for row in chat.drawn("#log"))


async def test_the_newest_post_in_view_is_picked_if_scrolled_up() -> None:
    async with chat_with_posts() as chat:
        await chat.type("pageup")
        before = log_texts(chat)
        await chat.type("alt+up")
        assert before[-1] == picked(chat)
        # The bar with the keys takes a row, and the log moves by no more than that.
        assert log_texts(chat)[0] == before[1]
        last = chat.drawn("#log")[-1]
        assert last.startswith("▶")
        assert picked(chat) in last


async def test_without_a_post_there_is_nothing_to_pick() -> None:
    async with chatting("ana") as chat:
        await chat.type("alt+up")
        assert "There is no post to pick" in chat.toasts
        assert chat.composer.has_focus


async def test_history_is_requested_above_the_oldest_post() -> None:
    async with chat_with_posts() as chat:
        await chat.type("alt+up", "g", "k")
        await chat.pilot.pause()
        assert len(chat.client.called("fetch_history")) == 1
        assert picked(chat) == "post 0"


async def test_escape_goes_back_to_the_input_with_its_draft() -> None:
    async with chat_with_posts() as chat:
        await chat.type(*"draft", "alt+up", "k", "escape")
        assert chat.composer.has_focus
        assert chat.composer.text == "draft"
        assert picked(chat) == ""
        assert not chat.screen.query_one(PostBar).display


async def test_a_picked_post_that_is_gone_ends_picking() -> None:
    async with chat_with_posts() as chat:
        await chat.type("alt+up")
        chat.screen.log_view.transcript.clear()
        await chat.type("k")
        await chat.pilot.pause()
        assert chat.composer.has_focus
        assert not chat.screen.query_one(PostBar).display


async def test_typing_anything_else_goes_into_the_input() -> None:
    async with chat_with_posts() as chat:
        await chat.type("alt+up", "n", "e", "y")
        assert chat.composer.text == "ney"
        assert picked(chat) == ""
        assert chat.sent == []


async def test_letters_go_into_the_input_in_the_order_typed() -> None:
    async with chat_with_posts("hello") as chat:
        for gaps in product(range(5), repeat=2):
            await chat.type("alt+up")
            assert picked(chat) == "hello"
            for key, turns in zip("ney", (*gaps, 0), strict=True):
                chat.app.post_message(events.Key(key, key))
                for _ in range(turns):
                    await asyncio.sleep(0)
            await chat.pilot.pause()
            assert chat.composer.text == "ney", gaps
            chat.composer.clear()


async def test_letters_typed_right_after_r_go_into_the_reply() -> None:
    async with chat_with_posts("hello") as chat:
        await chat.type("alt+up", *"ryogi")
        await chat.pilot.pause()
        assert chat.composer.text == "yogi"
        assert "Replying to bob · Esc cancels" in chat.drawn("#compose-mode")[0]


async def test_the_post_bar_shows_as_many_keys_as_fit() -> None:
    async with chat_with_posts(size=(40, 10)) as chat:
        await chat.type("alt+up")
        row = chat.drawn("#pick")[0].strip()
        assert row == "r reply  + react  p pin  Esc back"
        assert len(row) <= 38


async def test_y_copies_the_text_and_reports_the_method() -> None:
    async with chat_with_posts("two\nrows 漢字") as chat:
        await chat.type("alt+up", "y")
        await workers_done(chat)
        assert chat.app.clipboard == "two\nrows 漢字"
        assert "Copied 1 post (OSC 52)" in chat.toasts
        assert picked(chat)


async def test_capital_y_copies_the_text_with_time_and_name() -> None:
    async with chat_with_posts("hello") as chat:
        await chat.type("alt+up", "Y")
        await workers_done(chat)
        stamp, _, rest = chat.app.clipboard.partition(" bob: ")
        assert (stamp[:8], rest) == ("2025-08-", "hello")


async def test_r_replies_and_restores_the_draft() -> None:
    async with chat_with_posts("hello") as chat:
        await chat.type(*"draft", "alt+up", "r", *"yes")
        assert chat.composer.has_focus
        await chat.type("enter")
        assert chat.client.called("say") == [("lobby", "yes", "k3f9-1")]
        assert chat.composer.text == "draft"
        assert chat.composer.drafts.mode is None


async def test_o_copies_the_link_if_there_is_no_browser() -> None:
    async with chat_with_posts("see https://one.example/a, https://two.example") as chat:
        await chat.type("alt+up", "o")
        await workers_done(chat)
        assert chat.app.clipboard == "https://one.example/a"
        assert "No browser" in chat.toasts
        assert "(1/2, o again for the next)" in chat.toasts
        await chat.type("o")
        await workers_done(chat)
        assert chat.app.clipboard == "https://two.example"
        assert "(2/2, o again for the next)" in chat.toasts


async def test_o_opens_http_links_only(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    async def browse(tool: Tool, url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(conversation, "browser_tool", lambda environment: Tool("xdg-open", ("xdg-open",)))
    monkeypatch.setattr(conversation, "browse", browse)
    async with chat_with_posts("file:///etc/passwd javascript:alert(1)", "https://one.example") as chat:
        await chat.type("alt+up", "k", "o")
        await workers_done(chat)
        assert "no link" in chat.toasts
        assert opened == []
        await chat.type("j", "o")
        await workers_done(chat)
        assert opened == ["https://one.example"]
        assert "Opened https://one.example" in chat.toasts
        assert "again for the next" not in chat.toasts


async def test_i_shows_the_details_of_a_post_and_returns() -> None:
    async with chat_with_posts("p\u0430y x\u200dy") as chat:
        await chat.type("alt+up", "i")
        assert isinstance(chat.app.screen, InspectScreen)
        drawn = "\n".join(chat.drawn())
        for text in ("⟨U+0430⟩", "⟨U+200D⟩", "zero width joiner", "2025-08-30 10:30:40", "k3f9-1", "bob"):
            assert text in drawn
        await chat.type("escape", "k", "y")
        await workers_done(chat)
        assert "Copied 1 post" in chat.toasts


async def test_focusing_another_widget_ends_picking_but_another_window_does_not() -> None:
    async with chat_with_posts() as chat:
        await chat.type("alt+up", "k")
        chat.app.post_message(events.AppBlur())
        await chat.pilot.pause()
        chat.app.post_message(events.AppFocus())
        await chat.pilot.pause()
        await chat.type("k")
        assert picked(chat) == "post 57"
        await chat.pilot.click(MessageLog, offset=(30, 3))
        await chat.pilot.pause()
        assert picked(chat) == ""


async def test_a_click_on_the_log_closes_the_find_bar_and_focuses_the_input() -> None:
    async with chat_with_posts() as chat:
        await chat.type("ctrl+f", *"post")
        await chat.pilot.click(MessageLog, offset=(30, 3))
        await chat.pilot.pause()
        assert not chat.drawn("#talk")[-1].strip().startswith("Find")
        await chat.pilot.click(MessageLog, offset=(30, 3))
        for key in ("s", "o", "enter"):
            chat.app.post_message(events.Key(key, "\r" if key == "enter" else key))
        await eventually(lambda: chat.client.called("say") == [("lobby", "so")])


# Copying a selection


async def test_ctrl_c_copies_the_selection_and_escape_clears_it() -> None:
    async with chat_with_posts() as chat:
        await chat.pilot.triple_click("#log", offset=(30, 5))
        await chat.type("ctrl+c")
        await workers_done(chat)
        assert chat.app.clipboard.startswith("post ")
        assert "Copied 1 post (OSC 52)" in chat.toasts
        await chat.type("escape")
        assert not chat.screen.selections


async def test_a_selection_shows_the_key_that_copies_it() -> None:
    async with chat_with_posts() as chat:
        await chat.pilot.mouse_down("#log", offset=(30, 5))
        await chat.pilot.mouse_up("#log", offset=(30, 5))
        await chat.pilot.pause()
        assert "copies" not in chat.toasts
        await drag(chat, (30, 5), (40, 7))
        assert chat.toasts == "Ctrl+C copies the selection"
        await chat.type("ctrl+c")
        await workers_done(chat)
        assert chat.toasts.startswith("Copied")


@pytest.mark.parametrize("count", [2, 3])
async def test_a_word_or_post_selected_by_clicks_shows_the_key_that_copies_it(count: int) -> None:
    async with chat_with_posts() as chat:
        await chat.pilot.click("#log", offset=(14, 5), times=count)
        await chat.pilot.pause()
        assert chat.toasts == "Ctrl+C copies the selection"


async def test_a_drag_out_of_the_log_stays_in_it() -> None:
    async with chat_with_posts() as chat:
        await chat.type("pageup")
        last = log_texts(chat)[-1]
        await chat.pilot.mouse_down("#log", offset=(0, 2))
        await chat.pilot.hover("#status", offset=(60, 0))
        await chat.pilot.mouse_up("#status", offset=(60, 0))
        await chat.type("ctrl+c")
        await workers_done(chat)
        assert chat.app.clipboard.splitlines()[-1] == f"bob: {last}"
        assert "online" not in chat.app.clipboard


async def test_part_of_the_input_is_copied_by_the_same_key() -> None:
    async with chat_with_posts() as chat:
        await chat.type(*"one two", "ctrl+shift+left", "ctrl+c")
        await workers_done(chat)
        assert chat.app.clipboard == "two"
        assert "Copied 3 characters (OSC 52)" in chat.toasts


# Finding


async def test_ctrl_s_opens_the_find_bar() -> None:
    async with chat_with_posts() as chat:
        await chat.type("ctrl+s", *"post 4")
        assert picked(chat) == "post 49"
        await chat.type("ctrl+s")
        assert picked(chat) == "post 48"


async def test_the_find_bar_opens_before_it_has_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FindBar, "on_mount", lambda _: None)
    async with chat_with_posts() as chat:
        assert not chat.screen.query("#find-text")
        await chat.type("ctrl+f", *"post 4")
        assert (await find_status(chat), picked(chat)) == ("1/11", "post 49")


async def test_matches_are_counted_and_shown_as_you_type() -> None:
    async with chat_with_posts() as chat:
        await chat.type("ctrl+f", *"POST 4".lower())
        assert await find_status(chat) == "1/11"
        assert picked(chat) == "post 49"
        await chat.type("up", "up")
        assert (picked(chat), await find_status(chat)) == ("post 47", "3/11")
        await chat.type("ctrl+f")
        assert picked(chat) == "post 46"
        await chat.type("down", "down", "down", "down")
        assert (picked(chat), await find_status(chat)) == ("post 4", "11/11")
        assert "post 4" in "".join(chat.drawn("#log"))
        assert chat.composer.text == ""


async def test_a_step_right_after_typing_uses_the_whole_query() -> None:
    async with chat_with_posts() as chat:
        await chat.type("ctrl+f", *"post 4", "up")
        assert (await find_status(chat), picked(chat)) == ("2/11", "post 48")


async def test_capital_letters_make_finding_case_sensitive() -> None:
    async with chat_with_posts("Deploy now", "deploy later") as chat:
        await chat.type("ctrl+f", *"Deploy")
        assert (await find_status(chat), picked(chat)) == ("1/1", "Deploy now")
        await chat.type("ctrl+u", *"deploy")
        assert (await find_status(chat), picked(chat)) == ("1/2", "deploy later")


async def test_escape_restores_the_position_before_finding() -> None:
    async with chat_with_posts() as chat:
        await chat.type("pageup")
        before = chat.drawn("#log")
        await chat.type(*"draft", "ctrl+f", *"post 5")
        await find_status(chat)
        assert chat.drawn("#log")[0] != before[0]
        await chat.type("up", "escape")
        assert chat.drawn("#log") == before
        assert (chat.composer.text, chat.composer.has_focus) == ("draft", True)
        assert not chat.screen.query_one(FindBar).display
        await chat.type("escape")
        assert chat.screen.log_view.is_following
        await chat.type("ctrl+f", *"post 3")
        await find_status(chat)
        assert not chat.screen.log_view.is_following
        await chat.type("escape")
        assert chat.screen.log_view.is_following


async def test_enter_stays_at_the_match_and_n_continues() -> None:
    async with chat_with_posts() as chat:
        await chat.type("ctrl+f", *"post 1", "enter")
        await eventually(lambda: chat.drawn("#pick")[0].strip().startswith("1/11  n next"))
        assert picked(chat) == "post 19"
        await chat.type("n", "n")
        assert picked(chat) == "post 17"
        assert chat.drawn("#pick")[0].strip().startswith("3/11")
        await chat.type("N")
        assert picked(chat) == "post 18"
        await chat.type("escape")
        assert chat.composer.has_focus
        assert "post 18" in "".join(chat.drawn("#log"))


async def test_finding_starts_at_the_view_and_goes_up() -> None:
    async with chat_with_posts(*(f"x {n}" if n % 20 == 0 else f"post {n}" for n in range(100))) as chat:
        await chat.type("pageup", "ctrl+f", "x")
        assert (await find_status(chat), picked(chat)) == ("2/5", "x 60")


async def test_matches_in_new_posts_are_counted() -> None:
    async with chat_with_posts() as chat:
        await chat.type("ctrl+f", *"post")
        assert await find_status(chat) == "1/60"
        await chat.deliver(chat.client.post("bob", "post new"))
        assert await find_status(chat) == "2/61"
        assert picked(chat) == "post 59"


async def test_enter_without_a_match_searches_on_the_server() -> None:
    async with chat_with_posts() as chat:
        await chat.type("ctrl+f", *"nowhere")
        assert "none" in await find_status(chat)
        await chat.type("enter")
        assert isinstance(chat.app.screen, SearchScreen)
        assert chat.client.called("search") == [("lobby", "nowhere", "")]


async def test_enter_on_an_empty_query_closes_the_find_bar() -> None:
    async with chat_with_posts() as chat:
        await chat.type("ctrl+f", "enter")
        assert chat.composer.has_focus
        assert not chat.screen.query_one(FindBar).display


async def test_a_paste_into_the_search_is_one_harmless_line() -> None:
    async with chat_with_posts() as chat:
        await chat.type("ctrl+f")
        chat.app.post_message(events.Paste("a\x1b[31m\nb"))
        await chat.pilot.pause()
        assert chat.screen.query_one(FindBar).text.value == "a␛[31m b"


async def test_finding_works_in_a_small_terminal() -> None:
    async with chat_with_posts(size=(40, 10)) as chat:
        await chat.type("ctrl+f", *"post 3")
        assert await find_status(chat) == "1/11"
        assert chat.drawn("#find")[0].split() == ["Find", "post", "3", "1/11"]
        assert any("post 39" in row for row in chat.drawn("#log"))


# The bare view


async def test_the_bare_view_is_text_alone_until_the_key_or_a_letter() -> None:
    async with chat_with_posts() as chat:
        before = chat.drawn()
        await chat.type("alt+l")
        rows = chat.drawn()
        assert len(rows) == 24
        assert rows[-1] == "bob: post 59"
        assert rows[0] == "bob: post 36"
        await chat.type("pageup")
        assert chat.drawn()[-1] != "bob: post 59"
        await chat.type("pagedown", "alt+l")
        assert chat.drawn() == before
        await chat.type("alt+l", "h", "i")
        await chat.pilot.pause()
        assert (chat.composer.text, chat.composer.has_focus) == ("hi", True)
        await chat.type("alt+l", "escape")
        assert chat.composer.display


async def test_mouse_support_can_be_turned_off_and_on() -> None:
    async with chat_with_posts() as chat:
        await chat.type("alt+m")
        assert "Mouse off: the terminal selects text; Alt+M turns it on" in chat.toasts
        await chat.type("alt+m")
        assert "Mouse on" in chat.toasts


# Returning to the input


@pytest.mark.parametrize("keys", [["alt+up", "k"], ["ctrl+f", *"post", "enter"]])
async def test_a_paste_while_a_post_is_picked_goes_into_the_input(keys: list[str]) -> None:
    async with chat_with_posts() as chat:
        await chat.type(*"so ", *keys)
        await eventually(lambda: chat.screen.query_one(PostBar).display)
        chat.app.post_message(events.Paste("pasted"))
        await eventually(lambda: chat.composer.text == "so pasted")
        await chat.type("!")
        assert (chat.composer.text, picked(chat)) == ("so pasted!", "")
        assert not chat.screen.query_one(PostBar).display


async def test_editing_keys_end_picking_and_go_to_the_input() -> None:
    async with chat_with_posts() as chat:
        for key, left in (
            ("ctrl+u", "x"),
            ("ctrl+e", "draftx"),
            ("backspace", "drafx"),
            ("ctrl+a", "xdraft"),
        ):
            await chat.type("ctrl+u", *"draft", "alt+up")
            assert picked(chat)
            await chat.type(key, "x")
            assert (chat.composer.text, picked(chat)) == (left, "")
        await chat.type("alt+up", "enter")
        assert chat.sent == []


async def test_the_host_of_each_titled_link_is_shown() -> None:
    async with chat_with_posts(
        "[paypal.com](https://evil.example/x) and [docs](https://docs.example)"
    ) as chat:
        assert any("⚠ a link goes to evil.example" in row for row in chat.drawn("#log"))
        await chat.type("alt+up", "i")
        drawn = "\n".join(chat.drawn())
        assert "paypal.com → evil.example" in drawn
        assert "docs → docs.example" in drawn


async def test_the_list_of_completions_does_not_cover_the_number_of_new_posts() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.deliver(*(chat.client.post("bob", f"post {n}") for n in range(60)))
        await chat.type("pageup")
        await chat.deliver(chat.client.post("bob", "one more"))
        assert "↓ 1 new" in chat.drawn("#log")[-1]
        await chat.type("/", "n")
        await chat.pilot.pause()
        rows = chat.drawn("#log")
        shown = len(rows) - 3
        assert "↓ 1 new" in rows[shown]
        assert "/notify" in rows[shown + 1]
        x = rows[shown].index("↓")
        await chat.pilot.click("#log", offset=(x, shown))
        await chat.settled()
        assert chat.screen.log_view.is_following
        await chat.type("escape", "pageup")
        assert "Latest" in chat.drawn("#log")[-1]
