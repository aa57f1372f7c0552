from __future__ import annotations

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
