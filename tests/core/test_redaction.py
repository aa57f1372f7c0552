"""Tokens are taken out of whatever is shown."""

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
def test_no_part_of_a_token_is_left(text: str) -> None:
    assert contains_token(text)
    assert not any(TOKEN[start : start + 8] in redact(text) for start in range(3, len(TOKEN) - 8))


@pytest.mark.parametrize(
    "text", ["token=of-another-kind", '"token": "s3cret"', "bearer s3cret", "TOKEN=s3cret&x=1"]
)
def test_what_stands_where_a_token_belongs_is_taken_out_too(text: str) -> None:
    assert "s3cret" not in redact(text)
    assert "another" not in redact(text)


@given(st.text(alphabet=' {}":,abc#&?/', max_size=40), st.text(alphabet=' {}":,#&?/', max_size=40))
def test_whatever_stands_around_it(before: str, after: str) -> None:
    assert TOKEN[5:] not in redact(before + TOKEN + after)


def test_other_text_stays_as_it_is() -> None:
    text = "A token of my esteem; bt_ is how tokens begin, and the bearer smiled"
    assert redact("A line about dubt_s") == "A line about dubt_s"
    assert redact(text).startswith("A token of my esteem; bt_ is how")


def test_real_tokens_are_known() -> None:
    assert all(contains_token(TOKEN_PREFIX + secrets.token_urlsafe(32)) for _ in range(100))
