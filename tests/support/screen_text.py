"""A screen as readable text for comparison: its rows, then the style of each cell.

`UPDATE_SNAPSHOTS=1 pytest tests/tui/test_snapshots.py` rewrites the files; read the difference before
it is committed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from string import ascii_letters, digits

from rich.cells import cell_len
from rich.color import ANSI_COLOR_NAMES, ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.geometry import Region
from textual.strip import Strip

SNAPSHOTS = Path(__file__).parents[1] / "tui" / "snapshots"
_NAMES = {number: name for name, number in ANSI_COLOR_NAMES.items()}
_SIGNS = ascii_letters + digits + "!$%&*+,-/:;<=>?@^_~"


def screen_text(
    app: App[None], system: ColorSystem = ColorSystem.TRUECOLOR, *, region: Region | None = None
) -> str:
    """Size, rows, the same rows with a letter for each style, and the styles of the letters.

    Args:
        app: The app.
        system: Color system of the terminal, whose colors are those in the text.
        region: The part of the screen to show; the rest is left blank. By default all of it.
    """
    width, height = app.screen.size
    rows: list[str] = []
    looks: list[str] = []
    signs: dict[str, str] = {}
    shown = region or Region(0, 0, width, height)
    for y, whole in enumerate(app.screen._compositor.render_strips()):
        left = Strip([Segment(" " * shown.x)]) if shown.x else Strip([])
        strip = Strip.join([left, whole.crop(shown.x, shown.right)]) if shown.contains(shown.x, y) else left
        rows.append(strip.text.rstrip())
        row = ""
        for segment in strip:
            look = _look(segment.style or Style.null(), system)
            sign = signs.setdefault(look, _SIGNS[len(signs)])
            row += sign * cell_len(segment.text)
        looks.append("".join(_runs(row)))
    legend = [f"{sign}  {look}" for look, sign in signs.items()]
    if region is not None:
        rows, looks = rows[shown.y : shown.bottom], looks[shown.y : shown.bottom]
    size = f"{width} x {height}" + (f", from row {shown.y}" if region is not None else "")
    parts = [[size], [""], rows, ["", "looks"], looks, [""], legend]
    return "\n".join(line.rstrip() for line in chain.from_iterable(parts)) + "\n"


def _look(style: Style, system: ColorSystem) -> str:
    words = [
        word for word in ("bold", "dim", "italic", "underline", "strike", "reverse") if getattr(style, word)
    ]
    for before, color in (("", style.color), ("on ", style.bgcolor)):
        if color is not None and not color.is_default:
            shown = color.downgrade(system)
            words.append(before + (shown.triplet.hex if shown.triplet else _NAMES[shown.number or 0]))
    if style.link:
        words.append(f"link {style.link}")
    return " ".join(words) or "plain"


def _runs(row: str) -> Iterator[str]:
    """`aaaab` as `4a1b`: short, and a change of one cell is a change of one line."""
    start = 0
    for end in range(1, len(row) + 1):
        if end == len(row) or row[end] != row[start]:
            yield f"{end - start}{row[start]} "
            start = end


def compare(name: str, text: str) -> None:
    """Compare `text` with the file of that name, or write the file with UPDATE_SNAPSHOTS=1."""
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert path.exists(), f"{path.name} is missing; UPDATE_SNAPSHOTS=1 writes it"
    assert text == path.read_text("utf-8"), f"the screen is not that of {path.name}"
