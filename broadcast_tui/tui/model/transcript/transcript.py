"""What a room shows: its lines, oldest first, bounded, and the own posts still on their way below.

Invariants:

- line ids are whole numbers without holes, rising from the top; a line keeps its id (posts on their
  way have none for good: theirs are those after the last line, until they land);
- lines lie in chunks, the last of which grows; whatever else happens to lines makes new chunks;
- a line never changes, but for the last one while it says who came and went (`rewritten_count`);
- text is made safe to draw here, once, and nowhere after.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from operator import attrgetter

from broadcast_tui.core.text import visible, visible_line
from broadcast_tui.tui.model.transcript.chunks import (
    ACTION_PREFIX,
    MENTION,
    OWN,
    Chunk,
    DeliveryState,
    Line,
    LineKind,
    LineRecord,
)

__all__ = ["LATELY_LINES", "Chunk", "DeliveryState", "Line", "LineKind", "OlderPost", "Transcript"]


CHUNK_LINES = 256


_SENDERS_KEPT = 256


LATELY_LINES = 1_000
"""Who posted within so many lines spoke lately."""


_EARLIEST_S, _LATEST_S = 86_400.0, 250_000_000_000.0
"""Seconds since 1970 that every time zone can show."""


OlderPost = tuple[str, str, datetime, bool, bool, str]
"""A post of a page of history: sender, text, at (UTC), own, mention, post id."""


@dataclass(slots=True)
class _Pending:
    entry: LineRecord
    mark: DeliveryState


class _Calendar:
    """Tells when a line is of a later day than any before it: a clock that steps back opens none."""

    __slots__ = ("_zone", "ends_at")

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        self.ends_at = -math.inf

    def opens(self, at: float) -> LineRecord | None:
        """The line to put before a line of `at`, if that begins a day; the day is then open."""
        if at < self.ends_at:
            return None
        local = datetime.fromtimestamp(at, self._zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        self.ends_at = (midnight + timedelta(days=1)).timestamp()
        return LineRecord(LineKind.DAY, "", f"{local:%A} {local.day} {local:%B} {local.year}", at)


class Transcript:
    """The lines of one room. All methods are cheap; a view asks `version` whether to look again."""

    def __init__(self, limit: int = 100_000, zone: tzinfo | None = None) -> None:
        """`limit` lines are kept, at least 16; days change at midnight in `zone`, None: here."""
        if limit < 16:
            raise ValueError("a transcript keeps at least 16 lines")
        self.zone = zone
        self.version = 0
        """Rises with each change."""
        self.arrived_count = 0
        """Posts of others that `add_post` ever took: what an unread count is the difference of."""
        self.rewritten_count = 0
        """How often a line that was there was changed."""
        self.laid_count = 0
        """How often all lines were laid anew, under other ids."""
        self.rule_id: int | None = None
        """The line above which the unread line is drawn; it need not be held (any more)."""
        self.unheld_count = 0
        """Unread posts that lie above all lines and are not held."""
        self._limit = limit
        self._chunk_lines = min(CHUNK_LINES, limit // 8)
        self._chunks: list[Chunk] = []
        self._count = 0
        self._next_id = 0
        self._calendar = _Calendar(zone)
        self._senders: dict[str, int] = {}
        """Who spoke, the last speaker last, with the id of their last post."""
        self._pending: dict[str, _Pending] = {}
        self._tail: Chunk | None = None

    def __len__(self) -> int:
        """Lines, day lines and posts on their way included."""
        return self._count + len(self._pending)

    @property
    def first_id(self) -> int:
        """Id of the top line; `end_id` when there is none."""
        return self._chunks[0].first_id if self._chunks else self._next_id

    @property
    def settled_id(self) -> int:
        """One past the id of the last line that has its place; posts on their way come after."""
        return self._next_id

    @property
    def chunks(self) -> Sequence[Chunk]:
        """All lines, from the top; the posts on their way are the last chunk."""
        if not self._pending:
            return self._chunks
        if self._tail is None or self._tail.first_id != self._next_id:
            self._tail = Chunk(self._next_id)
            for pending in self._pending.values():
                flags = pending.entry.flags | pending.mark
                self._tail.append(pending.entry._replace(flags=flags))
        return [*self._chunks, self._tail]

    @property
    def pending_count(self) -> int:
        """Own posts on their way: neither arrived nor refused."""
        return len(self._pending)

    @property
    def first_post_id(self) -> str:
        """Id of the oldest post held, from before which history may be fetched; empty if none."""
        return next(filter(None, (chunk.first_post_id() for chunk in self._chunks)), "")

    @property
    def senders(self) -> tuple[str, ...]:
        """Who spoke lately, each once, the last speaker first."""
        return tuple(reversed(self._senders))

    def spoke_lately(self, name: str) -> bool:
        """Whether `name` has a post among the last lines, counted where it arrived live."""
        return self._next_id - self._senders.get(name, -LATELY_LINES) < LATELY_LINES

    def line(self, line_id: int) -> Line | None:
        """The line with this id, or None if it is not (or no longer) held."""
        chunks = self.chunks
        at = bisect_right(chunks, line_id, key=attrgetter("first_id")) - 1
        if at < 0 or line_id - chunks[at].first_id >= len(chunks[at]):
            return None
        return chunks[at].line(line_id - chunks[at].first_id)

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
        """Put a post at its place, after all lines that have one, and return its line id.

        With the `nonce` of a post on its way, that one has arrived and is no longer shown below.
        """
        entry = _post_entry(sender, text, _seconds(at), own, mention, post_id)
        if nonce in self._pending:
            del self._pending[nonce]
            self._tail = None
        if not own:
            self.arrived_count += 1
        line_id = self._append(entry)
        if entry.sender in self._senders:
            del self._senders[entry.sender]
        self._senders[entry.sender] = line_id
        if len(self._senders) > _SENDERS_KEPT:
            del self._senders[next(iter(self._senders))]
        return line_id

    def add_pending(self, nonce: str, sender: str, text: str, at: datetime) -> None:
        """Show an own post on its way, below all lines, until `add_post` or `refuse` of `nonce`."""
        entry = _post_entry(sender, text, _seconds(at), True, False, "")
        self._pending[nonce] = _Pending(entry, DeliveryState.PENDING)
        self._tail = None
        self.version += 1

    def confirm(self, nonce: str) -> None:
        """The server has the post safe. Nothing happens if it has arrived already."""
        if pending := self._pending.get(nonce):
            pending.mark = DeliveryState.DELIVERED
            self._tail = None
            self.version += 1

    def refuse(self, nonce: str, reason: str) -> None:
        """The post will not arrive: it stays, marked, as the last line, and a line says why."""
        if pending := self._pending.pop(nonce, None):
            self._tail = None
            entry = pending.entry
            self._append(entry._replace(flags=entry.flags | DeliveryState.REFUSED))
            self._append(LineRecord(LineKind.ERROR, "", f"not sent: {visible_line(reason)}", entry.at))

    def add_system(self, text: str, at: datetime, *, error: bool = False) -> int:
        """Add a line that is nobody's post, and return its id."""
        kind = LineKind.ERROR if error else LineKind.SYSTEM
        return self._append(LineRecord(kind, "", visible(text), _seconds(at)))

    def add_presence(self, text: str, brief: str, at: datetime) -> int:
        """Add a line that says who came and went, `brief` of those who spoke lately; returns its id."""
        line_id = self._append(LineRecord(LineKind.PRESENCE, "", visible_line(text), _seconds(at)))
        self._brief(line_id, brief)
        return line_id

    def replace_presence(self, line_id: int, text: str, brief: str, at: datetime) -> bool:
        """Let the PRESENCE line say something else; false, and nothing done, if it is not the last."""
        last = self._chunks[-1] if self._chunks else None
        entry = LineRecord(LineKind.PRESENCE, "", visible_line(text), _seconds(at))
        is_last = last is not None and line_id == self._next_id - 1 and last.kinds[-1] == LineKind.PRESENCE
        if last is None or not is_last or entry.at >= self._calendar.ends_at:
            return False
        rewritten = last.without_last()
        rewritten.append(entry)
        self._chunks[-1] = rewritten
        self._brief(line_id, brief)
        self.rewritten_count += 1
        self.version += 1
        return True

    def _brief(self, line_id: int, brief: str) -> None:
        chunk = self._chunks[-1]
        chunk.briefs = {**chunk.briefs, line_id: visible_line(brief)}

    def prepend_posts(self, posts: Iterable[OlderPost]) -> int:
        """Put older posts, ascending, above all lines; returns by how many lines that grew.

        Nothing is put above a transcript that is full: 0 is returned.
        """
        calendar = _Calendar(self.zone)
        entries: list[LineRecord] = []
        for sender, text, at, own, mention, post_id in posts:
            entry = _post_entry(sender, text, _seconds(at), own, mention, post_id)
            entries += filter(None, (calendar.opens(entry.at), entry))
        if not entries or self._count + len(entries) > self._limit:
            return 0
        count_before = self._count
        self._open_top(entries, calendar)
        chunks: list[Chunk] = []
        first_id = self.first_id - len(entries)
        for i, entry in enumerate(entries):
            if i % self._chunk_lines == 0:
                chunks.append(Chunk(first_id + i))
            chunks[-1].append(entry)
        self._chunks[:0] = chunks
        self._count += len(entries)
        self.version += 1
        return self._count - count_before

    def clear(self) -> None:
        """Forget all lines that have their place; posts on their way stay."""
        self._chunks.clear()
        self._count = 0
        self.rule_id = None
        self._calendar = _Calendar(self.zone)
        self.version += 1

    def _open_top(self, older: list[LineRecord], calendar: _Calendar) -> None:
        """Make the day lines right where `older`, whose last day `calendar` has open, meets the top."""
        if not self._chunks:
            self._calendar = calendar
            return
        top = self._chunks[0]
        if top.kinds[0] != LineKind.DAY:
            older += filter(None, [calendar.opens(top.times[0])])
        elif calendar.opens(top.times[0]) is None:
            self._chunks[0] = top.without_first()
            self._count -= 1

    def _append(self, entry: LineRecord) -> int:
        if entry.at >= self._calendar.ends_at and (day := self._calendar.opens(entry.at)):
            self._put(day)
        self._put(entry)
        self.version += 1
        return self._next_id - 1

    def _put(self, entry: LineRecord) -> None:
        chunks = self._chunks
        if not chunks or len(chunks[-1].texts) >= self._chunk_lines:
            chunks.append(Chunk(self._next_id))
        chunks[-1].append(entry)
        self._next_id += 1
        self._count += 1
        if self._count > self._limit:
            self._count -= len(chunks.pop(0))


