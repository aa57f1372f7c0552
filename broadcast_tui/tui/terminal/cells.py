"""Rows of a screen as two strings of equal length: what stands in each cell, and how it looks.

Each distinct look, and each cluster that is more than one character, is named by one character of an
`GlyphTable`, so rows are compared, cut and joined at the speed of strings.

Invariants: a row has as many characters as cells; the second cell of a wide character is `FILL`, and
looks as the first; a control character never gets into a row.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from unicodedata import category

from rich.cells import cell_len

from broadcast_tui.tui.model.text.wrapping import FLAG_LETTERS, clusters

FILL = "\0"
"""The second cell of a wide character."""
UNKNOWN = "\0"
"""The look of a cell of which nothing is known."""
_CLUSTERS_FROM, _CLUSTERS_MAX = 0xF0000, 60_000
_FIRST_CLUSTER = chr(_CLUSTERS_FROM)
_LOOKS_FROM, _LOOKS_MAX = 1, 50_000
_TEXTS_KEPT = 2_048
_PLAIN = re.compile("[ -~]*")
_AGREED_WIDE = re.compile(
    "[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]"
)


class Row(NamedTuple):
    """One row of a screen, or a piece of one."""

    text: str
    looks: str

    @classmethod
    def unknown(cls, width: int) -> Row:
        """A row that may look like anything."""
        return cls(" " * width, UNKNOWN * width)

    def cut(self, length: int) -> Row:
        """The first `length` cells; half a wide character at their end becomes a blank."""
        text, looks = self.text[:length], self.looks[:length]
        return Row(text[:-1] + " " if text and self.text[length : length + 1] == FILL else text, looks)


class CellStyle(NamedTuple):
    """How a cell is drawn, in parameters of SGR; `""` is the terminal's own color."""

    attributes: tuple[str, ...] = ()
    foreground: str = ""
    background: str = ""
    link: str = ""
    """What an OSC 8 says of the link that the cell is part of: `params;address`."""

    @classmethod
    def parse(cls, sgr: str, link: str = "") -> CellStyle:
        """The look that the parameters of one SGR make of the default one."""
        attributes: list[str] = []
        foreground = background = ""
        tokens = iter(sgr.split(";") if sgr else ())
        for token in tokens:
            if token in ("38", "48"):
                kind = next(tokens, "5")
                color = ";".join((token, kind, *(next(tokens, "0") for _ in range(3 if kind == "2" else 1))))
                if token == "38":
                    foreground = color
                else:
                    background = color
            elif (number := int(token)) in range(30, 40) or number in range(90, 98):
                foreground = "" if number == 39 else token
            elif number in range(40, 50) or number in range(100, 108):
                background = "" if number == 49 else token
            else:
                attributes.append(token)
        return cls(tuple(attributes), foreground, background, link)

    @property
    def blank(self) -> CellStyle:
        """What is left of the look in a cell without a character."""
        if self.link or not set(self.attributes) <= {"1", "2", "3"}:
            return self
        return CellStyle(background=self.background)

    def after(self, pen: CellStyle) -> str:
        """What to write for this look when the last thing written looked as `pen`."""
        parts: list[str] = []
        if not set(pen.attributes) <= set(self.attributes):
            parts.append("0")
            pen = CellStyle(link=pen.link)
        parts += [attribute for attribute in self.attributes if attribute not in pen.attributes]
        if self.foreground != pen.foreground:
            parts.append(self.foreground or "39")
        if self.background != pen.background:
            parts.append(self.background or "49")
        sgr = f"\x1b[{';'.join(parts)}m" if parts else ""
        return sgr if self.link == pen.link else f"{sgr}\x1b]8;{self.link or ';'}\x1b\\"


class GlyphTable:
    """The one character that stands for each look and each cluster. Once full, begin a new one."""

    def __init__(self) -> None:
        self._looks: list[CellStyle] = []
        self._look_names: dict[CellStyle, str] = {}
        self._blanks: dict[str, str] = {}
        self._clusters: list[str] = []
        self._cluster_names: dict[str, str] = {}
        self._changes: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self.plain = self.name(CellStyle())

    @property
    def is_full(self) -> bool:
        return len(self._looks) >= _LOOKS_MAX or len(self._clusters) >= _CLUSTERS_MAX

    def name(self, look: CellStyle) -> str:
        """The character for `look`."""
        name = self._look_names.get(look)
        if name is None:
            name = self._look_names[look] = chr(_LOOKS_FROM + len(self._looks))
            self._looks.append(look)
        return name

    def look(self, name: str) -> CellStyle:
        """The look called `name`."""
        return self._looks[ord(name) - _LOOKS_FROM]

    def blank(self, name: str) -> str:
        """The name of the look that a blank has in effect, if it is drawn as `name`."""
        blank = self._blanks.get(name)
        if blank is None:
            blank = self._blanks[name] = UNKNOWN if name == UNKNOWN else self.name(self.look(name).blank)
        return blank

    def change(self, pen: str, name: str) -> str:
        """What to write to go from the look called `pen` to the one called `name`."""
        change = self._changes.get(pen + name)
        if change is None:
            change = self._changes[pen + name] = self.look(name).after(self.look(pen))
        return change

    def row(self, text: str, look: str) -> Row:
        """`text` in the look called `look`, one character a cell."""
        if not _PLAIN.fullmatch(text):
            text = self._cells(text)
        return Row(text, look * len(text))

    def cluster(self, cell: str) -> str:
        """What to write for a cell that holds `cell`."""
        return self._clusters[ord(cell) - _CLUSTERS_FROM] if ord(cell) >= _CLUSTERS_FROM else cell

    @staticmethod
    def has_clusters(text: str) -> bool:
        return max(text, default="") >= _FIRST_CLUSTER

    def reach(self, text: str) -> int:
        """How many cells `text` may take where each character of a cluster is drawn by itself, and wide."""
        return max(
            (
                at + 2 * sum(cell_len(character) > 0 for character in self.cluster(cell))
                for at, cell in enumerate(text)
                if ord(cell) >= _CLUSTERS_FROM
            ),
            default=0,
        )

    @staticmethod
    def is_agreed(cell: str, wide: bool) -> bool:
        """Whether all terminals give `cell` the width that it has here."""
        if ord(cell) >= _CLUSTERS_FROM:
            return False
        return not wide or _AGREED_WIDE.match(cell) is not None

    def _cells(self, text: str) -> str:
        cells = self._texts.get(text)
        if cells is None:
            if len(self._texts) >= _TEXTS_KEPT:
                self._texts.clear()
            cells = self._texts[text] = "".join(self._split(text))
        return cells

    def _split(self, text: str) -> list[str]:
        cells: list[str] = []
        # What drives a terminal has no business in a text; it takes no cell.
        text = "".join(character for character in text if category(character) not in ("Cc", "Cs"))
        for start, end, width in clusters(text):
            if width > 0:
                cells += [self._cell(text[start:end]), *([FILL] * (width - 1))]
        return cells

    def _cell(self, cluster: str) -> str:
        # Half a flag is named too: terminals disagree on its width.
        if len(cluster) == 1 and ord(cluster) < _CLUSTERS_FROM and not FLAG_LETTERS.match(cluster):
            return cluster
        name = self._cluster_names.get(cluster)
        if name is None:
            name = self._cluster_names[cluster] = chr(_CLUSTERS_FROM + len(self._clusters))
            self._clusters.append(cluster)
        return name
