from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.text import MAX_POST_LINES, clean_post
from broadcast_tui.tui.model.input.post_size import excess, lines_to_confirm


def test_bytes_are_counted_as_the_server_counts_them() -> None:
    assert excess("é" * 10, 20) == ""
    assert excess("é" * 10, 19) == "1 byte too long"
    assert excess("x" * 3000, 1000) == "2,000 bytes too long"
    assert excess("x" * 3000, 0) == ""


def test_input_that_is_not_a_post_is_never_too_long() -> None:
    assert excess("/nick " + "x" * 90, 20) == ""
    assert excess("   ", 1) == ""
    assert excess("/me " + "x" * 17, 20) == "1 byte too long"
    assert excess("//" + "x" * 19, 20) == ""


def test_lines_are_bounded_too() -> None:
    assert excess("x\n" * (MAX_POST_LINES - 1) + "x", 0) == ""
    assert excess("x\n" * MAX_POST_LINES + "x", 0) == "1 line too long"


def test_more_than_twenty_lines_need_confirmation() -> None:
    assert lines_to_confirm("\n".join("x" * 20)) == 0
    assert lines_to_confirm("\n".join("x" * 21)) == 21
    assert lines_to_confirm("") == 0


@given(st.text("aé😄\n", max_size=40), st.integers(1, 60))
def test_text_that_fits_here_fits_on_the_server(text: str, limit: int) -> None:
    text = f"a{text}"
    if not excess(text, limit):
        assert clean_post(text, limit) == text.rstrip()


@pytest.mark.parametrize("text", ["x\ud800", "/", "/zz"])
def test_nothing_raises(text: str) -> None:
    assert excess(text, 1) in ("3 bytes too long", "")
