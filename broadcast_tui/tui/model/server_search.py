"""What the server finds in a room: pages of posts, the newest first, and a look around one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from broadcast_tui.core.post import Post
from broadcast_tui.core.session.updates import HistoryFetched, Noticed, SearchFound
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.text.wrapping import clip
from broadcast_tui.tui.model.transcript.find import Pattern

_WORD = re.compile(r"[^\W_]+")
SNIPPET_BEFORE = 24
"""Characters before the first match that are shown with it."""
SNIPPET_CELLS = 240
"""Width of what is shown of a post: a few rows."""


@dataclass(slots=True)
class ServerSearch:
    """One search of `room`. `ref` and `around_ref` are of requests under way, or empty."""

    room: str
    query: str
    ref: str = ""
    around_ref: str = ""
    posts: list[Post] = field(default_factory=list)
    """Found so far, the newest first."""
    around: tuple[Post, ...] = ()
    """The posts around the one that was asked for, ascending."""
    more: bool = False
    """Whether there may be older ones than those found."""
    error: str = ""
    """Why the last request failed; safe to draw."""

    @property
    def oldest_id(self) -> str:
        """Id of the oldest post found, from before which to go on; empty if none is."""
        return str(self.posts[-1].position) if self.posts else ""

    def took(self, update: SearchFound | HistoryFetched | Noticed) -> bool:
        """Take an answer, if it is one to this search."""
        if not update.ref or update.ref not in (self.ref, self.around_ref):
            return False
        match update:
            case SearchFound():
                self.posts += reversed(update.posts)
                # A page without posts has nothing to ask for more from before.
                self.more = update.more and bool(update.posts)
                self.error = self.ref = ""
            case HistoryFetched():
                self.around = update.posts
                self.error = self.around_ref = ""
            case Noticed():
                self.error = visible_line(update.text)
                self.ref = self.around_ref = ""
        return True


def words_pattern(query: str) -> Pattern | None:
    """What marks the words of `query` in a text: each at the beginning of a word, in any case."""
    words = sorted(_WORD.findall(query), key=len, reverse=True)
    if not words:
        return None
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, words))})", re.IGNORECASE)


def snippet_of(text: str, pattern: Pattern | None) -> tuple[str, list[tuple[int, int]]]:
    """What a few rows show of `text`, from a little before the first match on, and the matches in that."""
    line = visible_line(text)
    first = pattern.search(line) if pattern else None
    if first is not None and first.start() > 2 * SNIPPET_BEFORE:
        start = first.start() - SNIPPET_BEFORE
        blank = line.find(" ", start, start + SNIPPET_BEFORE // 2)
        line = "…" + line[blank + 1 if blank >= 0 else start + 1 :]
    line = clip(line, SNIPPET_CELLS)
    return line, [match.span() for match in pattern.finditer(line)] if pattern else []


def found_lines(search: ServerSearch, now: datetime) -> list[str]:
    """What was found as lines to be read, the oldest first; times in the zone of `now`."""
    if not search.posts:
        return ["Nothing found. Every word must be in the post, or begin one of its words."]
    pattern = words_pattern(search.query)
    count = len(search.posts)
    lines = [f"{count} {'post' if count == 1 else 'posts'} found{', and older ones' if search.more else ''}:"]
    for post in reversed(search.posts):
        at = date_of(post.at.astimezone(now.tzinfo), now)
        lines.append(f"  {at} {visible_line(post.sender)}: {snippet_of(post.text, pattern)[0]}")
    return lines


def date_of(at: datetime, now: datetime) -> str:
    """When a post was, as short as it stays clear; both in the zone it is shown in."""
    if at.date() == now.date():
        return f"{at:%H:%M}"
    return f"{at.day} {at:%b %H:%M}" if at.year == now.year else f"{at.day} {at:%b %Y %H:%M}"
