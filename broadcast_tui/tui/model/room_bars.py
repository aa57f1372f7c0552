"""Text of the one-row bars above the log: the room, and the open question."""

from __future__ import annotations

from broadcast_tui.tui.model.room_notes import OpenQuestion
from broadcast_tui.tui.model.text.wrapping import cells_of, clip
from broadcast_tui.tui.model.transcript.post_rows import QUOTED_CHARS, tally_text

GAP = "  "
LEFT_MIN = 16
"""Cells of the left part that stay; the right part is shortened first."""


def header_text(room: str, topic: str, pin_count: int, online: int, width: int) -> str:
    """`#ops  release 1.5  pinned: 1        9 here` in `width` cells; the topic is cut first."""
    here = f"{online:,} here" if online else ""
    pinned = f"{GAP}pinned: {pin_count:,}" if pin_count else ""
    fixed = cells_of(f"{room}{pinned}{GAP}{here}")
    room_for_topic = width - fixed - len(GAP)
    shown = f"{GAP}{clip(topic, room_for_topic)}" if topic and room_for_topic > 0 else ""
    return _spread(f"{room}{shown}{pinned}", here, width)


def question_text(question: OpenQuestion, key: str, width: int) -> str:
    """`! mira: Deploy in 5 min    7/9, waiting: ken zoë   Alt+R acknowledge` in `width` cells.

    Args:
        question: The question.
        key: The key that answers it, as displayed; empty if there is none.
        width: Width of the bar; with little room, names and words are left out.
    """
    text = " ".join(question.text[:QUOTED_CHARS].split())
    left = f"! {question.sender}: {text}"
    if question.of:
        short, full = (
            f"{question.answered:,}/{question.of:,}",
            tally_text(question.answered, question.of, question.waiting),
        )
    else:
        short = full = f"{question.answered:,} answers"
    verb = "acknowledge" if question.is_announcement else "answer"
    has_key = bool(key) and question.can_answer
    hints = (f"   {key} {verb}", f"{GAP}{key}") if has_key else ("", "")
    rights = (full + hints[0], short + hints[0], short + hints[1], short, "")
    needed = min(cells_of(left), max(LEFT_MIN, width // 2))
    right = next((right for right in rights if cells_of(right) + len(GAP) + needed <= width), "")
    return _spread(left, right, width)


def _spread(left: str, right: str, width: int) -> str:
    """`left` and `right` at the ends of `width` cells; `left` is cut, or `right` left out."""
    if right and cells_of(right) + len(GAP) + 1 > width:
        right = ""
    room = width - cells_of(right) - (len(GAP) if right else 0)
    left = clip(left, max(0, room))
    return left + " " * (width - cells_of(left) - cells_of(right)) + right