def _post_entry(sender: str, text: str, at: float, own: bool, mention: bool, post_id: str) -> LineRecord:
    kind = LineKind.POST
    text = visible(text)
    if text.startswith(ACTION_PREFIX):
        kind = LineKind.ACTION
        text = text.removeprefix(ACTION_PREFIX)
    epoch, dash, digits = post_id.rpartition("-")
    if dash and digits.isdecimal() and digits.isascii() and len(digits) < 18:
        epoch, number = _shared(epoch), int(digits)
    else:
        epoch, number = post_id, -1
    flags = (OWN if own else 0) | (MENTION if mention else 0)
    return LineRecord(kind, _clean_name(sender), text, at, flags, epoch, number)


@lru_cache(maxsize=4096)
def _clean_name(name: str) -> str:
    """`name`, drawable; for the same name the same object, as long as it is spoken under."""
    return visible_line(name)


@lru_cache(maxsize=256)
def _shared(epoch: str) -> str:
    """`epoch`, always as the same object: thousands of posts hold it."""
    return epoch


def _seconds(at: datetime) -> float:
    seconds = at.timestamp()
    return seconds if _EARLIEST_S < seconds < _LATEST_S else min(max(seconds, _EARLIEST_S), _LATEST_S)


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

    def _append(self, entry: LineRecord) -> int:
        if self._run:
            run, self._run = self._run, []
            fold = LineRecord(LineKind.SYSTEM, "", _fold_text(run), _seconds(run[-1][2]), epoch=run[0][5])
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
            if isinstance(post, LineRecord):
                self._append(post)
            elif isinstance(post, Line):
                self.add_presence(post.text, post.brief, datetime.fromtimestamp(post.at, UTC))
            else:
                sender, text, at, own, mention, post_id = post
                self.add_post(sender, text, at, own=own, mention=mention, post_id=post_id)
        self.arrived_count = arrived_count

    def _all_lines(self) -> Iterator[LineRecord | Line | OlderPost]:
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
                    yield LineRecord(
                        line.kind, line.sender, line.text, line.at, chunk.flags[i], epoch, number
                    )
        yield from self._run

    # -- looking

    def posts_by(self, sender: str) -> tuple[int, float | None]:
        """How many posts of `sender` there are, and when the last was, in seconds since 1970."""
        count, last = 0, None
        for chunk in self._chunks:
            if found := chunk.senders.count(sender):
                count += found
                last = chunk.times[len(chunk) - 1 - chunk.senders[::-1].index(sender)]
        return count, last

    def snapshot(self) -> list[tuple[Chunk, int]]:
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
