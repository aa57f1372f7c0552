"""Rows of the screen as two strings of equal length: the glyph and the style of each cell.

A `GlyphTable` interns each distinct style, and each grapheme cluster of more than one character, as a single
character. So rows are compared, cut and joined at the speed of Python strings.

Invariants: a row has one character per cell. The second cell of a wide character is `FILL` and has the style
of the first. A row never contains a control character.
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
"""Style of a cell whose content on the terminal is unknown."""
_CLUSTERS_FROM, _CLUSTERS_MAX = 0xF0000, 60_000
_FIRST_CLUSTER = chr(_CLUSTERS_FROM)
_STYLES_FROM, _STYLES_MAX = 1, 50_000
_CACHED_TEXTS_MAX = 2_048
_PLAIN = re.compile("[ -~]*")
_ALWAYS_WIDE = re.compile(
    "[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]"
)


class Row(NamedTuple):
    """One row of the screen, or a part of one."""

    text: str
    """The glyph of each cell."""
    styles: str
    """The interned style of each cell."""

    @classmethod
    def unknown(cls, width: int) -> Row:
        """A row whose cells are all unknown."""
        return cls(" " * width, UNKNOWN * width)

    def cut(self, length: int) -> Row:
        """The first `length` cells; if that cuts a wide character in two, its half becomes a blank."""
        text, styles = self.text[:length], self.styles[:length]
        return Row(text[:-1] + " " if text and self.text[length : length + 1] == FILL else text, styles)


class CellStyle(NamedTuple):
    """Style of a cell as SGR parameters; `""` is the terminal's default color."""

    attributes: tuple[str, ...] = ()
    foreground: str = ""
    background: str = ""
    link: str = ""
    """OSC 8 parameters and address of the link that contains the cell: `params;address`; "" without one."""

    @classmethod
    def parse(cls, sgr: str, link: str = "") -> CellStyle:
        """Apply the parameters of one SGR sequence to the default style."""
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
        """The part of the style that is visible in a cell without a character."""
        if self.link or not set(self.attributes) <= {"1", "2", "3"}:
            return self
        return CellStyle(background=self.background)

    def change_from(self, pen: CellStyle) -> str:
        """The sequence that switches from the style `pen` to this one; empty if they are equal."""
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
    """Interns each style and each grapheme cluster as one character. When it is full, start a new one."""

    def __init__(self) -> None:
        self._styles: list[CellStyle] = []
        self._style_keys: dict[CellStyle, str] = {}
        self._blanks: dict[str, str] = {}
        self._clusters: list[str] = []
        self._cluster_keys: dict[str, str] = {}
        self._changes: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self.plain = self.intern(CellStyle())

    @property
    def is_full(self) -> bool:
        return len(self._styles) >= _STYLES_MAX or len(self._clusters) >= _CLUSTERS_MAX

    def intern(self, style: CellStyle) -> str:
        """The character for `style`."""
        key = self._style_keys.get(style)
        if key is None:
            key = self._style_keys[style] = chr(_STYLES_FROM + len(self._styles))
            self._styles.append(style)
        return key

    def style(self, key: str) -> CellStyle:
        """The style interned as `key`."""
        return self._styles[ord(key) - _STYLES_FROM]

    def blank(self, key: str) -> str:
        """The interned style that is visible in a blank of style `key`."""
        blank = self._blanks.get(key)
        if blank is None:
            blank = self._blanks[key] = UNKNOWN if key == UNKNOWN else self.intern(self.style(key).blank)
        return blank

    def change(self, pen: str, key: str) -> str:
        """The sequence that switches from the interned style `pen` to `key`."""
        change = self._changes.get(pen + key)
        if change is None:
            change = self._changes[pen + key] = self.style(key).change_from(self.style(pen))
        return change

    def row(self, text: str, style: str) -> Row:
        """`text` in the interned style `style`, as a row with one character per cell."""
        if not _PLAIN.fullmatch(text):
            text = self._cells(text)
        return Row(text, style * len(text))

    def cluster(self, cell: str) -> str:
        """The characters to write for the glyph `cell`."""
        return self._clusters[ord(cell) - _CLUSTERS_FROM] if ord(cell) >= _CLUSTERS_FROM else cell

    @staticmethod
    def has_clusters(text: str) -> bool:
        return max(text, default="") >= _FIRST_CLUSTER

    def max_width(self, text: str) -> int:
        """Most cells that `text` covers on a terminal that draws each character of a cluster, and wide."""
        return max(
            (
                at + 2 * sum(cell_len(character) > 0 for character in self.cluster(cell))
                for at, cell in enumerate(text)
                if ord(cell) >= _CLUSTERS_FROM
            ),
            default=0,
        )

    @staticmethod
    def has_certain_width(cell: str, wide: bool) -> bool:
        """Whether all terminals draw `cell` with the same width, 2 cells if `wide`."""
        if ord(cell) >= _CLUSTERS_FROM:
            return False
        return not wide or _ALWAYS_WIDE.match(cell) is not None

    def _cells(self, text: str) -> str:
        cells = self._texts.get(text)
        if cells is None:
            if len(self._texts) >= _CACHED_TEXTS_MAX:
                self._texts.clear()
            cells = self._texts[text] = "".join(self._split(text))
        return cells

    def _split(self, text: str) -> list[str]:
        cells: list[str] = []
        # Control characters would be executed by the terminal, and they have no cell.
        text = "".join(character for character in text if category(character) not in ("Cc", "Cs"))
        for start, end, width in clusters(text):
            if width > 0:
                cells += [self._cell(text[start:end]), *([FILL] * (width - 1))]
        return cells

    def _cell(self, cluster: str) -> str:
        # A single flag letter is interned too, because terminals disagree on its width.
        if len(cluster) == 1 and ord(cluster) < _CLUSTERS_FROM and not FLAG_LETTERS.match(cluster):
            return cluster
        key = self._cluster_keys.get(cluster)
        if key is None:
            key = self._cluster_keys[cluster] = chr(_CLUSTERS_FROM + len(self._clusters))
            self._clusters.append(cluster)
        return key
