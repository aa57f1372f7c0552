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
    first, *rest = line.text.split("\n")
    lead = {LineKind.POST: f"{line.sender}: ", LineKind.ACTION: f"* {line.sender} "}.get(line.kind, "-- ")
    return [f"{at:%Y-%m-%d %H:%M:%S} {lead}{first}", *(f"    {row}" for row in rest)]


def _markdown(line: Line, at: datetime) -> str:
    text = "  \n  ".join(_escaped(row) for row in line.text.split("\n"))
    sender = _escaped(line.sender)
    said = {LineKind.POST: f"**{sender}**: {text}", LineKind.ACTION: f"*{sender} {text}*"}.get(
        line.kind, f"*{text}*"
    )
    return f"- {at:%H:%M} {said}"


def _json(line: Line, room: str) -> str:
    at = datetime.fromtimestamp(line.at, UTC).isoformat()
    row = {"at": at, "room": room, "kind": line.kind.name.lower(), "sender": line.sender, "text": line.text}
    return json.dumps(row, ensure_ascii=False)


def _escaped(text: str) -> str:
    """`text` with Markdown characters escaped."""
    return _MARKDOWN.sub(r"\\\1", text)
