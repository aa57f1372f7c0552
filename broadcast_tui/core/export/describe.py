"""What all readable formats say about a post, as sanitized text without markup.

No result contains a control, bidirectional or invisible character: those of the posts are made visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from broadcast_tui.core.clock import Instant, parse_time
from broadcast_tui.core.names import VOLATILE_SIGN, is_direct
from broadcast_tui.core.post import ACTION_PREFIX, Post
from broadcast_tui.core.post_state import NO_STATE, Ask, Deletion, PostState, Votes
from broadcast_tui.core.text import visible, visible_line

QUOTE_CHARS = 80
"""Maximum length of the quoted line of the post that a reply is about."""


class Source(NamedTuple):
    """Where an export comes from."""

    room: str
    server: str
    at: datetime
    """UTC time of the export."""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def label(self) -> str:
        """The room as the chat shows it."""
        if is_direct(self.room):
            return visible_line(self.room.partition(VOLATILE_SIGN)[0])
        return f"#{visible_line(self.room)}"


class Described(NamedTuple):
    """A post in the words of an export."""

    post: Post
    sender: str
    text: str
    """On one or more lines; if the post was deleted, a description of that."""
    is_action: bool
    """Whether the text continues the name of the sender, as in `* bob waves`."""
    is_deleted: bool
    at: datetime
    """In the time zone of the export."""
    quote: str
    """What the post replies to, as `name: text` on one line; empty if it is not a reply."""
    facts: tuple[str, ...]
    """What people have done with the post, each on one line."""

    @property
    def seq(self) -> int:
        return self.post.position.seq

    @property
    def day(self) -> str:
        return f"{self.at:%Y-%m-%d}"

    @property
    def clock(self) -> str:
        """Local time and UTC, with the date of UTC if it is another one."""
        utc = self.at.astimezone(UTC)
        is_same_day = utc.date() == self.at.date()
        return f"{self.at:%H:%M:%S} ({utc:{'' if is_same_day else '%Y-%m-%d '}%H:%M:%S} UTC)"


def described(posts: Sequence[Post], zone: tzinfo | None = None) -> Iterable[Described]:
    """Describe posts, which are in ascending order.

    Args:
        zone: Time zone of the times; None for that of the system.
    """
    by_seq = {post.position.seq: post for post in posts}
    for post in posts:
        text, is_action = _text_of(post)
        yield Described(
            post,
            visible_line(post.sender),
            text,
            is_action,
            post.state.deleted is not None,
            post.at.astimezone(zone),
            _quote_of(post, by_seq),
            tuple(_facts(post.state, post.at, zone)) if post.state is not NO_STATE else (),
        )


def title_lines(source: Source, count: int, zone: tzinfo | None = None) -> list[str]:
    """What an export contains, in sentences."""
    limits = [
        f"{word} {moment(at, zone)}" for word, at in (("from", source.since), ("until", source.until)) if at
    ]
    number = f"{count:,} message{'s' * (count != 1)}"
    server = f" from {visible_line(source.server)}" if source.server else ""
    exported = f"Exported{server} on {moment(source.at, zone)}."
    return [f"{' '.join([number, *limits])}. {exported}", "Times are local, with UTC in parentheses."]


def moment(at: datetime, zone: tzinfo | None = None) -> str:
    """A date and time with its offset from UTC: `2025-08-30 12:30:40 +02:00`."""
    return at.astimezone(zone).isoformat(" ", "seconds").replace("+", " +", 1)


def _text_of(post: Post) -> tuple[str, bool]:
    if post.state.deleted is not None:
        return deletion_text(post.state.deleted), False
    text = visible(post.text)
    if text.startswith(ACTION_PREFIX):
        return text.removeprefix(ACTION_PREFIX), True
    return text, False


def deletion_text(deletion: Deletion) -> str:
    """The text in place of that of a deleted post."""
    by = f"deleted by {visible_line(deletion.by)}" if deletion.by else "deleted"
    return f"{by}: {visible_line(deletion.reason)}" if deletion.reason else by


def _quote_of(post: Post, by_seq: Mapping[int, Post]) -> str:
    if not post.re:
        return ""
    if (target := by_seq.get(post.re)) is None:
        return "an earlier message"
    text = _text_of(target)[0]
    line, *rest = text.split("\n", 1)
    is_cut = bool(rest) or len(line) > QUOTE_CHARS
    return f"{visible_line(target.sender)}: {line[:QUOTE_CHARS]}{'…' if is_cut else ''}"


def _facts(state: PostState, at: datetime, zone: tzinfo | None) -> Iterable[str]:
    if state.deleted is not None:
        return
    if state.edited:
        yield f"edited {_moment_after(state.edited, at, zone)}"
    if state.pinned is not None:
        yield f"pinned by {visible_line(state.pinned.by)}"
    if state.ask is not None:
        yield from _question(state.ask, state, at, zone)
    if state.reactions:
        yield " · ".join(_votes(key, votes) for key, votes in state.reactions.items())


def _question(ask: Ask, state: PostState, at: datetime, zone: tzinfo | None) -> Iterable[str]:
    choices = dict.fromkeys((*ask.choices, *state.tally))
    yield "answers: " + " · ".join(_votes(key, state.tally.get(key, Votes(0, ()))) for key in choices)
    if state.waiting and not state.closed:
        yield f"no answer yet: {_names(state.waiting)}"
    if state.closed:
        yield f"closed {_moment_after(state.closed, at, zone)}"


def _votes(key: str, votes: Votes) -> str:
    names = f" ({_names(votes.names, votes.count)})" if votes.names else ""
    return f"{visible_line(key)} {votes.count}{names}"


def _names(names: tuple[str, ...], count: int = 0) -> str:
    shown = ", ".join(map(visible_line, names))
    return f"{shown}, …" if count > len(names) else shown


def _moment_after(text: str, at: datetime, zone: tzinfo | None) -> str:
    """The time in a timestamp, with the date if it is not that of `at`."""
    then, first = parse_time(text, Instant(0.0, at)).astimezone(zone), at.astimezone(zone)
    return f"{then:%H:%M:%S}" if then.date() == first.date() else f"{then:%Y-%m-%d %H:%M:%S}"
