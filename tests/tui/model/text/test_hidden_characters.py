from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast_tui.core.text import visible
from broadcast_tui.tui.model.text.hidden_characters import hidden_characters, split_hidden


def shown(text: str) -> str:
    return "".join(piece.text for piece in split_hidden(text))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain text\nof two rows", "plain text\nof two rows"),
        ("a\u200db", "a⟨U+200D⟩b"),
        ("\u200eabc\u200f", "⟨U+200E⟩abc⟨U+200F⟩"),
        ("❤\ufe0f", "❤⟨U+FE0F⟩"),
        ("no\u00a0break\u3000wide", "no⟨U+00A0⟩break⟨U+3000⟩wide"),
        ("p\u0430ypal", "p\u0430⟨U+0430⟩ypal"),
        ("привет мир", "привет мир"),
        ("école Straße naïve", "école Straße naïve"),
        ("\ufffd", "⟨U+FFFD⟩"),
        ("\U000e0101", "⟨U+E0101⟩"),
        ("漢字 👍🏽 e\u0301", "漢字 👍🏽 e\u0301"),
    ],
)
def test_hidden_characters_are_made_visible(text: str, wanted: str) -> None:
    assert shown(text) == wanted


def test_each_kind_is_listed_once_with_its_name() -> None:
    found = [(o.code, o.count, o.about) for o in hidden_characters("a\u200db\u200dc \ufffd p\u0430yp\u0430l")]
    assert found == [
        ("U+200D", 2, "zero width joiner"),
        ("U+FFFD", 1, "replaces a character that must not be drawn"),
        ("U+0430", 2, "cyrillic small letter a, looks like a"),
    ]
    assert hidden_characters("nothing odd: привет, 漢字") == []


@settings(deadline=None)
@given(st.text(max_size=80).map(visible))
def test_the_parts_contain_the_whole_text(text: str) -> None:
    revealed = shown(text)
    assert split_hidden(revealed) == [] or not any(
        o.about.startswith("zero width") for o in hidden_characters(revealed)
    )
    assert sum(o.count for o in hidden_characters(text)) == sum(piece.odd for piece in split_hidden(text))
