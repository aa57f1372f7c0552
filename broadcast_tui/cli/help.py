"""Help pages, recorded in `help.json` so that printing one loads neither the parser nor the command.

`python -m tests.support.make_options` records them from the commands' signatures and docstrings.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from broadcast_tui import __version__

RECORD = Path(__file__).with_name("help.json")
HELP_FLAGS = ("--help", "-h")
MIN_COLUMNS = 40
DEFAULT_COLUMNS = 80
MAX_COLUMNS = 100
MAX_COMMAND_WORDS = 2


def requested_text(tokens: Sequence[str]) -> str | None:
    """The help page or version to print for a command line.

    None if it asks for neither, or does so after something that is not a command, which is an error.
    """
    if list(tokens) == ["--version"]:
        return f"broadcast-tui {__version__}"
    options = tokens[: tokens.index("--")] if "--" in tokens else tokens
    words = [token for token in options if token not in HELP_FLAGS]
    is_asked = len(words) < len(options)
    if not is_asked and len(tokens) > MAX_COMMAND_WORDS:
        return None
    pages = _read_pages()
    chain = _command(words, pages)
    if is_asked:
        is_wanted = bool(chain) or not words or words[0].startswith("-")
    else:
        is_wanted = list(tokens) == chain.split() and not pages[chain]["runs"]
    return "\n".join(_lines(pages[chain], _columns())) if is_wanted else None


def _read_pages() -> dict[str, Any]:
    """The recorded pages by the words after `broadcast-tui`; the page of an alias is the command's words."""
    import json

    pages: dict[str, Any] = json.loads(RECORD.read_text("utf-8"))
    return pages


def _command(words: Sequence[str], pages: dict[str, Any]) -> str:
    """The longest command that `words` start with, such as `token create`; empty if there is none."""
    chain = ""
    for word in words:
        longer = f"{chain} {word}".lstrip()
        if longer not in pages:
            break
        page = pages[longer]
        chain = page if isinstance(page, str) else longer
    return chain


def _columns() -> int:
    """Columns of the terminal, limited to a readable width."""
    columns = 0
    with suppress(ValueError):
        columns = int(os.environ.get("COLUMNS", ""))
    if columns <= 0:
        with suppress(OSError, ValueError):
            columns = os.get_terminal_size(sys.stdout.fileno()).columns
    return max(MIN_COLUMNS, min(columns or DEFAULT_COLUMNS, MAX_COLUMNS))


def _lines(page: dict[str, Any], columns: int) -> Iterator[str]:
    from textwrap import wrap

    yield from wrap(f"Usage: {page['usage']}", columns, subsequent_indent="  ")
    yield ""
    yield from wrap(page["summary"], columns)
    for title, rows in page["sections"].items():
        indent = 4 + min(columns // 3, max(len(name) for name, _ in rows))
        yield ""
        yield f"{title}:"
        for name, text in rows:
            lines = wrap(text, columns - indent)
            if len(name) > indent - 4:
                # The text starts on a line of its own.
                yield f"  {name}"
            else:
                yield f"  {name}".ljust(indent) + lines.pop(0)
            yield from (" " * indent + line for line in lines)
