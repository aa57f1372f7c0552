"""Search for positions in a transcript: mentions, posts by position or id, the next post.

Each is a bounded scan of the stored lines, chunk by chunk.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter
from typing import NamedTuple

from broadcast_tui.core.post import Position, is_newer
from broadcast_tui.tui.model.transcript.chunks import OWN, POSTS, DeliveryState, Line
from broadcast_tui.tui.model.transcript.records import written_text
from broadcast_tui.tui.model.transcript.transcript import Transcript


class Mention(NamedTuple):
    """A line that mentions the user; `wrapped`: the search continued from the other end."""

    line_id: int
    wrapped: bool


def next_mention(transcript: Transcript, line_id: int, *, back: bool) -> Mention | None:
    """The nearest mention before (`back`) or after a line, wrapping around; None if there is none.

    The line need not be stored. Costs 256 bytes of memory and one C search for each chunk.
    """
    chunks = transcript.chunks
    here = bisect_right(chunks, line_id, key=attrgetter("first_id")) - 1
    order = list(range(len(chunks)))
    if back:
        order = [*reversed(order[: here + 1]), *reversed(order[max(0, here) :])]
    else:
        order = [*order[max(0, here) :], *order[: here + 1]]
    nearest = max(0, here + 1) if back else len(chunks) - max(0, here)
    for step, at in enumerate(order):
        chunk, marks = chunks[at], chunks[at].mention_marks()
        wrapped = step >= nearest
        if back:
            end = len(marks) if wrapped else max(0, min(len(marks), line_id - chunk.first_id))
            i = marks.rfind(1, 0, end)
        else:
            i = marks.find(1, 0 if wrapped else max(0, line_id + 1 - chunk.first_id))
        if i >= 0:
            return Mention(chunk.first_id + i, wrapped)
    return None


def first_newer(transcript: Transcript, read: Position) -> int | None:
    """Line id of the topmost post of others that is newer than `read`.

    Scans down from the top, so it is meant for transcripts that start near that post.
    """
    for chunk in transcript.chunks:
        for i, (epoch, number) in enumerate(zip(chunk.epochs, chunk.numbers, strict=True)):
            if epoch and number >= 0 and is_newer(Position(epoch, number), read) and not chunk.line(i).own:
                return chunk.first_id + i
    return None


def position_of(transcript: Transcript, line_id: int | None) -> Position | None:
    """The log position of the post of a line; None if it has none or is not stored."""
    chunks = transcript.chunks
    if line_id is None or (at := bisect_right(chunks, line_id, key=attrgetter("first_id")) - 1) < 0:
        return None
    chunk, i = chunks[at], line_id - chunks[at].first_id
    if i >= len(chunk) or not chunk.epochs[i] or chunk.numbers[i] < 0:
        return None
    return Position(chunk.epochs[i], chunk.numbers[i])


def first_from(transcript: Transcript, position: Position | None) -> int | None:
    """Line id of the post at `position`, else of the next one of its epoch."""
    if position is None:
        return None
    for chunk in transcript.chunks:
        for i, (epoch, number) in enumerate(zip(chunk.epochs, chunk.numbers, strict=True)):
            if epoch == position.epoch and number >= position.seq:
                return chunk.first_id + i
    return None


def post_from(transcript: Transcript, line_id: int, step: int) -> int | None:
    """The first post from `line_id` in direction `step` (1: down, -1: up), pending posts excluded.

    A line that is not stored counts as the nearest stored one. None if there is no such post.
    """
    line_id = min(max(line_id, transcript.first_id), transcript.next_id - 1)
    while transcript.first_id <= line_id < transcript.next_id:
        line = transcript.line(line_id)
        if line is not None and line.kind in POSTS:
            return line_id
        line_id += step
    return None


def has_posts(transcript: Transcript) -> bool:
    """Whether there is a post, even a cleared, deleted, hidden or pending one. Scans all lines."""
    if transcript.has_cleared or transcript.hidden_count:
        return True
    return any(kind in POSTS for chunk in transcript.chunks for kind in chunk.kinds)


def post_near(transcript: Transcript, line_id: int) -> int | None:
    """The post at `line_id`, else the nearest one above it, else below it."""
    above = post_from(transcript, line_id, -1)
    return post_from(transcript, line_id, 1) if above is None else above


def post_id_of(transcript: Transcript, line_id: int) -> str:
    """The server's id of the post of a line; empty if it has none."""
    chunks = transcript.chunks
    at = bisect_right(chunks, line_id, key=attrgetter("first_id")) - 1
    if at < 0 or not 0 <= (i := line_id - chunks[at].first_id) < len(chunks[at]):
        return ""
    epoch, number = chunks[at].epochs[i], chunks[at].numbers[i]
    return epoch if not epoch or number < 0 else f"{epoch}-{number}"


def line_of(transcript: Transcript, post_id: str) -> int | None:
    """The line of the post with this id, or None if it is not stored."""
    position = Position.parse(post_id)
    if position is None:
        return None
    position = transcript.epochs.current(position)
    for chunk in reversed(transcript.chunks):
        if (i := chunk.index_of(position)) is not None:
            return chunk.first_id + i
    return None


def quoted_line(transcript: Transcript, line: Line) -> Line | None:
    """The line of the post that the post of `line` replies to; None if it is not loaded."""
    if line.details is None or line.details.re <= 0:
        return None
    position = position_of(transcript, line.id)
    epoch = _last_epoch(transcript) if position is None else position.epoch
    return transcript.line_at(Position(epoch, line.details.re))


def _last_epoch(transcript: Transcript) -> str:
    """The epoch of the newest post; empty if there is none."""
    for chunk in reversed(transcript.chunks):
        for epoch, number in zip(reversed(chunk.epochs), reversed(chunk.numbers), strict=True):
            if number >= 0:
                return epoch
    return ""


def posts_by(transcript: Transcript, sender: str) -> tuple[int, float | None]:
    """The number of stored posts of `sender`, and the Unix time of the last one."""
    count, last = 0, None
    for chunk in transcript.chunks:
        if found := chunk.senders.count(sender):
            count += found
            last = chunk.times[len(chunk) - 1 - chunk.senders[::-1].index(sender)]
    return count, last


class OwnPost(NamedTuple):
    """A post of the user. `ref` is its id; its nonce if the server has not acknowledged it."""

    ref: str
    line_id: int
    text: str
    """As it was written."""


def newest_own_post(transcript: Transcript) -> OwnPost | None:
    """The newest post of the user that can be edited: neither deleted nor rejected."""
    for chunk in reversed(transcript.chunks):
        for i in range(len(chunk) - 1, -1, -1):
            if chunk.flags[i] & OWN:
                line = chunk.line(i)
                ref = post_id_of(transcript, line.id) or transcript.pending_nonce(line.id)
                if ref and line.mark is not DeliveryState.REJECTED and (text := written_text(line)):
                    return OwnPost(ref, line.id, text)
    return None
