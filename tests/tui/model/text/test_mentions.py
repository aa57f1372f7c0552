from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.text.mentions import mentions


@pytest.mark.parametrize(
    "text",
    [
        *("ana: hi", "hi ANA", "ana's turn", "ana\u2019s turn", "ana'll come", "@ana", '"ana"', "'ana'"),
        *("(ana)", "x\nana", "你好ana你好", "アナanaさん", "안녕ana님", "ถึงanaครับ", "ana!", "«ana»", "„ana“"),
        *("**ana**", "ana/bob", "banana, ana", "ana-bob", "…ana…", "ana"),
    ],
)
def test_a_name_as_a_word_is_a_mention(text: str) -> None:
    assert mentions(text, "ana")


@pytest.mark.parametrize(
    "text", ["banana", "anaconda", "an a", "", "ana2", "_ana_", "ana\u0301", "anaß", "жana", "o'ana"]
)
def test_a_name_within_a_word_is_not_a_mention(text: str) -> None:
    assert not mentions(text, "ana")


@pytest.mark.parametrize(
    ("text", "name"), [("don't", "t"), ("don\u2019t", "t"), ("I'm", "m"), ("don't", "don"), ("Can't.", "can")]
)
def test_an_apostrophe_within_a_word_makes_no_names(text: str, name: str) -> None:
    assert not mentions(text, name)
    assert mentions(f"ask {name}", name)


def test_only_the_ending_t_belongs_to_the_word_before_it() -> None:
    assert mentions("don'the", "don")
    assert mentions("ask 't'", "t")
    assert mentions("t's turn", "t")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ÉMILE!", "émile"),
        (normalize("NFD", "Émile"), "émile"),
        ("émile", normalize("NFD", "Émile")),
        ("ASK STRASSE", "straße"),
        ("ΣΊΣΥΦΟΣ", "Σίσυφος"),
        ("я и АНЯ", "аня"),
        ("राम।", "राम"),
        ("ask mary ann now", "Mary Ann"),
        ("it is o'neil", "O'Neil"),
        ("🦊!", "🦊"),
    ],
)
def test_names_of_any_script_in_any_case(text: str, name: str) -> None:
    assert mentions(text, name)


def test_a_name_followed_by_a_vowel_sign_is_not_a_mention() -> None:
    assert not mentions("रामा", "राम")


def test_names_are_not_patterns() -> None:
    assert mentions("ask a.b", "a.b")
    assert not mentions("ask axb", "a.b")
    assert not mentions("anything", "")


def test_keywords_count_as_mentions() -> None:
    assert mentions("who deploys today?", "ana", ["lunch", "Deploys"])
    assert not mentions("deployment", "ana", ["deploy", "", "  "])
    assert not mentions("", "ana", [""])


@given(st.text(max_size=30), st.sampled_from(["ana", "Jörg", "太郎", "a.b", "O'Neil"]), st.text(max_size=30))
def test_a_name_between_spaces_is_always_found(before: str, name: str, after: str) -> None:
    assert mentions(f"{before} {name} {after}", name)
    assert mentions(f"{before} {name.upper()} {after}", name)


@given(st.text("anAb'’ _-é", max_size=12))
def test_agrees_with_a_check_of_each_position(text: str) -> None:
    def word(char: str) -> bool:
        return char.isalnum() or char == "_"

    def whole(at: int) -> bool:
        before, after = text[:at].lower(), text[at + 2 :].lower()
        joined = before[-1:] in ("'", "’") and word(before[-2:-1])
        return not (joined or word(before[-1:]) or word(after[:1]))

    places = [at for at in range(len(text)) if text[at : at + 2].lower() == "an"]
    assert mentions(text, "an") == any(map(whole, places))
