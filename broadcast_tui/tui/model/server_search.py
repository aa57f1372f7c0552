"""Results of a search on the server: pages of posts, newest first, and the context of one of them."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from broadcast_tui.core.post import Post
from broadcast_tui.core.session.updates import HistoryFetched, Noticed, SearchFound
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.text.wrapping import clip
from broadcast_tui.tui.model.transcript.find import Pattern
from broadcast_tui.tui.model.transcript.log_options import TimeFormat

_WORD = re.compile(r"[^\W_]+")
SNIPPET_BEFORE = 24
"""Characters shown before the first match."""
SNIPPET_CELLS = 240
"""Cells of a snippet, which takes a few rows."""


class ServerSearch(msgspec.Struct):
    """One search in `room`. `ref` and `around_ref` are refs of pending requests, or empty.

    Without a query, the list of the pinned posts.
    """

    room: str
    query: str
    ref: str = ""
    around_ref: str = ""
    posts: list[Post] = msgspec.field(default_factory=list)
    """Results so far, newest first."""
    around: tuple[Post, ...] = ()
    """The context of the requested result, in ascending order."""
    more: bool = False
    """Whether there may be older results."""
    error: str = ""
    """Error of the last request, sanitized."""
    label: str = ""
    """How the room is shown."""

    @property
    def oldest_id(self) -> str:
        """Id of the oldest result, before which the next page starts; empty if there are none."""
        return str(self.posts[-1].position) if self.posts else ""

    def handle_reply(self, update: SearchFound | HistoryFetched | Noticed) -> bool:
        """Apply a reply; returns false if it does not belong to this search."""
        if not update.ref or update.ref not in (self.ref, self.around_ref):
            return False
        match update:
            case SearchFound():
                self.posts += reversed(update.posts)
                # A page without posts has nothing to ask for more from before.
                self.more = update.more and bool(update.posts)
                self.error = self.ref = ""
            case HistoryFetched(ref=ref) if ref == self.ref:
                self.posts += reversed(update.posts)
                self.error = self.ref = ""
            case HistoryFetched():
                self.around = update.posts
                self.error = self.around_ref = ""
            case Noticed():
                self.error = visible_line(update.text)
                self.ref = self.around_ref = ""
        return True


def words_pattern(query: str) -> Pattern | None:
    """Pattern that matches the words of `query` in a text: each at the start of a word, ignoring case."""
    words = sorted(_WORD.findall(query), key=len, reverse=True)
    if not words:
        return None
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, words))})", re.IGNORECASE)


def snippet_of(text: str, pattern: Pattern | None) -> tuple[str, list[tuple[int, int]]]:
    """An excerpt of `text` from shortly before the first match, and the matches in it."""
    line = visible_line(text)
    first = pattern.search(line) if pattern else None
    if first is not None and first.start() > 2 * SNIPPET_BEFORE:
        start = first.start() - SNIPPET_BEFORE
        blank = line.find(" ", start, start + SNIPPET_BEFORE // 2)
        line = "…" + line[blank + 1 if blank >= 0 else start + 1 :]
    line = clip(line, SNIPPET_CELLS)
    return line, [match.span() for match in pattern.finditer(line)] if pattern else []


def result_lines(search: ServerSearch, now: datetime, time_format: TimeFormat = TimeFormat.H24) -> list[str]:
    """The results as lines of text, oldest first: number, time in the zone of `now`, sender and excerpt."""
    if not search.posts:
        return ["No results. Each search word must occur in the post, or start one of its words."]
    pattern = words_pattern(search.query)
    count = len(search.posts)
    lines = [
        f"{count} {'result' if count == 1 else 'results'}{' (there are older ones)' if search.more else ''}:"
    ]
    for post in reversed(search.posts):
        at = format_date(post.at.astimezone(now.tzinfo), now, time_format)
        excerpt = snippet_of(post.text, pattern)[0]
        lines.append(f"  {post.position.seq} {at} {visible_line(post.sender)}: {excerpt}")
    return lines


def format_date(at: datetime, now: datetime, time_format: TimeFormat = TimeFormat.H24) -> str:
    """The shortest clear form of a post's time; both times are in the display zone.

    If times are off, it is the day only.
    """
    time = time_format.show(at)
    if at.date() == now.date():
        return time or "today"
    day = f"{at.day} {at:%b}" if at.year == now.year else f"{at.day} {at:%b %Y}"
    return f"{day} {time}".rstrip()
