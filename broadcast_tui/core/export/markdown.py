"""Export as Markdown.

Posts are escaped: none becomes a heading, an image, HTML, or a link that hides its target.
Fenced code blocks of posts stay code blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import tzinfo

from broadcast_tui.core.export.code_blocks import Part, parts_of
from broadcast_tui.core.export.describe import Described, Source, described, title_lines
from broadcast_tui.core.post import Post

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&$])")
_BLOCK_START = re.compile(r"(\s*)([-+=:]|\d+(?=[.)]))")
"""The start of a list item, a rule, a heading underline or a definition."""
_LEADING_SPACES = re.compile("^[ \u00a0]+")
_BACKTICKS = re.compile("`+")


def markdown_lines(source: Source, posts: Sequence[Post], zone: tzinfo | None = None) -> Iterator[str]:
    """Yield the lines of a Markdown file."""
    yield f"# {escaped(source.label)}"
    yield ""
    yield from map(escaped, title_lines(source, len(posts), zone))
    day = ""
    for entry in described(posts, zone):
        if entry.day != day:
            day = entry.day
            yield from ("", f"## {day}")
        yield ""
        yield from _post_lines(entry)


def _post_lines(entry: Described) -> Iterator[str]:
    if entry.is_action:
        yield f"{entry.clock} \\* **{escaped(entry.sender)}**"
    else:
        yield f"{entry.clock} **{escaped(entry.sender)}**"
    if entry.quote:
        yield from ("", f"> {escaped_line(entry.quote)}")
    if entry.is_deleted:
        yield from ("", f"*({escaped(entry.text)})*")
    else:
        for part in parts_of(entry.text):
            yield ""
            yield from _code(part) if part.is_code else _paragraphs(part)
    for fact in entry.facts:
        yield from ("", f"*{escaped(fact)}*")


def _code(part: Part) -> Iterator[str]:
    runs = (len(run) for line in part.lines for run in _BACKTICKS.findall(line))
    fence = "`" * (max(runs, default=2) + 1 if part.lines else 3)
    fence = fence if len(fence) >= 3 else "```"
    yield from (fence, *part.lines, fence)


def _paragraphs(part: Part) -> Iterator[str]:
    """The lines, each but the last of a paragraph with a hard break."""
    for index, line in enumerate(part.lines):
        following = part.lines[index + 1] if index + 1 < len(part.lines) else ""
        is_last = not (line.strip() and following.strip())
        yield escaped_line(line) if is_last else f"{escaped_line(line)}\\"


def escaped_line(line: str) -> str:
    """A line of a post as text that begins no block, with its indentation."""
    spaces = _LEADING_SPACES.match(line)
    indent = len(spaces[0]) if spaces and line.strip() else 0
    text = line[indent:] if line.strip() else ""
    start = _BLOCK_START.match(text)
    if start is None:
        return f"{'&nbsp;' * indent}{escaped(text)}"
    marker = f"\\{start[2]}" if not start[2].isdecimal() else f"{start[2]}\\"
    return f"{'&nbsp;' * indent}{marker}{escaped(text[start.end() :])}"


def escaped(text: str) -> str:
    """`text` with all characters escaped that have a meaning within a line."""
    return _SPECIAL.sub(r"\\\1", text)
