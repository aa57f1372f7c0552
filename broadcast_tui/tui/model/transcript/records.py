"""Posts on their way into a transcript, hidden in it, and read from it again.

Text is sanitized and shortened here, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from broadcast_tui.core.post import ACTION_PREFIX, Position, Post
from broadcast_tui.core.text import visible, visible_line
from broadcast_tui.tui.model.transcript.chunks import (
    MENTION,
    OWN,
    Line,
    LineKind,
    LineRecord,
)
from broadcast_tui.tui.model.transcript.post_details import PostDetails, deletion_text

TEXT_MAX = 65_536
"""Maximum number of stored characters of a post. Wrapping as many of the slowest kind takes 0.3 s."""
_EARLIEST_S, _LATEST_S = 86_400.0, 250_000_000_000.0
"""Unix times that every time zone can represent."""


class OlderPost(NamedTuple):
    """A post of a page of history; `at` is UTC."""

    sender: str
    text: str
    at: datetime
    own: bool
    mention: bool
    post_id: str
    details: PostDetails | None = None


class StoredPost(NamedTuple):
    """A post as a transcript stores it, sanitized: `post` has no room and no author."""

    post: Post
    own: bool
    mention: bool
    line_id: int | None
    """The line that displays it; None if its sender is hidden."""


def post_record(
    sender: str,
    text: str,
    at: float,
    own: bool,
    mention: bool,
    post_id: str,
    details: PostDetails | None = None,
) -> LineRecord:
    kind = LineKind.POST
    if details is not None and details.state.deleted is not None:
        kind, text, mention = LineKind.DELETED, deletion_text(details.state.deleted), False
    text = visible(shortened(text))
    if kind is LineKind.POST and text.startswith(ACTION_PREFIX):
        kind = LineKind.ACTION
        text = text.removeprefix(ACTION_PREFIX)
    epoch, dash, digits = post_id.rpartition("-")
    if dash and digits.isdecimal() and digits.isascii() and len(digits) < 18:
        epoch, number = _interned(epoch), int(digits)
    else:
        epoch, number = post_id, -1
    flags = (OWN if own else 0) | (MENTION if mention else 0)
    return LineRecord(kind, _clean_name(sender), text, at, flags, epoch, number, details)


def shortened(text: str) -> str:
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


def seconds(at: datetime) -> float:
    seconds = at.timestamp()
    return seconds if _EARLIEST_S < seconds < _LATEST_S else min(max(seconds, _EARLIEST_S), _LATEST_S)


def hidden_text(run: Sequence[OlderPost]) -> str:
    names = dict.fromkeys(visible_line(post[0]) for post in run)
    shown = next(iter(names)) if len(names) == 1 else f"{len(names)} people"
    return f"{len(run):,} hidden from {shown}"


def older_post(line: Line, post_id: str) -> OlderPost:
    at = datetime.fromtimestamp(line.at, UTC)
    return OlderPost(line.sender, written_text(line), at, line.own, line.mention, post_id, line.details)


def place_of(item: LineRecord | Line | OlderPost) -> Position | None:
    """The position of a post in the log; None if it has none, or is not a post."""
    match item:
        case LineRecord(epoch=epoch, number=number) if epoch and number >= 0:
            return Position(epoch, number)
        case OlderPost(post_id=post_id):
            return Position.parse(post_id)
        case _:
            return None


def written_text(line: Line) -> str:
    """The text of a post as it was written; empty if it was deleted."""
    match line.kind:
        case LineKind.ACTION:
            return f"{ACTION_PREFIX}{line.text}"
        case LineKind.DELETED:
            return ""
        case _:
            return line.text


def post_of_line(line: Line, position: Position) -> Post:
    """The post that a line displays."""
    details = line.details or PostDetails()
    at = datetime.fromtimestamp(line.at, UTC)
    return Post(
        "", position, line.sender, written_text(line), at,
        re=details.re, root=details.root, state=details.state,
    )  # fmt: skip


def post_of_hidden(hidden: OlderPost, position: Position) -> Post:
    details = hidden.details or PostDetails()
    return Post(
        "", position, visible_line(hidden.sender), hidden.text, hidden.at,
        re=details.re, root=details.root, state=details.state,
    )  # fmt: skip
