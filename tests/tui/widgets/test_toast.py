"""Toasts: their text fits whatever its length and the size of the terminal."""

from __future__ import annotations

import pytest
from textual.widgets._toast import Toast

from broadcast_tui.tui.widgets.toast import show_toast
from tests.support.chat_app import chatting


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
