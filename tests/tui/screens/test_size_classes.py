from __future__ import annotations

import pytest
from textual.dom import DOMNode

from broadcast_tui.tui.screens.chat import HEIGHTS, WIDTHS
from tests.support.chat_app import Chat, chatting, enter_rooms

SIZES = [(width or 30, height or 6) for width, _ in WIDTHS for height, _ in HEIGHTS]


def styles_of(chat: Chat) -> dict[DOMNode, str]:
    return {node: node.styles.css for node in chat.screen.walk_children(with_self=True)}


async def test_widgets_have_the_styles_of_their_sheet_at_all_sizes() -> None:
    async with chatting("ana", "bob", size=(120, 40)) as chat:
        await enter_rooms(chat, "dev")
        for width, height in SIZES[::-1]:
            await chat.pilot.resize_terminal(width, height)
            found = styles_of(chat)
            chat.screen.update_node_styles(animate=False)
            assert found == styles_of(chat), (width, height)


@pytest.mark.parametrize("size", [(120, 24), (80, 24), (40, 10), (30, 6)])
async def test_the_first_layout_for_a_new_size_is_final(size: tuple[int, int]) -> None:
    async with chatting("ana", "bob", size=(100, 40)) as chat:
        screen = chat.screen
        layouts: list[dict[DOMNode, object]] = []

        def regions() -> dict[DOMNode, object]:
            return {
                each: each.region for each in screen.query("ChatScreen > *, Conversation *") if each.display
            }

        screen.screen_layout_refresh_signal.subscribe(
            screen, lambda _: layouts.append(regions()), immediate=True
        )
        await chat.pilot.resize_terminal(*size)
        assert layouts
        assert layouts[0] == layouts[-1] == regions()


async def test_no_rule_for_a_size_is_about_a_part_of_a_widget() -> None:
    """`SizeClasses` styles widgets; it would not find their component classes."""
    sizes = {name for _, name in (*WIDTHS, *HEIGHTS)}
    async with chatting("ana", "bob") as chat:
        parts = {
            name
            for node in chat.screen.walk_children(with_self=True)
            for base in type(node).__mro__
            for name in getattr(base, "COMPONENT_CLASSES", ())
        }
        assert "status--good" in parts
        found = [
            " ".join(selector.name for selector in selectors.selectors)
            for rule in chat.app.stylesheet.rules
            for selectors in rule.selector_set
            if sizes & {selector.name for selector in selectors.selectors[:-1]}
            and selectors.selectors[-1].name in parts
        ]
        assert found == []
