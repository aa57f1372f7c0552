"""The lines of a room, oldest first and bounded, followed by the user's own pending posts.

Invariants:

- line ids are consecutive integers that rise from the top; a line keeps its id. Pending posts have
  provisional ids after the last line, until they arrive;
- lines are stored in chunks, of which only the last one grows; any other change creates new chunks;
- a line never changes, except that the last line is rewritten while it summarizes joins and leaves
  (`rewritten_count`);
- text is sanitized here, once.

Posts of hidden (ignored) senders are kept, but each run of them is replaced by one line that counts them.
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

CHUNK_LINES = 256
CHUNK_CHARS = 1_048_576
"""Characters after which a chunk is complete, whatever its number of lines."""
TEXT_MAX = 65_536
"""Maximum number of stored characters of a post. Wrapping as many of the slowest kind takes 0.3 s."""
CHARS_MAX = 67_108_864
"""Maximum number of characters of all lines; the oldest are dropped first."""
HIDDEN_MAX = 1_000
"""Maximum number of hidden posts that one line replaces."""
RECENT_LINES = 1_000
"""A sender of one of this many last lines has posted recently."""
_SENDERS_MAX = 256
_EARLIEST_S, _LATEST_S = 86_400.0, 250_000_000_000.0
"""Unix times that every time zone can represent."""
_POSTS = frozenset((LineKind.POST, LineKind.ACTION))
_PLACEHOLDER = "\0hidden"
"""Used as post id: the line is going to replace a run of hidden posts."""

OlderPost = tuple[str, str, datetime, bool, bool, str]
"""A post of a page of history: sender, text, at (UTC), own, mention, post id."""


@dataclass(slots=True)
class _Pending:
    record: LineRecord
    delivery: DeliveryState


class _Calendar:
    """Decides where day lines go. A clock that steps back does not start a new day."""

    __slots__ = ("_zone", "ends_at")

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        self.ends_at = -math.inf

    def open_day(self, at: float) -> LineRecord | None:
        """Return the day line to put above a line of time `at`; None if its day is already open."""
        if at < self.ends_at:
            return None
        local = datetime.fromtimestamp(at, self._zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        self.ends_at = (midnight + timedelta(days=1)).timestamp()
        return LineRecord(LineKind.DAY, "", f"{local:%A} {local.day} {local:%B} {local.year}", at)


class Transcript:
    """The lines of one room. All methods but `hide` are cheap; views compare `version` to detect changes."""

    def __init__(self, limit: int = 100_000, zone: tzinfo | None = None) -> None:
        """Keep at most `limit` lines, at least 16. Days start at midnight in `zone` (None: local time)."""
        if limit < 16:
            raise ValueError("a transcript must be able to keep 16 lines")
        self.zone = zone
        self.version = 0
        """Increased by each change."""
        self.received_count = 0
        """Posts of other users that `add_post` has received; views count unseen posts by its difference."""
        self.rewritten_count = 0
        """How often an existing line was changed."""
        self.rebuild_count = 0
        """How often all lines were rebuilt, with new ids."""
        self.unread_line_id: int | None = None
        """The line above which the unread line is drawn; it may no longer be stored."""
        self.unloaded_count = 0
        """Unread posts above all stored lines."""
        self._limit = limit
        self._chunk_lines = min(CHUNK_LINES, limit // 8)
        self._chunks: list[Chunk] = []
        self._count = 0
        self._chars = 0
        self._next_id = 0
        self._calendar = _Calendar(zone)
        self._senders: dict[str, int] = {}
        """Senders, the most recent last, with the line id of their last post."""
        self._growing_id: int | None = None
        self._pending: dict[str, _Pending] = {}
        """Pending posts by nonce, in the order sent."""
        self._tail: Chunk | None = None
        self._hide_rule: Callable[[str], bool] | None = None
        self._hidden: list[OlderPost] = []
        """Hidden posts after the last line."""
        self._hidden_runs: dict[int, list[OlderPost]] = {}
        """Hidden posts by the id of the line that replaces them."""
        self._cleared: list[Chunk] = []

    def __len__(self) -> int:
        """The number of lines, including day lines and pending posts."""
        return self._count + len(self._pending)

    @property
    def first_id(self) -> int:
        """Id of the top line; `next_id` if there are no lines."""
        return self._chunks[0].first_id if self._chunks else self._next_id

    @property
    def next_id(self) -> int:
        """Id of the next line to be added: one more than the last line before the pending posts."""
        return self._next_id

    @property
    def growing_id(self) -> int | None:
        """Id of the last line if it is about joins and leaves, and further ones may extend it."""
        return self._growing_id if self._growing_id == self._next_id - 1 else None

    @property
    def chunks(self) -> Sequence[Chunk]:
        """All lines from the top; pending posts are in a chunk of their own at the end."""
        if not self._pending:
            return self._chunks
        if self._tail is None or self._tail.first_id != self._next_id:
            self._tail = Chunk(self._next_id)
            for pending in self._pending.values():
                flags = pending.record.flags | pending.delivery
                self._tail.append(pending.record._replace(flags=flags))
        return [*self._chunks, self._tail]

    @property
    def pending_count(self) -> int:
        """Own posts that have neither arrived nor been rejected."""
        return len(self._pending)

    @property
    def first_post_id(self) -> str:
        """Id of the oldest stored post, before which history can be fetched; empty if there is none."""
        return next(filter(None, (chunk.first_post_id() for chunk in self._chunks)), "")

    @property
    def senders(self) -> tuple[str, ...]:
        """Recent senders without duplicates, the most recent first."""
        return tuple(reversed(self._senders))

    def posted_recently(self, name: str) -> bool:
        """Whether `name` sent one of the last `RECENT_LINES` lines; history pages do not count."""
        return self._next_id - self._senders.get(name, -RECENT_LINES) < RECENT_LINES

    def line(self, line_id: int) -> Line | None:
        """Return the line with this id, or None if it is not stored."""
        chunks = self.chunks
        at = bisect_right(chunks, line_id, key=attrgetter("first_id")) - 1
        if at < 0 or line_id - chunks[at].first_id >= len(chunks[at]):
            return None
        return chunks[at].line(line_id - chunks[at].first_id)

    def posts_by(self, sender: str) -> tuple[int, float | None]:
        """Return the number of stored posts of `sender`, and the Unix time of the last one."""
        count, last = 0, None
        for chunk in self._chunks:
            if found := chunk.senders.count(sender):
                count += found
                last = chunk.times[len(chunk) - 1 - chunk.senders[::-1].index(sender)]
        return count, last

    def snapshot(self) -> list[tuple[Chunk, int]]:
        """All chunks, each with its current number of lines; includes cleared lines."""
        return [(chunk, len(chunk)) for chunk in (*self._cleared, *self.chunks)]

    # -- adding lines

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
        """Add a post after the last line and return its line id; for a hidden post, the id of the last line.

        If `nonce` is that of a pending post, that post has arrived and is no longer pending.
        """
        if not own and self.is_hidden(sender):
            self._hidden.append((sender, _shortened(text), at, own, mention, post_id))
            if len(self._hidden) >= HIDDEN_MAX:
                self._append_placeholder()
            return self._next_id - 1
        record = _post_record(sender, text, _seconds(at), own, mention, post_id)
        if nonce in self._pending:
            del self._pending[nonce]
            self._tail = None
        if not own:
            self.received_count += 1
        line_id = self._append(record)
        if record.sender in self._senders:
            del self._senders[record.sender]
        self._senders[record.sender] = line_id
        if len(self._senders) > _SENDERS_MAX:
            del self._senders[next(iter(self._senders))]
        return line_id

    def add_pending(self, nonce: str, sender: str, text: str, at: datetime) -> None:
        """Show an own post below all lines until `add_post` or `reject` is called with its nonce."""
        record = _post_record(sender, text, _seconds(at), True, False, "")
        self._pending[nonce] = _Pending(record, DeliveryState.PENDING)
        self._tail = None
        self.version += 1

    def confirm(self, nonce: str, *, has_arrived: bool = False) -> None:
        """Mark a pending post as stored by the server; remove it if it is already among the lines.

        Ignored if it is not pending.
        """
        if has_arrived and nonce in self._pending:
            del self._pending[nonce]
            self._tail = None
            self.version += 1
        elif pending := self._pending.get(nonce):
            pending.delivery = DeliveryState.DELIVERED
            self._tail = None
            self.version += 1

    def reject(self, nonce: str, reason: str) -> None:
        """Turn a pending post into the last line, marked as rejected, and add a line with the reason."""
        if pending := self._pending.pop(nonce, None):
            self._tail = None
            record = pending.record
            self._append(record._replace(flags=record.flags | DeliveryState.REJECTED))
            self._append(LineRecord(LineKind.ERROR, "", f"not sent: {visible_line(reason)}", record.at))

    def add_system(self, text: str, at: datetime, *, error: bool = False) -> int:
        """Add a system line and return its id."""
        kind = LineKind.ERROR if error else LineKind.SYSTEM
        return self._append(LineRecord(kind, "", visible(_shortened(text)), _seconds(at)))

    def add_presence(self, text: str, brief: str, at: datetime, *, grows: bool = True) -> int:
        """Add a line about joins and leaves and return its id.

        Args:
            brief: The short form of the line, possibly empty.
            grows: Whether `replace_presence` may rewrite it.
        """
        line_id = self._append(LineRecord(LineKind.PRESENCE, "", visible_line(text), _seconds(at)))
        self._growing_id = line_id if grows else None
        self._set_brief(line_id, brief)
        return line_id

    def replace_presence(self, line_id: int, text: str, brief: str, at: datetime) -> bool:
        """Rewrite a PRESENCE line; returns false, without a change, if it is not the last line."""
        last = self._chunks[-1] if self._chunks else None
        record = LineRecord(LineKind.PRESENCE, "", visible_line(text), _seconds(at))
        is_last = last is not None and line_id == self._next_id - 1 and last.kinds[-1] == LineKind.PRESENCE
        if last is None or not is_last or record.at >= self._calendar.ends_at:
            return False
        rewritten = last.without_last()
        rewritten.append(record)
        self._chunks[-1] = rewritten
        self._chars += rewritten.char_count - last.char_count
        self._set_brief(line_id, brief)
        self.rewritten_count += 1
        self.version += 1
        return True

    def _set_brief(self, line_id: int, brief: str) -> None:
        chunk = self._chunks[-1]
        chunk.briefs = {**chunk.briefs, line_id: visible_line(brief)}

    def _append(self, record: LineRecord) -> int:
        if self._hidden:
            self._append_placeholder()
        if record.at >= self._calendar.ends_at and (day := self._calendar.open_day(record.at)):
            self._put(day)
        self._put(record)
        self.version += 1
        return self._next_id - 1

    def _put(self, record: LineRecord) -> None:
        chunks = self._chunks
        if not chunks or len(chunks[-1].texts) >= self._chunk_lines or chunks[-1].char_count >= CHUNK_CHARS:
            chunks.append(Chunk(self._next_id))
        chunks[-1].append(record)
        self._next_id += 1
        self._count += 1
        self._chars += len(record.text)
        if self._count > self._limit or self._chars > CHARS_MAX:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Drop chunks from the top until both limits are met."""
        while len(self._chunks) > 1 and (self._count > self._limit or self._chars > CHARS_MAX):
            oldest = self._chunks.pop(0)
            self._count -= len(oldest)
            self._chars -= oldest.char_count

    # -- history

    def prepend_posts(self, posts: Iterable[OlderPost]) -> int:
        """Add older posts, in ascending order, above all lines; runs of hidden posts become one line each.

        Returns:
            The number of lines added; 0 if the transcript would exceed its limit, and nothing is added then.
        """
        runs: list[list[OlderPost]] = []
        older: list[OlderPost] = []
        for post in posts:
            if post[3] or not self.is_hidden(post[0]):
                older.append(post)
            elif runs and older[-1][5] == _PLACEHOLDER:
                runs[-1].append(post)
            else:
                runs.append([post])
                older.append(("", "", *post[2:5], _PLACEHOLDER))
        texts = iter(runs)
        older = [
            ("", _hidden_text(next(texts)), *post[2:]) if post[5] == _PLACEHOLDER else post for post in older
        ]
        count = self._prepend(older)
        if count and runs:
            self._fill_placeholders(runs)
        return count

    def _prepend(self, posts: Iterable[OlderPost]) -> int:
        calendar = _Calendar(self.zone)
        records: list[LineRecord] = []
        for sender, text, at, own, mention, post_id in posts:
            record = _post_record(sender, text, _seconds(at), own, mention, post_id)
            records += filter(None, (calendar.open_day(record.at), record))
        chars = sum(len(record.text) for record in records)
        if not records or self._count + len(records) > self._limit or self._chars + chars > CHARS_MAX:
            return 0
        count_before = self._count
        self._join_days(records, calendar)
        chunks: list[Chunk] = []
        first_id = self.first_id - len(records)
        for i, record in enumerate(records):
            if i % self._chunk_lines == 0:
                chunks.append(Chunk(first_id + i))
            chunks[-1].append(record)
        self._chunks[:0] = chunks
        self._count += len(records)
        self._chars += chars
        self.version += 1
        return self._count - count_before

    def _join_days(self, older: list[LineRecord], calendar: _Calendar) -> None:
        """Add or remove the day line between `older` and the top; `calendar` has their last day open."""
        if not self._chunks:
            self._calendar = calendar
            return
        top = self._chunks[0]
        if top.kinds[0] != LineKind.DAY:
            older += filter(None, [calendar.open_day(top.times[0])])
        elif calendar.open_day(top.times[0]) is None:
            self._chunks[0] = top.without_first()
            self._count -= 1
            self._chars -= len(top.texts[0])

    # -- hiding senders

    def hide(self, rule: Callable[[str], bool] | None) -> None:
        """Hide the posts, old and new, of the senders that `rule` accepts (None: nobody); show all others."""
        self._hide_rule = rule
        if rule is not None or self._hidden_runs or self._hidden:
            self._rebuild()

    def is_hidden(self, sender: str) -> bool:
        return self._hide_rule is not None and self._hide_rule(visible_line(sender))

    @property
    def hidden_count(self) -> int:
        """Hidden posts after the last line, which are not counted by a line yet."""
        return len(self._hidden)

    def _append_placeholder(self) -> None:
        """Add the line that replaces the hidden posts after the last line."""
        run, self._hidden = self._hidden, []
        record = LineRecord(LineKind.SYSTEM, "", _hidden_text(run), _seconds(run[-1][2]), epoch=run[0][5])
        self._hidden_runs[self._append(record)] = run
        for line_id in [line_id for line_id in self._hidden_runs if line_id < self.first_id]:
            del self._hidden_runs[line_id]

    def _fill_placeholders(self, runs: list[list[OlderPost]]) -> None:
        """Turn the placeholders just prepended into system lines. No view has seen their chunks yet."""
        remaining = iter(runs)
        run = next(remaining, None)
        for chunk in self._chunks:
            for i in range(len(chunk)):
                if run is None:
                    return
                if chunk.epochs[i] == _PLACEHOLDER:
                    chunk.kinds[i], chunk.epochs[i] = LineKind.SYSTEM, run[0][5]
                    self._hidden_runs[chunk.first_id + i] = run
                    run = next(remaining, None)

    def _rebuild(self) -> None:
        """Add all lines again, with new ids, by the current hide rule."""
        self.rebuild_count += 1
        self.restore_cleared()
        items, received_count = list(self._all_lines()), self.received_count
        self._remove_lines()
        self._hidden, self._hidden_runs = [], {}
        for item in items:
            if isinstance(item, LineRecord):
                self._append(item)
            elif isinstance(item, Line):
                self.add_presence(item.text, item.brief, datetime.fromtimestamp(item.at, UTC))
            else:
                sender, text, at, own, mention, post_id = item
                self.add_post(sender, text, at, own=own, mention=mention, post_id=post_id)
        self.received_count = received_count

    def _all_lines(self) -> Iterator[LineRecord | Line | OlderPost]:
        """All lines in order, without day lines.

        Posts to hide, or hidden already, are `OlderPost`; PRESENCE lines are `Line`; others `LineRecord`.
        """
        for chunk in self._chunks:
            for i in range(len(chunk)):
                line, epoch, number = chunk.line(i), chunk.epochs[i], chunk.numbers[i]
                if line.id in self._hidden_runs:
                    yield from self._hidden_runs[line.id]
                elif line.kind in _POSTS and not line.own and self.is_hidden(line.sender):
                    yield _older_post(line, epoch if number < 0 else f"{epoch}-{number}")
                elif line.kind is LineKind.PRESENCE:
                    yield line
                elif line.kind is not LineKind.DAY:
                    yield LineRecord(
                        line.kind, line.sender, line.text, line.at, chunk.flags[i], epoch, number
                    )
        yield from self._hidden

    # -- clearing the screen

    def clear(self) -> None:
        """Remove all lines but pending posts from the screen; `restore_cleared` brings them back."""
        calendar = self._calendar
        self._cleared += self._chunks
        self._remove_lines()
        # The open day keeps its line above: it would appear twice once the lines are restored.
        self._calendar = calendar

    @property
    def has_cleared(self) -> bool:
        """Whether there are cleared lines to restore."""
        return bool(self._cleared)

    def restore_cleared(self) -> None:
        """Put the cleared lines back above the current ones."""
        if self._cleared:
            self._chunks[:0] = self._cleared
            self._cleared = []
            self._count = sum(map(len, self._chunks))
            self._chars = sum(chunk.char_count for chunk in self._chunks)
            self._drop_oldest()
            self.version += 1

    def _remove_lines(self) -> None:
        self._chunks.clear()
        self._count = self._chars = 0
        self.unread_line_id = None
        self._calendar = _Calendar(self.zone)
        self.version += 1


