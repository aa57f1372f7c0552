"""Toasts: their text fits whatever its length and the size of the terminal."""

from __future__ import annotations

import pytest
from textual.widgets._toast import Toast

from broadcast_tui.tui.widgets.toast import show_toast
from tests.support.chat_app import chatting
from tests.support.running import eventually


@pytest.mark.parametrize(
    ("size", "lengths"), [((40, 10), (25, 34)), ((79, 24), (57, 65)), ((80, 24), (57, 65))]
)
async def test_the_last_word_of_a_toast_is_visible(size: tuple[int, int], lengths: tuple[int, int]) -> None:
    async with chatting("ana", "bob", size=size) as chat:
        for length in range(*lengths):
            text = f"{'word ' * 20}"[: length - 5].rstrip().ljust(length - 5, ".") + " last"
            show_toast(chat.screen, text)
            await chat.pilot.pause()
            assert any(row.rstrip().endswith("last") for row in chat.drawn()[:3]), length
            toasts = [toast for toast in chat.screen.query(Toast) if toast.region.height]
            assert [str(toast.render()) for toast in toasts] == [text]


async def test_a_dialog_does_not_show_a_toast_twice() -> None:
    def shown() -> int:
        return sum("just a toast" in row for row in chat.drawn())

    async with chatting("ana", size=(80, 24)) as chat:
        show_toast(chat.screen, "just a toast", 60)
        await chat.pilot.pause()
        assert shown() == 1
        await chat.type("f6")
        await eventually(lambda: shown() == 1 and not chat.app.screen_stack[-2].query(Toast))
        await chat.type("escape")
        await eventually(lambda: shown() == 1 and len(chat.app.screen.query(Toast)) == 1)
