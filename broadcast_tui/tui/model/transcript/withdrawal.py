"""Posts that the server has lost, among the lines of a transcript.

They are nearly always among the last lines, so that most chunks need not be looked through.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import attrgetter

from broadcast_tui.core.post import Position
from broadcast_tui.tui.model.transcript.chunks import Chunk, Line
from broadcast_tui.tui.model.transcript.records import OlderPost, place_of


class Withdrawal:
    """The posts from `first` on, in its epoch and in the one before it."""

    def __init__(self, first: Position, former: str) -> None:
        self._first = first
        self._epochs = {first.epoch, former}

    def includes(self, position: Position | None) -> bool:
        """Whether the post at a position is lost."""
        return position is not None and position.seq >= self._first.seq and position.epoch in self._epochs

    def start(
        self, chunks: Sequence[Chunk], runs: Mapping[int, Sequence[OlderPost]], hidden: Sequence[OlderPost]
    ) -> int | None:
        """Index of the first chunk with a lost post, or of the next one to be added; None if none is lost.

        Args:
            runs: Hidden posts by the id of the line that replaces them.
            hidden: Hidden posts after the last line.
        """
        starts = [
            bisect_right(chunks, line_id, key=attrgetter("first_id")) - 1
            for line_id, run in runs.items()
            if chunks and line_id >= chunks[0].first_id and self._includes_any(run)
        ]
        starts += (at for at, chunk in enumerate(chunks) if self._places(chunk))
        if self._includes_any(hidden):
            starts.append(len(chunks))
        return min(starts, default=None)

    def posts(self, chunks: Sequence[Chunk]) -> list[tuple[Position, Line]]:
        """The lost posts among the lines, in order; the others forget the lost notes."""
        lost: list[tuple[Position, Line]] = []
        for chunk in chunks:
            lost += ((place, chunk.line(i)) for i, place in self._places(chunk))
            chunk.forget_notes(self._first.seq - 1)
        return lost

    def forget_notes(self, run: list[OlderPost]) -> None:
        """Let other notes take the places of the lost ones of hidden posts."""
        last = self._first.seq - 1
        run[:] = [post._replace(details=post.details and post.details.until(last)) for post in run]

    def _includes_any(self, posts: Sequence[OlderPost]) -> bool:
        return any(self.includes(place_of(post)) for post in posts)

    def _places(self, chunk: Chunk) -> list[tuple[int, Position]]:
        """The lost posts of a chunk, by index."""
        seq = self._first.seq
        if max(chunk.numbers, default=-1) < seq:
            return []
        places = (
            (i, Position(chunk.epochs[i], number)) for i, number in enumerate(chunk.numbers) if number >= seq
        )
        return [(i, place) for i, place in places if self.includes(place)]
