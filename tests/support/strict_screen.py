"""A terminal's screen that knows exactly what the program may write, and fails at everything else.

Cells have a text, a look and, in its second half, a wide character's `HALF`. Autowrap is off. Erased cells
take the pen's background if `erases_coloured`. With `narrow` emoji and clusters take one cell only, as
in terminals with older tables of widths; with `apart` each character of a cluster is drawn by itself,
and a letter of a flag or a skin tone is wide.
"""

from __future__ import annotations

import random
import re
from typing import NamedTuple
from unicodedata import east_asian_width

from rich.cells import cell_len

from broadcast_tui.tui.model.text.wrapping import FLAG_LETTERS, clusters

HALF = "half"
_OFF = {"22": {"1", "2"}, "23": {"3"}, "24": {"4"}, "27": {"7"}, "29": {"9"}}
"""The attributes that SGR parameters switch off."""
_TOKEN = re.compile(
    r"\x1b\[(?P<private>[?>]?)(?P<parameters>[\d;]*)(?P<final>[A-Za-z])"
    r"|\x1b\]8;(?P<link>[^\x1b]*)\x1b\\|(?P<feed>\n)"
    r"|(?P<step>[\r\b]|\x1b[DM])|(?P<text>[^\x00-\x1f\x7f]+)"
)


class Cell(NamedTuple):
    text: str
    attributes: frozenset[str] = frozenset()
    foreground: str = ""
    background: str = ""
    link: str = ""

    @property
    def seen(self) -> Cell:
        """The visible parts of a cell; for most blanks only the background."""
        if self.text != " " or self.link:
            return self
        if self.attributes <= {"1", "2", "3"}:
            return Cell(" ", background=self.background)
        if self.attributes == {"7"} and self.foreground:
            kind, separator, rest = self.foreground.partition(";")
            return Cell(" ", background=f"{int(kind) + 10}{separator}{rest}")
        return self


