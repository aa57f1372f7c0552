from __future__ import annotations

import pytest

from broadcast_tui.core.text import clean_post
from broadcast_tui.tui.model.text.emoji import EMOJI_OFFERED, emoji_named, emoji_table, with_emoji


def test_common_emoji_names_exist() -> None:
    table = emoji_table()
    for name, emoji in {"smile": "😄", "+1": "👍", "tada": "🎉", "joy": "😂", "thumbsup": "👍"}.items():
        assert table[name] == emoji
        assert emoji_named(name)[0] == (name, emoji)


def test_no_emoji_is_changed_by_sanitizing() -> None:
    assert len(emoji_table()) > 3_000
    assert all(clean_post(emoji, 0) == emoji for emoji in emoji_table().values())


def test_prefix_matches_come_first_and_each_emoji_once() -> None:
    found = emoji_named("SMIL")
    starts = [name.startswith("smil") for name, _ in found]
    assert starts == sorted(starts, reverse=True)
    assert len({emoji for _, emoji in found}) == len(found) <= EMOJI_OFFERED
    assert emoji_named("no such thing") == []


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        (":tada:", "🎉"),
        ("done :TADA:, bob (:+1:)", "done 🎉, bob (👍)"),
        (":tada::tada: twice", "🎉🎉 twice"),
        ("one\n:tada:\n", "one\n🎉\n"),
        (":tada::no-such-emoji:", "🎉:no-such-emoji:"),
    ],
)
def test_names_of_emoji_are_converted(typed: str, sent: str) -> None:
    assert with_emoji(typed) == sent


@pytest.mark.parametrize(
    "text",
    [
        "at 10:100:20",
        "http://[::1]:100:/x",
        "std::tada::x",
        "a:tada:b",
        ":tada:s",
        "`:tada:` and ```\n:tada:\n```",
        "```\n:tada:",
        ":no such:",
        ":::",
        "",
    ],
)
def test_other_colons_and_code_stay_as_typed(text: str) -> None:
    assert with_emoji(text) == text
