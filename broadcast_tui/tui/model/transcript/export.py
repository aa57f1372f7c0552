"""Export of a room's lines as text, Markdown or JSON Lines, each with its date."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import Enum

from broadcast_tui.tui.model.transcript.chunks import Chunk, Line, LineKind

Snapshot = Sequence[tuple[Chunk, int]]
"""Chunks with their line counts. Chunks only grow, so a snapshot can be read in a thread."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~])")


class Format(Enum):
    TEXT = "text"
    MARKDOWN = "markdown"
    JSON_LINES = "jsonl"


def format_of(suffix: str) -> Format:
    """The format for a file name suffix; text by default."""
    return {".md": Format.MARKDOWN, ".jsonl": Format.JSON_LINES}.get(suffix.casefold(), Format.TEXT)


def lines_of(snapshot: Snapshot, wanted: Format, room: str) -> Iterator[str]:
    """Yield the lines of the file, without line ends; a multi-line post yields several."""
    if wanted is Format.MARKDOWN:
        yield f"# #{_escaped(room)}"
    day = ""
    for line in (chunk.line(i) for chunk, count in snapshot for i in range(count)):
        # A line is empty if joins and leaves cancelled out.
        if line.kind is LineKind.DAY or (line.kind is LineKind.PRESENCE and not line.text):
            continue
        at = datetime.fromtimestamp(line.at).astimezone()
        match wanted:
            case Format.TEXT:
                yield from _text(line, at)
            case Format.JSON_LINES:
                yield _json(line, room)
            case Format.MARKDOWN:
                if f"{at:%Y-%m-%d}" != day:
                    day = f"{at:%Y-%m-%d}"
                    yield from ("", f"## {day}", "")
                yield _markdown(line, at)


def _text(line: Line, at: datetime) -> list[str]:
    first, *rest = _with_marks(line).split("\n")
    match line.kind:
        case LineKind.POST | LineKind.DELETED:
            lead = f"{line.sender}: "
        case LineKind.ACTION:
            lead = f"* {line.sender} "
        case _:
            lead = "-- "
    return [f"{at:%Y-%m-%d %H:%M:%S} {lead}{first}", *(f"    {row}" for row in rest)]


def _markdown(line: Line, at: datetime) -> str:
    text = "  \n  ".join(_escaped(row) for row in _with_marks(line).split("\n"))
    sender = _escaped(line.sender)
    match line.kind:
        case LineKind.POST:
            said = f"**{sender}**: {text}"
        case LineKind.DELETED:
            said = f"**{sender}**: *{text}*"
        case LineKind.ACTION:
            said = f"*{sender} {text}*"
        case _:
            said = f"*{text}*"
    return f"- {at:%H:%M} {said}"


def _json(line: Line, room: str) -> str:
    at = datetime.fromtimestamp(line.at, UTC).isoformat()
    row: dict[str, object] = {
        "at": at,
        "room": room,
        "kind": line.kind.name.lower(),
        "sender": line.sender,
        "text": line.text,
    }
    if line.details is not None:
        state = line.details.state
        row |= {"edited": state.edited} if state.edited else {}
        row |= {"pinned": True} if state.pinned else {}
        counts = {key: votes.count for key, votes in line.details.reactions.items()}
        row |= {"reactions": counts} if counts else {}
        row |= {"tally": {key: votes.count for key, votes in state.tally.items()}} if state.ask else {}
    return json.dumps(row, ensure_ascii=False)


def _with_marks(line: Line) -> str:
    """The text of a line with the words that are displayed after it."""
    marks = line.details.marks if line.details is not None else ""
    return f"{line.text} {marks}" if marks else line.text


def _escaped(text: str) -> str:
    """`text` with Markdown characters escaped."""
    return _MARKDOWN.sub(r"\\\1", text)
