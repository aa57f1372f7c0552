"""Tables of figures: printed row by row as they are measured, and written into docs/performance.md."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"


class Table:
    """A Markdown table, which has a place of its own in docs/performance.md.

    Args:
        name: The place: between `<!-- NAME table: … -->` and `<!-- /NAME table -->`.
        header: The titles of the columns.
    """

    def __init__(self, name: str, *header: str) -> None:
        self._name = name
        self._rows = [header]

    def add(self, *cells: str) -> None:
        """Add a row and print it."""
        self._rows.append(cells)
        print(" | ".join(cells), flush=True)

    @property
    def text(self) -> str:
        first, *others = (f"| {' | '.join(row)} |" for row in self._rows)
        ruler = "|---|" + "---:|" * (len(self._rows[0]) - 1)
        return "\n".join([first, ruler, *others])

    def write(self) -> None:
        """Replace the table in docs/performance.md."""
        name = re.escape(self._name)
        place = re.compile(rf"(<!-- {name} table: [^>]*-->\n).*?(<!-- /{name} table -->)", re.DOTALL)
        page, count = place.subn(lambda found: f"{found[1]}{self.text}\n{found[2]}", PAGE.read_text("utf-8"))
        if not count:
            sys.exit(f"{PAGE.name} lacks <!-- {self._name} table: … --> and <!-- /{self._name} table -->")
        PAGE.write_text(page, "utf-8")


def parse_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The command line of a benchmark that fills a table, with the option `--write`.

    The programs that it starts use cached bytecode, as those that pip installs do.
    """
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return parser.parse_args()
