from __future__ import annotations

from textual.geometry import Region
from textual.scrollbar import ScrollBar

from tests.support.chat_app import chatting


async def test_a_layout_of_the_screen_leaves_the_scrollbar_where_it_was() -> None:
    async with chatting("ana", "bob", size=(60, 14)) as chat:
        bar = chat.app.screen.query_one("#log").vertical_scrollbar
        for n in (120, 1, 1, 90):
            await chat.deliver(*(chat.client.post("bob", f"line {i}") for i in range(n)))
            drawn = chat.drawn("#log")
            log = chat.app.screen.query_one("#log")
            assert (bar.position, bar.window_virtual_size) == (log.scroll_y, log.virtual_size.height)
            await chat.type("ctrl+l")
            assert chat.drawn("#log") == drawn


async def test_the_scrollbar_of_a_log_looks_and_works_as_any_other() -> None:
    async with chatting("ana", "bob", size=(60, 14)) as chat:
        await chat.deliver(*(chat.client.post("bob", f"line {i}") for i in range(120)))
        log = chat.screen.log_view
        for row in (0, 7, 50, log.max_scroll_y):
            log.scroll_to_row(row)
            await chat.pilot.pause()
            bar = log.vertical_scrollbar
            whole = Region(0, 0, *bar.size)
            found = bar.render_lines(whole)
            assert found == ScrollBar.render_lines(bar, whole)
            assert bar.render_lines(Region(0, 3, 1, 4)) == found[3:7]
        await chat.pilot.click(offset=log.vertical_scrollbar.region.offset)
        assert log.scroll_y == log.max_scroll_y - (log.size.height - 1)
