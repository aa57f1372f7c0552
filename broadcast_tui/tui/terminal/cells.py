"""Rows of the screen as two strings of equal length: the glyph and the style of each cell.

A `GlyphTable` interns each distinct style, and each grapheme cluster of more than one character, as a single
character. So rows are compared, cut and joined at the speed of Python strings.

Invariants: a row has one character per cell. The second cell of a wide character is `FILL` and has the style
of the first. A row never contains a control character.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from unicodedata import category, east_asian_width

from rich.cells import cell_len

from broadcast_tui.core.lazy_pattern import lazy_pattern
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
_ALWAYS_WIDE = lazy_pattern(
    "[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]"
)
_INVISIBLE_IN_BLANKS = {"1", "2", "3"}
_REVERSE = "7"
_OFF = {"1": "22", "2": "22", "3": "23", "4": "24", "7": "27", "9": "29"}
"""The SGR parameters that switch attributes off."""


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
        if self.link:
            return self
        if set(self.attributes) <= _INVISIBLE_IN_BLANKS:
            return CellStyle(background=self.background)
        if self.attributes == (_REVERSE,) and self.foreground:
            return CellStyle(background=_as_background(self.foreground))
        return self

    def on_background(self, background: str) -> CellStyle:
        """A style for blanks on `background` that differs as little as possible from this one."""
        if self.link or not set(self.attributes) <= _INVISIBLE_IN_BLANKS:
            return CellStyle(background=background)
        return self._replace(background=background)

    def change_from(self, pen: CellStyle) -> str:
        """The sequence that switches from the style `pen` to this one; empty if they are equal."""
        if self._replace(link="") == CellStyle():
            sgr = "" if pen._replace(link="") == CellStyle() else "\x1b[m"
        else:
            parameters = ";".join(self._parameters(pen))
            sgr = f"\x1b[{parameters}m" if parameters else ""
        return sgr if self.link == pen.link else f"{sgr}\x1b]8;{self.link or ';'}\x1b\\"

    def _parameters(self, pen: CellStyle) -> list[str]:
        """The SGR parameters that switch from `pen` to this style."""
        removed = [attribute for attribute in pen.attributes if attribute not in self.attributes]
        colors = self._colors(pen)
        if not removed:
            return [*(attribute for attribute in self.attributes if attribute not in pen.attributes), *colors]
        reset = ["0", *self.attributes, *self._colors(CellStyle())]
        if not all(attribute in _OFF for attribute in removed):
            return reset
        off = dict.fromkeys(_OFF[attribute] for attribute in removed)
        # One parameter switches off both bold and dim.
        on = [item for item in self.attributes if item not in pen.attributes or _OFF.get(item) in off]
        return min([*off, *on, *colors], reset, key=lambda parameters: len(";".join(parameters)))

    def _colors(self, pen: CellStyle) -> list[str]:
        """The SGR parameters for the colors in which this style differs from `pen`."""
        foreground = [self.foreground or "39"] if self.foreground != pen.foreground else []
        background = [self.background or "49"] if self.background != pen.background else []
        return foreground + background


def _as_background(foreground: str) -> str:
    """The parameters of a foreground color for the same color as a background."""
    kind, separator, rest = foreground.partition(";")
    return f"{int(kind) + 10}{separator}{rest}"


def _can_have_cells(character: str) -> bool:
    """Whether a terminal can draw a character of a cluster by itself.

    Rich counts no cells for a skin tone, but terminals such as tmux 3.3 draw it as a wide character.
    """
    return cell_len(character) > 0 or east_asian_width(character) == "W"


class GlyphTable:
    """Interns each style and each grapheme cluster as one character. When it is full, start a new one."""

    def __init__(self) -> None:
        self._styles: list[CellStyle] = []
        self._style_keys: dict[CellStyle, str] = {}
        self._blanks: dict[str, str] = {}
        self._clusters: list[str] = []
        self._cluster_keys: dict[str, str] = {}
        self._changes: dict[str, str] = {}
        self._blank_pens: dict[str, str] = {}
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

    def background(self, key: str) -> str:
        """The background that blanks have in the interned style `key`."""
        return self.style(self.blank(key)).background

    def blank_pen(self, pen: str, key: str) -> str:
        """The interned style to change the pen `pen` to, so that blanks look as in the style `key`.

        Usually only the background is changed.
        """
        found = self._blank_pens.get(pen + key)
        if found is None:
            blank = self.style(self.blank(key))
            if blank.attributes or blank.link:
                found = key
            elif pen == UNKNOWN:
                found = self.intern(blank)
            else:
                found = self.intern(self.style(pen).on_background(blank.background))
            self._blank_pens[pen + key] = found
        return found

    def change(self, pen: str, key: str) -> str:
        """The sequence that switches from the interned style `pen`, which can be `UNKNOWN`, to `key`."""
        change = self._changes.get(pen + key)
        if change is None:
            if pen == UNKNOWN:
                change = "\x1b[m" + self.style(key).change_from(CellStyle())
            else:
                change = self.style(key).change_from(self.style(pen))
            self._changes[pen + key] = change
        return change

    def unlinked(self, key: str) -> str:
        """The interned style `key` without its link."""
        if key == UNKNOWN or not self.style(key).link:
            return key
        return self.intern(self.style(key)._replace(link=""))

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
                at + 2 * sum(map(_can_have_cells, self.cluster(cell)))
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
