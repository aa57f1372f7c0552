from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.room_bars import header_text, question_text
from broadcast_tui.tui.model.room_notes import OpenQuestion
from broadcast_tui.tui.model.text.wrapping import cells_of

QUESTION = OpenQuestion(
    "k3f9-1", "mira", "Deploy 1.5\nin 5 min", ("ok",), 7, 9, ("ken", "zoë"), can_answer=True
)
WORDS = st.sampled_from(["", "release 1.5", "漢字漢字", "👨\u200d👩\u200d👧" * 9, "x" * 200])


@pytest.mark.parametrize(
    ("width", "left", "right"),
    [
        (76, "! mira: Deploy 1.5 in 5 min", "7/9, waiting: ken zoë   Alt+R acknowledge"),
        (60, "! mira: Deploy 1.5 in 5 min", "7/9   Alt+R acknowledge"),
        (38, "! mira: Deploy 1.5 in 5 m…", "7/9  Alt+R"),
        (24, "! mira: Deploy 1.5…", "7/9"),
        (12, "! mira: Dep…", ""),
    ],
)
def test_the_bar_of_a_question_fits(width: int, left: str, right: str) -> None:
    blanks = " " * (width - cells_of(left) - cells_of(right))
    assert question_text(QUESTION, "Alt+R", width) == left + blanks + right


def test_who_has_asked_sees_no_key() -> None:
    own = msgspec.structs.replace(QUESTION, can_answer=False)
    assert question_text(own, "Alt+R", 60).endswith("   7/9, waiting: ken zoë")
    everyone = msgspec.structs.replace(QUESTION, of=0, choices=("yes", "no"))
    assert question_text(everyone, "Alt+R", 60).endswith("7 answers   Alt+R answer")


def test_the_header_names_room_topic_pins_and_people() -> None:
    assert (
        header_text("#ops", "release 1.5", 1, 9, 50) == "#ops  release 1.5  pinned: 1" + " " * 16 + "9 here"
    )
    assert header_text("#ops", "", 0, 0, 8) == "#ops    "
    cut = header_text("#ops", "a long topic that is cut", 2, 9, 40)
    assert cut == "#ops  a long topic t…  pinned: 2  9 here"


@given(WORDS, WORDS, st.integers(0, 2), st.integers(0, 90), st.booleans())
def test_the_bars_are_as_wide_as_the_screen(
    name: str, text: str, count: int, width: int, can_answer: bool
) -> None:
    question = OpenQuestion("e-1", name, text, ("yes", "no"), count, 2 * count, (name,) * count, can_answer)
    assert cells_of(question_text(question, "Alt+R", width)) == width
    assert cells_of(header_text(name, text, count, count, width)) == width
