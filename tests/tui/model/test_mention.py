from __future__ import annotations

import pytest

from broadcast_tui.tui.model.mention import mentions


@pytest.mark.parametrize(
    "text",
    ["ana: hi", "hi ANA", "ana's turn", "@ana", '"ana"', "ana", "(ana)", "x\nana", "你好ana你好", "ana!"],
)
def test_a_name_as_a_word_is_a_mention(text: str) -> None:
    assert mentions(text, "ana")


@pytest.mark.parametrize("text", ["banana", "anaconda", "an a", "", "ana2", "_ana_"])
def test_a_name_within_a_word_is_none(text: str) -> None:
    assert not mentions(text, "ana")


def test_a_letter_after_an_apostrophe_is_no_name() -> None:
    assert not mentions("don't", "t")
    assert mentions("ask t", "t")


def test_names_are_not_patterns() -> None:
    assert mentions("ask a.b", "a.b")
    assert not mentions("ask axb", "a.b")
    assert not mentions("anything", "")
