"""Posts for tests of exports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from broadcast_tui.core.export.describe import Source
from broadcast_tui.core.export.formats import Format, exported_lines
from broadcast_tui.core.notes import Note
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NO_STATE, NoteKind, PostState

AT = datetime(2025, 8, 30, 10, 30, 40, tzinfo=UTC)
ZONE = timezone(timedelta(hours=2))
SOURCE = Source("lobby", "ws://localhost:8765", AT)


def post(
    seq: int,
    text: str,
    *,
    sender: str = "ana",
    re: int = 0,
    minutes: float = 0.0,
    state: PostState = NO_STATE,
    epoch: str = "e",
) -> Post:
    """A post `minutes` after `AT`."""
    at = AT + timedelta(minutes=minutes)
    return Post("lobby", Position(epoch, seq), sender, text, at, re=re, root=re, state=state)


def note(
    seq: int, kind: NoteKind, re: int, *, by: str = "bob", minutes: float = 0.0, after: Post | None = None
) -> Note:
    """A note about the post `re`, which is `after` then."""
    return Note("lobby", Position("e", seq), kind, re, by, AT + timedelta(minutes=minutes), after)


def exported(wanted: Format, *posts: Post, notes: tuple[Note, ...] = ()) -> list[str]:
    """The lines of an export without its title."""
    lines = list(exported_lines(wanted, SOURCE, posts, notes, ZONE))
    match wanted:
        case Format.TEXT:
            return lines[3:]
        case Format.MARKDOWN:
            return lines[4:]
        case Format.JSON_LINES:
            return lines[1:]
        case Format.HTML:
            return lines[lines.index("<main>") + 1 : -2]
