"""The transcript of a room: people can be hidden from it and the screen cleared, and nothing of it is lost.

Invariants: a run of hidden posts is one line that counts them, put where they were once something visible
comes after; showing or hiding somebody lays all lines anew, under new ids. What was cleared keeps its ids
and goes back above the lines that came since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, tzinfo

from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.lines import ACTION_PREFIX, Chunk, Entry, Line, LineKind
from broadcast_tui.tui.model.transcript import OlderPost, Transcript, _seconds

_POSTS = frozenset((LineKind.POST, LineKind.ACTION))
_FOLD = "\0fold"
"""Instead of a post id: this is to be a line that stands for hidden posts."""


class RoomTranscript(Transcript):
    """A `Transcript` that can fold away posts by their sender, and clear the screen."""

    def __init__(self, limit: int = 100_000, zone: tzinfo | None = None) -> None:
        super().__init__(limit, zone)
        self._hides: Callable[[str], bool] | None = None
        self._run: list[OlderPost] = []
        """Hidden posts after the last line."""
        self._folds: dict[int, list[OlderPost]] = {}
        """Hidden posts by the id of the line that stands for them."""
        self._cleared: list[Chunk] = []

    # -- hiding people

    def hide(self, hides: Callable[[str], bool] | None) -> None:
        """Hide the posts of whom `hides` says so (None: nobody), old ones too; show all others."""
        self._hides = hides
        if hides is not None or self._folds or self._run:
            self._lay_anew()

    def is_hidden(self, sender: str) -> bool:
        return self._hides is not None and self._hides(visible_line(sender))

    @property
    def hidden_count(self) -> int:
        """Hidden posts after the last line, which no line counts yet."""
        return len(self._run)

    def add_post(
        self,
        sender: str,
        text: str,
        at: datetime,
        *,
        own: bool = False,
        mention: bool = False,
        post_id: str = "",
        nonce: str = "",
    ) -> int:
        """As in a `Transcript`; a hidden post has the id of the last line."""
        if not own and self.is_hidden(sender):
            self._run.append((sender, text, at, own, mention, post_id))
            return self._next_id - 1
        return super().add_post(sender, text, at, own=own, mention=mention, post_id=post_id, nonce=nonce)

    def prepend_posts(self, posts: Iterable[OlderPost]) -> int:
        """As in a `Transcript`; runs of hidden posts become one line each."""
        runs: list[list[OlderPost]] = []
        older: list[OlderPost] = []
        for post in posts:
            if post[3] or not self.is_hidden(post[0]):
                older.append(post)
            elif runs and older[-1][5] == _FOLD:
                runs[-1].append(post)
            else:
                runs.append([post])
                older.append(("", "", *post[2:5], _FOLD))
        texts = iter(runs)
        older = [("", _fold_text(next(texts)), *post[2:]) if post[5] == _FOLD else post for post in older]
        count = super().prepend_posts(older)
        if count and runs:
            self._make_folds(runs)
        return count

    def _make_folds(self, runs: list[list[OlderPost]]) -> None:
        """Let the lines just put on top that stand for `runs` be what they are; nobody has seen them yet."""
        waiting = iter(runs)
        run = next(waiting, None)
        for chunk in self._chunks:
            for i in range(len(chunk)):
                if run is None:
                    return
                if chunk.epochs[i] == _FOLD:
                    chunk.kinds[i], chunk.epochs[i] = LineKind.SYSTEM, run[0][5]
                    self._folds[chunk.first_id + i] = run
                    run = next(waiting, None)

    def _append(self, entry: Entry) -> int:
        if self._run:
            run, self._run = self._run, []
            fold = Entry(LineKind.SYSTEM, "", _fold_text(run), _seconds(run[-1][2]), epoch=run[0][5])
            self._folds[super()._append(fold)] = run
            for fold_id in [fold_id for fold_id in self._folds if fold_id < self.first_id]:
                del self._folds[fold_id]
        return super()._append(entry)

    def _lay_anew(self) -> None:
        self.laid_count += 1
        self.bring_back()
        posts, arrived_count = list(self._all_lines()), self.arrived_count
        super().clear()
        self._run, self._folds = [], {}
        for post in posts:
            if isinstance(post, Entry):
                self._append(post)
            elif isinstance(post, Line):
                self.add_presence(post.text, post.brief, datetime.fromtimestamp(post.at, UTC))
            else:
                sender, text, at, own, mention, post_id = post
                self.add_post(sender, text, at, own=own, mention=mention, post_id=post_id)
        self.arrived_count = arrived_count

    def _all_lines(self) -> Iterator[Entry | Line | OlderPost]:
        """Everything in order, days aside: posts of others as they came, so that they may be hidden.

        A `Line` is one about people who came and went.
        """
        for chunk in self._chunks:
            for i in range(len(chunk)):
                line, epoch, number = chunk.line(i), chunk.epochs[i], chunk.numbers[i]
                if line.id in self._folds:
                    yield from self._folds[line.id]
                elif line.kind in _POSTS and not line.own and self.is_hidden(line.sender):
                    yield _older_post(line, epoch if number < 0 else f"{epoch}-{number}")
                elif line.kind is LineKind.PRESENCE:
                    yield line
                elif line.kind is not LineKind.DAY:
                    yield Entry(line.kind, line.sender, line.text, line.at, chunk.flags[i], epoch, number)
        yield from self._run

    # -- looking

    def spoken(self, sender: str) -> tuple[int, float | None]:
        """How many posts of `sender` there are, and when the last was, in seconds since 1970."""
        count, last = 0, None
        for chunk in self._chunks:
            if found := chunk.senders.count(sender):
                count += found
                last = chunk.times[len(chunk) - 1 - chunk.senders[::-1].index(sender)]
        return count, last

    def held(self) -> list[tuple[Chunk, int]]:
        """All chunks with the number of their lines, those cleared from the screen too."""
        return [(chunk, len(chunk)) for chunk in (*self._cleared, *self.chunks)]

    # -- clearing the screen

    def clear(self) -> None:
        """Take all lines from the screen; `bring_back` returns them."""
        calendar = self._calendar
        self._cleared += self._chunks
        super().clear()
        # Else the day would be told twice once the lines are back.
        self._calendar = calendar

    @property
    def has_cleared(self) -> bool:
        """Whether there is something to bring back."""
        return bool(self._cleared)

    def bring_back(self) -> None:
        """Put what was cleared above what came since."""
        if self._cleared:
            self._chunks[:0] = self._cleared
            self._cleared = []
            self._count = sum(map(len, self._chunks))
            while self._count > self._limit:
                self._count -= len(self._chunks.pop(0))
            self.version += 1


def _fold_text(run: list[OlderPost]) -> str:
    names = dict.fromkeys(visible_line(post[0]) for post in run)
    shown = next(iter(names)) if len(names) == 1 else f"{len(names)} people"
    return f"{len(run):,} hidden from {shown}"


def _older_post(line: Line, post_id: str) -> OlderPost:
    text = f"{ACTION_PREFIX}{line.text}" if line.kind is LineKind.ACTION else line.text
    return (line.sender, text, datetime.fromtimestamp(line.at, UTC), line.own, line.mention, post_id)
