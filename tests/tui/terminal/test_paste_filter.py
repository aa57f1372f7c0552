from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.terminal.paste_filter import BEGIN, END, PasteFilter

PIECES = st.lists(
    st.sampled_from(["a", "\x1b", "[", "201~", "\r", "\t", "\x1b[A", "\x07", "\x9b", BEGIN, END]), max_size=12
)


def test_controls_are_removed_from_pastes_and_not_from_keys() -> None:
    typed = f"\x1b[A\x07{BEGIN}a\x1b[31mb\x07\rc\td{END}\x1b\r\x07"
    assert PasteFilter().clean(typed) == f"\x1b[A\x07{BEGIN}a[31mb\rc\td{END}\x1b\r\x07"


@given(PIECES, st.integers(1, 7))
def test_the_result_does_not_depend_on_chunks(pieces: list[str], size: int) -> None:
    typed = "".join(pieces)
    whole, parts = PasteFilter(), PasteFilter()
    chunks = [typed[i : i + size] for i in range(0, len(typed), size)]
    assert whole.clean(typed) == "".join(map(parts.clean, chunks))


@given(PIECES)
def test_input_outside_pastes_is_unchanged(pieces: list[str]) -> None:
    typed = "".join(pieces).replace(BEGIN, "")
    if BEGIN not in typed:
        assert PasteFilter().clean(typed) == typed