class StrictScreen:
    """A screen and its contents. `questions` counts the queries that have not been answered."""

    def __init__(
        self,
        width: int,
        height: int,
        *,
        erases_colored: bool = True,
        narrow: bool = False,
        apart: bool = False,
        has_margins: bool = False,
    ) -> None:
        self.width, self.height = width, height
        self.erases_colored = erases_colored
        self.narrow = narrow
        self.apart = apart
        self.has_margins = has_margins
        self.questions = 0
        self.fed = 0
        self.x = self.y = 0
        self.pen = Cell(" ")
        self.cells = [[Cell(" ")] * width for _ in range(height)]
        self._region = (0, height - 1)
        self._columns: tuple[int, int] | None = None
        """First and last column that rows are moved in; None while left and right margins are off."""
        self._is_at_edge = False
        """Whether the cursor is where terminals disagree on its column."""

    def scramble(self, rng: random.Random) -> None:
        """Fill the screen with arbitrary text, as after a resize."""
        for row in self.cells:
            row[:] = [Cell(rng.choice("x#"), background=rng.choice(("", "41"))) for _ in row]
        self.x, self.y = rng.randrange(self.width), rng.randrange(self.height)

    @property
    def seen(self) -> list[list[Cell]]:
        """The visible screen."""
        return [[cell.seen for cell in row] for row in self.cells]

    @property
    def lines(self) -> list[str]:
        return ["".join("" if cell.text == HALF else cell.text for cell in row) for row in self.cells]

    @property
    def is_scrolled_whole(self) -> bool:
        """Whether no margins are set."""
        return self._columns is None and self._region == (0, self.height - 1)

    def feed(self, data: str) -> None:
        self.fed += len(data)
        at = 0
        while at < len(data):
            token = _TOKEN.match(data, at)
            assert token is not None, f"not understood: {data[at : at + 20]!r}"
            at = token.end()
            if token["final"]:
                self._control(token["private"], token["parameters"], token["final"])
            elif token["link"] is not None:
                # The id of a link, which groups its rows for highlighting, is not visible.
                self.pen = self.pen._replace(link=token["link"].partition(";")[2])
            elif token["feed"]:
                assert self.y < self.height - 1, "a line feed that scrolls"
                self.y += 1
            elif token["step"]:
                self._step(token["step"])
            else:
                self._draw(token["text"])

    def _step(self, character: str) -> None:
        """Move by one cell or row, or to the first column."""
        assert character == "\r" or not self._is_at_edge, "a move from where terminals disagree on the cursor"
        match character:
            case "\r":
                self.x = 0
                self._is_at_edge = False
            case "\b":
                assert self.x > 0, "a cursor beside the screen"
                self.x -= 1
            case "\x1bD":
                assert self.y < self.height - 1, "an index that scrolls"
                self.y += 1
            case _:
                assert self.y > 0, "a reverse index that scrolls"
                self.y -= 1

    def _control(self, private: str, parameters: str, final: str) -> None:
        numbers = [int(number or 0) for number in parameters.split(";")]
        count = max(1, numbers[0])
        match private + final:
            case "H":
                self.y, self.x = count - 1, max(1, *numbers[1:2], 1) - 1
                assert self.y < self.height, "a cursor below the screen"
                assert self.x < self.width, "a cursor beside the screen"
                self._is_at_edge = False
            case "G":
                self.x = count - 1
                assert self.x < self.width, "a cursor beside the screen"
                self._is_at_edge = False
            case "C":
                assert not self._is_at_edge, "a move from where terminals disagree on the cursor"
                self.x += count
                assert self.x < self.width, "a cursor beside the screen"
            case "B":
                assert not self._is_at_edge, "a move from where terminals disagree on the cursor"
                self.y += count
                assert self.y < self.height, "a cursor below the screen"
            case "A":
                assert not self._is_at_edge, "a move from where terminals disagree on the cursor"
                self.y -= count
                assert self.y >= 0, "a cursor above the screen"
            case "D":
                assert not self._is_at_edge, "a move from where terminals disagree on the cursor"
                self.x -= count
                assert self.x >= 0, "a cursor beside the screen"
            case "m":
                self._style(parameters.split(";"))
            case "K":
                assert not numbers[0]
                self._erase(self.width - self.x)
            case "X":
                assert self.x + count <= self.width, "more erased than there is"
                self._erase(count)
            case "r":
                self._region = (count - 1, numbers[1] - 1) if len(numbers) == 2 else (0, self.height - 1)
                assert 0 <= self._region[0] < self._region[1] < self.height, "a region that is none"
                self.x = self.y = 0
                self._is_at_edge = False
            case "s":
                assert self._columns is not None, "the cursor saved"
                self._columns = (count - 1, numbers[1] - 1)
                assert 0 <= self._columns[0] < self._columns[1] < self.width, "margins that are none"
                self.x = self.y = 0
                self._is_at_edge = False
            case "?h" | "?l" if parameters == "69":
                assert self.has_margins
                self._columns = (0, self.width - 1) if final == "h" else None
            case "M" | "L":
                self._shift(count if final == "M" else -count)
            case "?h" | "?l":
                assert parameters in ("2026", "7", "25"), f"mode {parameters}"
            case "n":
                assert parameters == "6"
                self.questions += 1
            case _:
                raise AssertionError(f"not known: ESC [ {private}{parameters}{final}")

    def _style(self, tokens: list[str]) -> None:
        left = list(tokens)
        while left:
            token = left.pop(0)
            if token in ("", "0"):
                self.pen = Cell(" ", link=self.pen.link)
            elif token in ("38", "48"):
                count = 4 if left[0] == "2" else 2
                color, left = ";".join([token, *left[:count]]), left[count:]
                if token == "38":
                    self.pen = self.pen._replace(foreground=color)
                else:
                    self.pen = self.pen._replace(background=color)
            elif re.fullmatch("[39][0-7]|39", token):
                self.pen = self.pen._replace(foreground="" if token == "39" else token)
            elif re.fullmatch("(4|10)[0-7]|49", token):
                self.pen = self.pen._replace(background="" if token == "49" else token)
            elif token in _OFF:
                self.pen = self.pen._replace(attributes=self.pen.attributes - _OFF[token])
            else:
                assert token in ("1", "2", "3", "4", "5", "7", "8", "9"), f"attribute {token}"
                self.pen = self.pen._replace(attributes=self.pen.attributes | {token})

    def _erase(self, count: int) -> None:
        for x in range(self.x, self.x + count):
            self._put(x, Cell(" ", background=self.pen.background if self.erases_colored else ""))

    def _shift(self, by: int) -> None:
        top, bottom = self._region
        assert self.y == top, "rows inserted or deleted in the middle"
        assert abs(by) <= bottom - top
        blank = Cell(" ", background=self.pen.background if self.erases_colored else "")
        left, right = self._columns or (0, self.width - 1)
        assert left <= self.x <= right, "rows moved from outside the margins"
        fresh = [[blank] * (right - left + 1) for _ in range(abs(by))]
        rows = [row[left : right + 1] for row in self.cells[top : bottom + 1]]
        rows = [*rows[by:], *fresh] if by > 0 else [*fresh, *rows[:by]]
        for row, moved in zip(self.cells[top : bottom + 1], rows, strict=True):
            assert HALF not in (row[left].text, *(cell.text for cell in row[right + 1 : right + 2]))
            row[left : right + 1] = moved

    def _draw(self, text: str) -> None:
        for start, end, width in clusters(text):
            assert width > 0, f"nothing to put {text[start:end]!r} on"
            if self.apart and (end - start > 1 or FLAG_LETTERS.match(text, start)):
                self._draw_apart(text[start:end])
                continue
            if self.narrow and (end - start > 1 or ord(text[start]) >= 0x1F000):
                width = 1
            assert self.x + width <= self.width, "a character over the edge"
            self._put(self.x, self.pen._replace(text=text[start:end]))
            if width == 2:
                self._put(self.x + 1, self.pen._replace(text=HALF), keep=True)
            self._is_at_edge = self.x + width == self.width
            self.x = min(self.width - 1, self.x + width)

    def _draw_apart(self, cluster: str) -> None:
        for character in cluster:
            is_wide = FLAG_LETTERS.match(character) or east_asian_width(character) == "W"
            width = 2 if is_wide else cell_len(character)
            for part in [character, HALF][:width]:
                self._put(self.x, self.pen._replace(text=part), keep=True)
                self.x = min(self.width - 1, self.x + 1)

    def _put(self, x: int, cell: Cell, *, keep: bool = False) -> None:
        row = self.cells[self.y]
        if row[x].text == HALF and not keep:
            row[x - 1] = row[x - 1]._replace(text=" ")
        if x + 1 < self.width and row[x + 1].text == HALF:
            row[x + 1] = row[x + 1]._replace(text=" ")
        row[x] = cell