def _post_record(sender: str, text: str, at: float, own: bool, mention: bool, post_id: str) -> LineRecord:
    kind = LineKind.POST
    text = visible(_shortened(text))
    if text.startswith(ACTION_PREFIX):
        kind = LineKind.ACTION
        text = text.removeprefix(ACTION_PREFIX)
    epoch, dash, digits = post_id.rpartition("-")
    if dash and digits.isdecimal() and digits.isascii() and len(digits) < 18:
        epoch, number = _interned(epoch), int(digits)
    else:
        epoch, number = post_id, -1
    flags = (OWN if own else 0) | (MENTION if mention else 0)
    return LineRecord(kind, _clean_name(sender), text, at, flags, epoch, number)


def _shortened(text: str) -> str:
    """The beginning of a very long post, with a note about the rest."""
    if len(text) <= TEXT_MAX:
        return text
    return f"{text[:TEXT_MAX]}\n… ({len(text) - TEXT_MAX:,} more characters are not shown)"


@lru_cache(maxsize=4096)
def _clean_name(name: str) -> str:
    """`name`, sanitized. Cached so that the posts of a sender share one string object."""
    return visible_line(name)


@lru_cache(maxsize=256)
def _interned(epoch: str) -> str:
    """`epoch` as one shared object, because thousands of posts refer to it."""
    return epoch


def _seconds(at: datetime) -> float:
    seconds = at.timestamp()
    return seconds if _EARLIEST_S < seconds < _LATEST_S else min(max(seconds, _EARLIEST_S), _LATEST_S)


def _hidden_text(run: list[OlderPost]) -> str:
    names = dict.fromkeys(visible_line(post[0]) for post in run)
    shown = next(iter(names)) if len(names) == 1 else f"{len(names)} people"
    return f"{len(run):,} hidden from {shown}"


def _older_post(line: Line, post_id: str) -> OlderPost:
    text = f"{ACTION_PREFIX}{line.text}" if line.kind is LineKind.ACTION else line.text
    return (line.sender, text, datetime.fromtimestamp(line.at, UTC), line.own, line.mention, post_id)
