"""/search: the list of what the server found, and the way from there to a post."""

from __future__ import annotations

from datetime import timedelta

from textual.widgets import OptionList

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.session.updates import HistoryFetched, Noticed, SearchFound
from broadcast_tui.tui.model.text.colors import color_index
from broadcast_tui.tui.screens.chat import ChatScreen
from broadcast_tui.tui.screens.search import ContextScreen, SearchScreen
from tests.support.chat_app import Chat, chatting
from tests.support.fake_client import AT
from tests.tui.widgets.test_conversation import no_desktop, workers_done

__all__ = ["no_desktop"]


def post(seq: int, text: str, epoch: str = "k3f9") -> Post:
    return Post("lobby", Position(epoch, seq), "bob", text, AT + timedelta(seconds=seq - 10_000))


async def show_results(chat: Chat, *posts: Post, more: bool = False) -> None:
    """Search for `deploy` with `posts` as the results."""
    await chat.enter("/search deploy")
    await chat.deliver(SearchFound("lobby", f"n{chat.client._count}", posts, more))
    await chat.pilot.pause()


def picked(chat: Chat) -> str:
    line = chat.screen.conversation.log_view.highlights.picked_line
    return "" if line is None else line.text


async def load_posts(chat: Chat, first: int, count: int) -> None:
    """Deliver `count` posts to the room, from number `first` on."""
    chat.client._seq = first - 1
    await chat.deliver(*(chat.client.post("bob", f"post {n}") for n in range(first, first + count)))


async def test_results_are_listed_newest_first_with_matches() -> None:
    async with chatting("ana", "bob") as chat:
        await show_results(chat, post(1, "first deploy"), post(2, "[red]Deploying[/] \x1b[2J"))
        assert chat.client.called("search") == [("lobby", "deploy", "")]
        rows = [row.strip("│ ") for row in chat.drawn("#search")]
        assert rows[0].startswith("╭─ Search #lobby: deploy")
        assert rows[1] == "2 results"
        assert rows[2].startswith("bob  30 Aug")
        assert rows[3] == "[red]Deploying[/] ␛[2J"
        assert rows[5] == "first deploy"


async def test_waiting_no_results_and_errors_are_shown() -> None:
    async with chatting("ana", "bob") as chat:
        await chat.enter("/search deploy")
        assert "Searching…" in "".join(chat.drawn("#search"))
        await chat.deliver(SearchFound("lobby", f"n{chat.client._count}", (), False))
        assert "No results" in "".join(chat.drawn("#search"))
        await chat.type("escape")
        await chat.enter("/search deploy")
        await chat.deliver(Noticed("Wait 2 s.", True, "rate_limited", f"n{chat.client._count}"))
        assert "Wait 2 s." in "".join(chat.drawn("#search"))
        await chat.type("escape")
        assert "Wait 2 s." not in "".join(chat.drawn())


async def test_older_pages_are_requested_at_the_last_result() -> None:
    async with chatting("ana", "bob") as chat:
        await show_results(chat, *(post(n, f"deploy {n}") for n in range(5, 35)), more=True)
        await chat.type("down")
        assert len(chat.client.called("search")) == 1
        await chat.type("end")
        assert chat.client.called("search")[1:] == [("lobby", "deploy", "k3f9-5")]
        await chat.deliver(SearchFound("lobby", f"n{chat.client._count}", (post(2, "deploy 2"),), False))
        assert "31 results" in "".join(chat.drawn("#search"))
        await chat.type("down")
        assert "deploy 2" in "".join(chat.drawn("#search"))
        assert len(chat.client.called("search")) == 2


async def test_enter_goes_to_a_loaded_result_and_picks_it() -> None:
    async with chatting("ana", "bob") as chat:
        await load_posts(chat, 1, 60)
        await show_results(chat, post(5, "post 5"), post(9, "post 9"))
        await chat.type("down", "enter")
        assert isinstance(chat.app.screen, ChatScreen)
        assert picked(chat) == "post 5"
        assert any(row.startswith("▶") for row in chat.drawn("#log"))


async def test_escape_restores_the_scroll_position() -> None:
    async with chatting("ana", "bob") as chat:
        await load_posts(chat, 1, 60)
        await chat.type("pageup")
        before = chat.drawn("#log")
        await show_results(chat, post(5, "post 5"))
        await chat.type("escape")
        assert chat.drawn("#log") == before
        assert chat.composer.has_focus


async def test_history_is_fetched_page_by_page_up_to_a_near_result() -> None:
    async with chatting("ana", "bob") as chat:
        await load_posts(chat, 501, 10)
        await show_results(chat, post(150, "post 150"))
        await chat.type("enter")
        assert isinstance(chat.app.screen, ChatScreen)
        assert chat.client.called("fetch_history") == [("lobby", "k3f9-501", "200")]
        page = tuple(post(n, f"post {n}") for n in range(301, 501))
        await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", page, True))
        assert picked(chat) == ""
        assert chat.client.called("fetch_history")[1:] == [("lobby", "k3f9-301", "200")]
        page = tuple(post(n, f"post {n}") for n in range(101, 301))
        await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", page, True))
        assert picked(chat) == "post 150"
        assert any(row.startswith("▶") and row.endswith("post 150") for row in chat.drawn("#log"))
        assert len(chat.client.called("fetch_history")) == 2


async def test_a_deleted_result_is_reported() -> None:
    async with chatting("ana", "bob") as chat:
        await load_posts(chat, 501, 10)
        await show_results(chat, post(450, "post 450"))
        await chat.type("enter")
        await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", (post(499, "x"),), False))
        assert "no longer available" in chat.toasts
        assert len(chat.client.called("fetch_history")) == 1


