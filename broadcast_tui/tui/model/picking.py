"""Which line of a transcript is meant: the post next to another one, or the one with an id."""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter

from broadcast_tui.tui.model.transcript import LineKind, Transcript

POSTS = (LineKind.POST, LineKind.ACTION)


def post_from(transcript: Transcript, line_id: int, step: int) -> int | None:
    """The first line from `line_id` on, going by `step` (1: down, -1: up), that is a post in its place.

    A line that is not held counts as the nearest one that is. None if there is no such post.
    """
    line_id = min(max(line_id, transcript.first_id), transcript.settled_id - 1)
    while transcript.first_id <= line_id < transcript.settled_id:
        line = transcript.line(line_id)
        if line is not None and line.kind in POSTS:
            return line_id
        line_id += step
    return None


def post_near(transcript: Transcript, line_id: int) -> int | None:
    """The post at `line_id`, or else the next one above it, or else below it."""
    above = post_from(transcript, line_id, -1)
    return post_from(transcript, line_id, 1) if above is None else above


def post_id_of(transcript: Transcript, line_id: int) -> str:
    """The id that the server gave to the post of a line; empty if it has none."""
    chunks = transcript.chunks
    at = bisect_right(chunks, line_id, key=attrgetter("first_id")) - 1
    if at < 0 or not 0 <= (i := line_id - chunks[at].first_id) < len(chunks[at]):
        return ""
    epoch, number = chunks[at].epochs[i], chunks[at].numbers[i]
    return epoch if not epoch or number < 0 else f"{epoch}-{number}"


def line_of(transcript: Transcript, post_id: str) -> int | None:
    """The line of the post with an id, or None if it is not held."""
    epoch, _, digits = post_id.rpartition("-")
    if not digits.isdecimal():
        return None
    number = int(digits)
    for chunk in reversed(transcript.chunks):
        if number in chunk.numbers:
            for i, found in enumerate(chunk.numbers):
                if found == number and chunk.epochs[i] == epoch:
                    return chunk.first_id + i
    return None
