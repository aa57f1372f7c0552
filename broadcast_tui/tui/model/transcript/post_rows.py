"""Rows around the text of a post: the quoted post above a reply, votes and reactions below.

They are not part of the text: selection, search and copying ignore them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from broadcast_tui.core.post_state import Ask, PostState, Votes, answer_count
from broadcast_tui.tui.model.text.shown_text import shown_text
from broadcast_tui.tui.model.text.wrapping import cells_of, clip
from broadcast_tui.tui.model.transcript.chunks import Line, LineKind
from broadcast_tui.tui.model.transcript.post_details import PostDetails

QUOTE_MARK = "↪"
QUOTED_CHARS = 512
"""Characters of a quoted post that are looked at; a row has fewer cells."""
ACKNOWLEDGE = ("ok",)
"""The choices of an announcement."""


class Piece(NamedTuple):
    """A part of a row that is never broken; highlighted if the user is one of the `voters`."""

    text: str
    voters: tuple[str, ...] = ()


PieceRow = tuple[Piece, ...]


def rows_below(details: PostDetails, width: int, *, named: bool, reactions: bool) -> list[PieceRow]:
    """The rows below the text of a post, each at most `width` cells wide.

    Args:
        details: The details of the post.
        width: Width of the text column.
        named: Whether there is room for names; otherwise there are only counts.
        reactions: Whether to show reactions.
    """
    state = details.state
    rows: list[PieceRow] = []
    if state.ask is not None:
        rows += _question_rows(state, state.ask, width, named=named)
    if reactions and details.reactions:
        votes = details.reactions.items()
        pieces = (Piece(f"{key} {each.count:,}", each.names) for key, each in votes)
        rows += _wrapped(pieces, width, "  " if named else " ")
    return rows


def tally_text(answered: int, of: int, waiting: tuple[str, ...]) -> str:
    """The progress of an open question: `7/9, waiting: ken zoë`."""
    more = of - answered - len(waiting)
    names = " ".join((*waiting, f"+{more:,}") if waiting and more > 0 else waiting)
    return f"{answered:,}/{of:,}{f', waiting: {names}' if names else ''}"


def quote_of(line: Line | None) -> str:
    """The row above a reply that quotes the post of `line`; None: it is not loaded."""
    if line is None:
        return f"{QUOTE_MARK} an earlier message"
    text = " ".join(shown_text(line.text[:QUOTED_CHARS], quotes=True).text.split())
    if line.kind is LineKind.ACTION:
        return f"{QUOTE_MARK} * {line.sender} {text}"
    return f"{QUOTE_MARK} {line.sender}: {text}" if line.sender else f"{QUOTE_MARK} {text}"


def _question_rows(state: PostState, ask: Ask, width: int, *, named: bool) -> list[PieceRow]:
    rows: list[PieceRow] = []
    is_announcement = ask.choices == ACKNOWLEDGE
    if not is_announcement:
        no_votes = Votes(0, ())
        choices = [(choice, state.tally.get(choice, no_votes)) for choice in ask.choices]
        if named:
            rows += [_fitted(_choice_row(choice, votes), width) for choice, votes in choices]
        else:
            pieces = (Piece(f"{choice} {votes.count:,}", votes.names) for choice, votes in choices)
            rows += _wrapped(pieces, width, " · ")
    answered = answer_count(state)
    if ask.of:
        text = tally_text(answered, ask.of, state.waiting if named and not state.closed else ())
    else:
        text = f"{answered:,}" if is_announcement else f"{answered:,} answers"
    text = f"{'closed, ' if state.closed else ''}{'acknowledged ' if is_announcement else ''}{text}"
    acknowledged = state.tally["ok"].names if is_announcement and "ok" in state.tally else ()
    return [*rows, (Piece(clip(text, width), acknowledged),)]


def _choice_row(choice: str, votes: Votes) -> PieceRow:
    more = votes.count - len(votes.names)
    names = " ".join((*votes.names, f"+{more:,}") if more > 0 else votes.names)
    return Piece(f"{choice} {votes.count:,}", votes.names), Piece(f"  {names}" if names else "")


def _fitted(row: PieceRow, width: int) -> PieceRow:
    """`row`, cut to `width` cells."""
    fitted: list[Piece] = []
    for piece in row:
        text = clip(piece.text, width)
        width -= cells_of(text)
        fitted.append(piece._replace(text=text))
    return tuple(fitted)


def _wrapped(pieces: Iterable[Piece], width: int, gap: str) -> list[PieceRow]:
    """`pieces` in rows of at most `width` cells, with `gap` between those of a row."""
    rows: list[list[Piece]] = []
    room = 0
    for piece in pieces:
        fitted = piece._replace(text=clip(piece.text, width))
        cells = cells_of(fitted.text)
        if rows and cells + len(gap) <= room:
            rows[-1] += (Piece(gap), fitted)
            room -= cells + len(gap)
        else:
            rows.append([fitted])
            room = width - cells
    return [tuple(row) for row in rows]