async def test_an_old_result_is_shown_with_its_context() -> None:
    async with chatting("ana", "bob") as chat:
        await load_posts(chat, 9_001, 60)
        await show_results(chat, post(30, "deploy 30"), post(40, "deploy 40"))
        await chat.type("down", "enter")
        assert isinstance(chat.app.screen, ContextScreen)
        assert chat.client.called("fetch_around") == [("lobby", "k3f9-30", "60")]
        around = tuple(post(n, f"deploy {n}" if n == 30 else f"post {n}") for n in range(2, 32))
        await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", around, True))
        await chat.pilot.pause()
        rows = chat.drawn("#context-log")
        assert any(row.lstrip("│").startswith("▶") and "deploy 30" in row for row in rows)
        assert chat.client.called("fetch_history") == []
        await chat.type("escape")
        assert isinstance(chat.app.screen, SearchScreen)
        await chat.type("escape")
        assert isinstance(chat.app.screen, ChatScreen)
        assert not any("deploy 30" in row for row in chat.drawn("#log"))


async def test_the_context_of_a_result_is_scrolled_by_keys() -> None:
    async with chatting("ana", "bob") as chat:
        await load_posts(chat, 9_001, 60)
        await show_results(chat, post(30, "post 30"))
        await chat.type("enter")
        around = tuple(post(n, f"post {n}") for n in range(1, 61))
        await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", around, True))
        await chat.pilot.pause()

        def posts() -> list[int]:
            return [
                int(row.rpartition("post ")[2].split()[0])
                for row in chat.drawn("#context-log")
                if "post " in row
            ]

        first = posts()
        assert 30 in first
        await chat.type("end")
        assert posts()[-1] == 60
        await chat.type("up")
        assert posts()[-1] == 59
        await chat.type("down", "pageup")
        assert posts()[-1] < 59
        await chat.type("home")
        assert posts()[0] == 1
        await chat.type("pagedown")
        assert posts()[0] > 1
        await chat.pilot.click("#context-log", offset=(20, 3), times=3)
        await chat.type("ctrl+c")
        await workers_done(chat)
        assert chat.app.clipboard.startswith("post ")
        assert isinstance(chat.app.screen, ContextScreen)
        chat.app.screen.clear_selection()
        await chat.type("ctrl+c")
        assert isinstance(chat.app.screen, SearchScreen)


async def test_a_post_of_an_earlier_log_opens_the_context_screen() -> None:
    async with chatting("ana", "bob") as chat:
        await load_posts(chat, 501, 10)
        await show_results(chat, post(500, "x", epoch="zzzz"))
        await chat.type("enter")
        assert isinstance(chat.app.screen, ContextScreen)
        await chat.deliver(Noticed("This post id is not from this log.", True, "", f"n{chat.client._count}"))
        assert "not from this log" in "".join(chat.drawn("#context"))


async def test_posts_that_arrive_during_a_search_are_shown_afterwards() -> None:
    async with chatting("ana", "bob") as chat:
        await show_results(chat, post(1, "deploy"))
        await chat.deliver(chat.client.post("bob", "while you look"))
        assert isinstance(chat.app.screen, SearchScreen)
        await chat.type("escape")
        assert any("while you look" in row for row in chat.drawn("#log"))


async def test_the_list_fits_a_small_terminal() -> None:
    async with chatting("ana", "bob", size=(40, 10)) as chat:
        await show_results(chat, *(post(n, f"deploy {n}") for n in range(1, 9)))
        assert "8 results" in chat.drawn("#search")[1]
        assert "deploy 8" in chat.drawn("#search")[3]


async def test_names_have_the_colors_that_they_have_in_the_room() -> None:
    def color(text: str, selector: str) -> object:
        """The color of the first characters `text` in a widget."""
        region = chat.app.screen.query_one(selector).region
        for strip in chat.app.screen._compositor.render_strips()[region.y : region.bottom]:
            for segment in strip.crop(region.x, region.right):
                if text in segment.text and segment.style is not None:
                    return segment.style.color
        raise AssertionError(f"no {text} on the screen")

    names = same_hue(3)
    async with chatting("ana", "bob") as chat:
        await chat.deliver(*(chat.client.post(name, "a deploy") for name in names))
        in_room = [color(name, "#log") for name in names]
        assert len(set(in_room)) == len(names)
        found = [Post("lobby", Position("k3f9", n), name, "deploy", AT) for n, name in enumerate(names, 90)]
        await show_results(chat, *reversed(found))
        assert isinstance(chat.app.screen, SearchScreen)
        results = chat.app.screen.query_one(OptionList)
        results.highlighted = None  # the selected result has colors of its own
        await chat.pilot.pause()
        assert [color(name, "#search-found") for name in names] == in_room
        results.highlighted = 0
        await chat.type("enter")
        await chat.deliver(HistoryFetched("lobby", f"n{chat.client._count}", tuple(found), True))
        assert isinstance(chat.app.screen, ContextScreen)
        await chat.pilot.pause()
        assert [color(name, "#context-log") for name in names] == in_room


def same_hue(count: int) -> list[str]:
    """Names whose color would be the same if only their hashes counted."""
    by_hue: dict[int, list[str]] = {}
    for number in range(100, 200):
        names = by_hue.setdefault(color_index(f"user{number}"), [])
        names.append(f"user{number}")
        if len(names) == count:
            return names
    raise AssertionError("there is no such hue")
