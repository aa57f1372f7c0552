"""The formats of an export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from enum import StrEnum
from typing import assert_never

from broadcast_tui.core.export.describe import Source
from broadcast_tui.core.export.json_lines import json_lines
from broadcast_tui.core.export.markdown import markdown_lines
from broadcast_tui.core.export.text_lines import text_lines
from broadcast_tui.core.notes import Note
from broadcast_tui.core.post import Post


class Format(StrEnum):
    """A format of an export; the value is the usual extension of its files."""

    TEXT = "txt"
    MARKDOWN = "md"
    JSON_LINES = "jsonl"
    HTML = "html"


def format_of(suffix: str) -> Format:
    """The format for the suffix of a file name, such as `.md`; text by default."""
    suffix = suffix.casefold().removeprefix(".")
    extra = {"htm": Format.HTML, "markdown": Format.MARKDOWN, "ndjson": Format.JSON_LINES}
    return next((each for each in Format if each.value == suffix), extra.get(suffix, Format.TEXT))


def exported_lines(
    wanted: Format,
    source: Source,
    posts: Sequence[Post],
    notes: Sequence[Note] = (),
    zone: tzinfo | None = None,
) -> Iterator[str]:
    """Yield the lines of an export, without line ends.

    Args:
        posts: The posts, in ascending order, each as it is now.
        notes: The notes about them, in ascending order; only JSON lines contain them.
        zone: Time zone of the times; None for that of the system.
    """
    match wanted:
        case Format.TEXT:
            return text_lines(source, posts, zone)
        case Format.MARKDOWN:
            return markdown_lines(source, posts, zone)
        case Format.JSON_LINES:
            return json_lines(source, posts, notes, zone)
        case Format.HTML:
            # The chat has this module in memory for /export: load the names of HTML's characters on demand.
            from broadcast_tui.core.export.html import html_lines

            return html_lines(source, posts, zone)
        case _:
            assert_never(wanted)
