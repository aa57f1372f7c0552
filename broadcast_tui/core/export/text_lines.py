"""Export as plain text. The lines of a post after the first are indented, so that they cannot imitate one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from broadcast_tui.core.export.describe import Described, Source, described, title_lines
from broadcast_tui.core.post import Post

INDENT = "    "


def text_lines(source: Source, posts: Sequence[Post], zone: tzinfo | None = None) -> Iterator[str]:
    """Yield the lines of a text file."""
    yield source.label
    yield from title_lines(source, len(posts), zone)
    day = ""
    for entry in described(posts, zone):
        if entry.day != day:
            day = entry.day
            yield from ("", f"-- {day} --")
        yield from _post_lines(entry)


def _post_lines(entry: Described) -> Iterator[str]:
    lead = f"* {entry.sender} " if entry.is_action else f"{entry.sender}: "
    text = f"({entry.text})" if entry.is_deleted else entry.text
    first, *rest = text.split("\n")
    if entry.quote:
        yield f"{entry.clock} {lead.rstrip()}"
        yield f"{INDENT}> {entry.quote}"
        rest.insert(0, first)
    else:
        yield f"{entry.clock} {lead}{first}"
    yield from (f"{INDENT}{line}" for line in rest)
    yield from (f"{INDENT}[{fact}]" for fact in entry.facts)
