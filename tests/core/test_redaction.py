"""Tokens are redacted from displayed text."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.redaction import TOKEN_PREFIX, contains_token, redact

TOKEN = TOKEN_PREFIX + "Zk3_x-" * 7


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"wss://host:8765/lobby#pin=sha256:abc&token={TOKEN}",
        f'{{"type":"hello","token":"{TOKEN}"}}',
        f"Authorization: Bearer {TOKEN}",
        f"['{TOKEN}', 'x']",
    ],
)
def test_tokens_are_redacted_completely(text: str) -> None:
    assert contains_token(text)
    assert not any(TOKEN[start : start + 8] in redact(text) for start in range(3, len(TOKEN) - 8))


@pytest.mark.parametrize(
    "text", ["token=of-another-kind", '"token": "s3cret"', "bearer s3cret", "TOKEN=s3cret&x=1"]
)
def test_values_in_the_place_of_a_token_are_redacted(text: str) -> None:
    assert "s3cret" not in redact(text)
    assert "another" not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "redis://me:s3cret@db",
        "REDISS://:s3cret/@s3cret@db/0",
        "redis+sentinel://:s3cret@a,b/x",
        "unix://:s3cret@/r",
    ],
)
def test_passwords_in_addresses_of_redis_are_redacted(text: str) -> None:
    assert "s3cret" not in redact(f'history = "{text}" and more')
    assert "db" not in text or "@db" in redact(text)


@pytest.mark.parametrize(
    "splitter",
    ["\u200b", "\u00ad", "\u2060", "\ufeff", "\u0301", "\ufe0f", "\x00", "\x1b", "\n", "\U000e0041"],
    ids=ascii,
)
def test_token_split_by_unseen_characters_is_redacted(splitter: str) -> None:
    for text in (splitter.join(TOKEN), TOKEN[:9] + splitter + TOKEN[9:], TOKEN[0] + 3 * splitter + TOKEN[1:]):
        assert contains_token(text)
        assert redact(f"look: {text}") == "look: bt_…"


@given(st.text(alphabet=' {}":,abc#&?/', max_size=40), st.text(alphabet=' {}":,#&?/', max_size=40))
def test_token_is_redacted_in_any_context(before: str, after: str) -> None:
    assert TOKEN[5:] not in redact(before + TOKEN + after)


def test_other_text_is_unchanged() -> None:
    text = "A token of my esteem; bt_ is how tokens begin, and the bearer smiled"
    assert redact("A line about dubt_s") == "A line about dubt_s"
    assert redact(text).startswith("A token of my esteem; bt_ is how")


def test_generated_tokens_are_recognized() -> None:
    assert all(contains_token(TOKEN_PREFIX + secrets.token_urlsafe(32)) for _ in range(100))
