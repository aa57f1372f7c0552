"""The lines of a room, oldest first and bounded, followed by the user's own pending posts.

Invariants:

- line ids are consecutive integers that rise from the top; a line keeps its id. Pending posts have
  provisional ids after the last line, until they arrive;
- lines are stored in chunks, of which only the last one grows; any other change creates new chunks;
- a line never changes, except that the last line is rewritten while it summarizes joins and leaves, and
  that notes change posts (`rewritten_count`);
- text is sanitized here, once;
- the id of a post changes with the epoch of its log. That is not visible, so it is changed in place.

Posts of hidden (ignored) senders are kept, but each run of them is replaced by one line that counts them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from operator import attrgetter

import msgspec

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.session.updates import EpochChanged
from broadcast_tui.core.text import visible, visible_line
from broadcast_tui.tui.model.text.colors import NameHues
from broadcast_tui.tui.model.transcript.calendar import Calendar
from broadcast_tui.tui.model.transcript.chunks import (
    OWN,
    POSTS,
    Chunk,
    DeliveryState,
    Line,
    LineKind,
    LineRecord,
    add_chunk,
    compressed_chunks,
)
from broadcast_tui.tui.model.transcript.epochs import Epochs
from broadcast_tui.tui.model.transcript.post_details import PostDetails, details_of
from broadcast_tui.tui.model.transcript.records import (
    OlderPost,
    StoredPost,
    hidden_text,
    older_post,
    place_of,
    post_of_hidden,
    post_of_line,
    post_record,
    seconds,
    shortened,
)
from broadcast_tui.tui.model.transcript.withdrawal import Withdrawal

CHUNK_LINES = 256
CHUNK_CHARS = 1_048_576
"""Characters after which a chunk is complete, whatever its number of lines."""
CHARS_MAX = 67_108_864
"""Maximum number of characters of all lines; the oldest are dropped first."""
HIDDEN_MAX = 1_000
"""Maximum number of hidden posts that one line replaces."""
RECENT_LINES = 1_000
"""A sender of one of this many last lines has posted recently."""
_SENDERS_MAX = 256
_PLACEHOLDER = "\0hidden"
"""Used as post id: the line is going to replace a run of hidden posts."""


class _Pending(msgspec.Struct):
    record: LineRecord
    delivery: DeliveryState


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
        self.rebuilt_id = 0
        """Id of the first line added since they were rebuilt."""
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
        self._calendar = Calendar(zone)
        self._senders: dict[str, int] = {}
        """Senders, the most recent last, with the line id of their last post."""
        self._growing_id: int | None = None
        self._pending: dict[str, _Pending] = {}
        """Pending posts by nonce, in the order sent."""
        self._tail: Chunk | None = None
        self.hide_rule: Callable[[str], bool] | None = None
        """Whose posts are hidden, as set by `hide`; None: nobody's."""
        self.edited_count = 0
        """How often the text of a stored post was changed."""
        self._hidden: list[OlderPost] = []
        """Hidden posts after the last line."""
        self._hidden_runs: dict[int, list[OlderPost]] = {}
        """Hidden posts by the id of the line that replaces them."""
        self._cleared: list[Chunk] = []
        self.hues = NameHues()
        self.epochs = Epochs()
        """Former epochs of the log, whose ids still find posts."""

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

    def pending_nonce(self, line_id: int) -> str:
        """The nonce of the pending post with this line id; empty if it is not pending."""
        index = line_id - self._next_id
        return list(self._pending)[index] if 0 <= index < len(self._pending) else ""

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
        details: PostDetails | None = None,
    ) -> int:
        """Add a post after the last line and return its line id; for a hidden post, the id of the last line.

        If `nonce` is that of a pending post, that post has arrived and is no longer pending.
        """
        if not own and self.is_hidden(sender):
            self._hidden.append(OlderPost(sender, shortened(text), at, own, mention, post_id, details))
            if len(self._hidden) >= HIDDEN_MAX:
                self._append_placeholder()
            return self._next_id - 1
        record = post_record(sender, text, seconds(at), own, mention, post_id, details)
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

    def add_pending(
        self, nonce: str, sender: str, text: str, at: datetime, details: PostDetails | None = None
    ) -> None:
        """Show an own post below all lines until `add_post` or `reject` is called with its nonce."""
        record = post_record(sender, text, seconds(at), True, False, "", details)
        self._pending[nonce] = _Pending(record, DeliveryState.PENDING)
        self._tail = None
        self.version += 1

    def edit_pending(self, nonce: str, text: str) -> None:
        """Change the text of a pending post; an empty text removes the post. Ignored if it is not pending."""
        if (pending := self._pending.get(nonce)) is None:
            return
        if text:
            before = pending.record
            at = datetime.fromtimestamp(before.at, UTC)
            self.add_pending(nonce, before.sender, text, at, before.details)
        else:
            del self._pending[nonce]
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
        return self._append(LineRecord(kind, "", visible(shortened(text)), seconds(at)))

    def add_presence(self, text: str, brief: str, at: datetime, *, grows: bool = True) -> int:
        """Add a line about joins and leaves and return its id.

        Args:
            brief: The short form of the line, possibly empty.
            grows: Whether `replace_presence` may rewrite it.
        """
        line_id = self._append(LineRecord(LineKind.PRESENCE, "", visible_line(text), seconds(at)))
        self._growing_id = line_id if grows else None
        self._chunks[-1].set_brief(line_id, brief)
        return line_id

    def replace_presence(self, line_id: int, text: str, brief: str, at: datetime) -> bool:
        """Rewrite a PRESENCE line; returns false, without a change, if it is not the last line."""
        last = self._chunks[-1] if self._chunks else None
        record = LineRecord(LineKind.PRESENCE, "", visible_line(text), seconds(at))
        is_last = last is not None and line_id == self._next_id - 1 and last.kinds[-1] == LineKind.PRESENCE
        if last is None or not is_last or record.at >= self._calendar.ends_at:
            return False
        rewritten = last.without_last()
        rewritten.append(record)
        self._chunks[-1] = rewritten
        self._chars += rewritten.char_count - last.char_count
        self._chunks[-1].set_brief(line_id, brief)
        self.rewritten_count += 1
        self.version += 1
        return True

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
        if not chunks or len(chunks[-1]) >= self._chunk_lines or chunks[-1].char_count >= CHUNK_CHARS:
            add_chunk(chunks, self._next_id)
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
            if post.own or not self.is_hidden(post.sender):
                older.append(post)
            elif runs and older[-1].post_id == _PLACEHOLDER:
                runs[-1].append(post)
            else:
                runs.append([post])
                older.append(OlderPost("", "", post.at, post.own, post.mention, _PLACEHOLDER))
        texts = iter(runs)
        older = [
            post._replace(text=hidden_text(next(texts))) if post.post_id == _PLACEHOLDER else post
            for post in older
        ]
        count = self._prepend(older)
        if count and runs:
            self._fill_placeholders(runs)
        return count

    def _prepend(self, posts: Iterable[OlderPost]) -> int:
        calendar = Calendar(self.zone)
        records: list[LineRecord] = []
        for sender, text, at, own, mention, post_id, details in posts:
            record = post_record(sender, text, seconds(at), own, mention, post_id, details)
            records += filter(None, (calendar.open_day(record.at), record))
        chars = sum(len(record.text) for record in records)
        if not records or self._count + len(records) > self._limit or self._chars + chars > CHARS_MAX:
            return 0
        count_before = self._count
        self._join_days(records, calendar)
        first_id = self.first_id - len(records)
        self._chunks[:0] = compressed_chunks(records, first_id, self._chunk_lines)
        self._count += len(records)
        self._chars += chars
        self.version += 1
        return self._count - count_before

    def _join_days(self, older: list[LineRecord], calendar: Calendar) -> None:
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
        was_hiding = self.hide_rule is not None
        self.hide_rule = rule
        if rule is not None or was_hiding:
            self.restore_cleared()
            self._rebuild()

    def is_hidden(self, sender: str) -> bool:
        return self.hide_rule is not None and self.hide_rule(visible_line(sender))

    @property
    def hidden_count(self) -> int:
        """Hidden posts after the last line, which are not counted by a line yet."""
        return len(self._hidden)

    def _append_placeholder(self) -> None:
        """Add the line that replaces the hidden posts after the last line."""
        run, self._hidden = self._hidden, []
        record = LineRecord(LineKind.SYSTEM, "", hidden_text(run), seconds(run[-1][2]), epoch=run[0][5])
        self._hidden_runs[self._append(record)] = run
        oldest_id = self._cleared[0].first_id if self._cleared else self.first_id
        for line_id in [line_id for line_id in self._hidden_runs if line_id < oldest_id]:
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

    def _rebuild(self, start: int = 0, keep: Callable[[Position], bool] = lambda position: True) -> None:
        """Add the lines from chunk `start` on again, by the current hide rule; only the posts to `keep`.

        If these are all lines, they get new ids. Otherwise the ids continue from those of the lines above.
        """
        self.rebuild_count += 1
        items = [item for item in self._lines_from(start) if (place := place_of(item)) is None or keep(place)]
        received_count, above, below = self.received_count, self._chunks[:start], self._chunks[start:]
        self._remove_lines()
        if above:
            self._chunks += above
            self._count, self._chars = sum(map(len, above)), sum(chunk.char_count for chunk in above)
            self._next_id = below[0].first_id if below else self._next_id
            self._calendar.open_day(above[-1].times[-1])
            self.rewritten_count += 1
        self._hidden = []
        runs = self._hidden_runs.items() if above else ()
        self._hidden_runs = {line_id: run for line_id, run in runs if line_id < self._next_id}
        for item in items:
            if isinstance(item, LineRecord):
                self._append(item._replace(details=_displayed(item.details, self.hide_rule)))
            elif isinstance(item, Line):
                self.add_presence(item.text, item.brief, datetime.fromtimestamp(item.at, UTC))
            else:
                sender, text, at, own, mention, post_id, details = item
                details = _displayed(details, self.hide_rule)
                self.add_post(sender, text, at, own=own, mention=mention, post_id=post_id, details=details)
        self.received_count, self.rebuilt_id = received_count, self._next_id

    def _lines_from(self, start: int) -> Iterator[LineRecord | Line | OlderPost]:
        """The lines from chunk `start` on in order, without day lines, and the hidden posts after them.

        Posts to hide, or hidden already, are `OlderPost`; PRESENCE lines are `Line`; others `LineRecord`.
        """
        for chunk in self._chunks[start:]:
            for i in range(len(chunk)):
                line, epoch, number = chunk.line(i), chunk.epochs[i], chunk.numbers[i]
                if line.id in self._hidden_runs:
                    yield from self._hidden_runs[line.id]
                elif line.kind in POSTS and not line.own and self.is_hidden(line.sender):
                    yield older_post(line, epoch if number < 0 else f"{epoch}-{number}")
                elif line.kind is LineKind.PRESENCE:
                    yield line
                elif line.kind is not LineKind.DAY:
                    yield chunk.record(i)
        yield from self._hidden

    # -- changing posts

    def find_post(self, position: Position) -> StoredPost | None:
        """The stored post at a position of the log, even if it is hidden or cleared, or None."""
        if (line := self.line_at(position)) is not None:
            return StoredPost(post_of_line(line, position), line.own, line.mention, line.id)
        if (hidden := self._hidden_place_of(position)) is not None:
            run, i = hidden
            return StoredPost(post_of_hidden(run[i], position), run[i].own, run[i].mention, None)
        return None

    def line_at(self, position: Position) -> Line | None:
        """The line of the post at a position of the log, also if it is cleared; None if it is hidden."""
        if (place := self._place_of(position)) is None:
            return None
        chunks, at, i = place
        return chunks[at].line(i)

    def replace_post(self, post: Post, *, mention: bool) -> None:
        """Replace the text and the state of the stored post at `post.position`, wherever it is."""
        details = details_of(post, self.hide_rule)
        if (place := self._place_of(post.position)) is not None:
            chunks, at, i = place
            before = chunks[at].record(i)
            own = bool(before.flags & OWN)
            new = post_record(before.sender, post.text, before.at, own, mention, "", details)
            chunks[at] = chunks[at].with_line(i, new)
            if chunks is self._chunks:
                self._chars += len(new.text) - len(before.text)
            self.rewritten_count += 1
            self.edited_count += new.text != before.text
            self.version += 1
        elif (hidden := self._hidden_place_of(post.position)) is not None:
            run, i = hidden
            run[i] = run[i]._replace(text=shortened(post.text), mention=mention, details=details)

    def _place_of(self, position: Position) -> tuple[list[Chunk], int, int] | None:
        """The chunks, displayed or cleared, the chunk and the index in it of a post."""
        position = self.epochs.current(position)
        for chunks in (self._chunks, self._cleared):
            for at in range(len(chunks) - 1, -1, -1):
                if (i := chunks[at].index_of(position)) is not None:
                    return chunks, at, i
        return None

    def _hidden_place_of(self, position: Position) -> tuple[list[OlderPost], int] | None:
        """The run of hidden posts with a post, and its index."""
        position = self.epochs.current(position)
        post_id = str(position)
        for run in (self._hidden, *self._hidden_runs.values()):
            ends = [Position.parse(post.post_id) for post in (*run[:1], *run[-1:])]
            if ends and ends[0] and ends[-1] and ends[0] <= position <= ends[-1]:
                return next(((run, i) for i, post in enumerate(run) if post.post_id == post_id), None)
        return None

    # -- new epochs of the log

    def follow(self, change: EpochChanged) -> None:
        """Give the posts that are not lost the ids of a new epoch. Former ids still find them."""
        self.epochs.add(change)
        for chunk in (*self._chunks, *self._cleared):
            chunk.follow(change)
        for run in (self._hidden, *self._hidden_runs.values()):
            run[:] = [post._replace(post_id=change.follow_id(post.post_id)) for post in run]

    def withdraw(self, first: Position, nonces: Iterable[str] = ()) -> list[tuple[Position, Line]]:
        """Remove the posts from `first` on, which the server has lost; the lines below get new ids.

        Args:
            first: Position of the first lost post in the current epoch.
            nonces: Pending posts that are lost.

        Returns:
            The posts removed from the lines, as they were, in ascending order.
        """
        for nonce in nonces:
            self.edit_pending(nonce, "")
        self.restore_cleared()
        withdrawal = Withdrawal(first, self.epochs.former)
        start = withdrawal.start(self._chunks, self._hidden_runs, self._hidden)
        lost = withdrawal.posts(self._chunks)
        for run in (self._hidden, *self._hidden_runs.values()):
            withdrawal.forget_notes(run)
        if start is not None:
            self._rebuild(start, lambda position: not withdrawal.includes(position))
        return lost

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
        self._calendar = Calendar(self.zone)
        self.version += 1


def _displayed(details: PostDetails | None, hide_rule: Callable[[str], bool] | None) -> PostDetails | None:
    return details.without(hide_rule) if details is not None else None
