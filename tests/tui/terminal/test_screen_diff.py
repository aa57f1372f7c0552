from __future__ import annotations

import random
import re

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from broadcast_tui.tui.terminal.cells import CellStyle, GlyphTable, Row
from broadcast_tui.tui.terminal.screen_diff import ScreenDiff
from tests.support.profile import by_profile
from tests.support.strict_screen import Cell, StrictScreen

RED = CellStyle(("1",), "31", "")
BLUE = CellStyle((), "38;2;1;2;3", "48;2;9;9;9")
STYLES = [
    CellStyle(),
    RED,
    BLUE,
    CellStyle(("3",), "", "48;5;17"),
    CellStyle(("4", "7"), "32", "42"),
    CellStyle(("7",), "38;2;1;2;3", "44"),
    CellStyle(("1", "2"), "31"),
    CellStyle(link="id=1;http://a.b"),
]
TEXTS = [
    "a",
    "hello, world",
    " " * 30,
    "漢字 is wide",
    "é️ e\u0301",
    "👩‍👩‍👧‍👦 😀!",
    "🇩🇪🇫🇷 🇨",
    "│ ── …",
    "x" * 9,
    "ab  cd",
]


class Terminal:
    """A diff and the screen that its output goes to."""

    def __init__(
        self,
        width: int,
        height: int,
        *,
        bce: bool = True,
        narrow: bool = False,
        apart: bool = False,
        margins: bool = False,
    ) -> None:
        self.glyphs = GlyphTable()
        self.diff = ScreenDiff(width, height, self.glyphs, erases_colored=bce)
        self.diff.has_margins = margins
        self.screen = StrictScreen(
            width, height, erases_colored=bce, narrow=narrow, apart=apart, has_margins=margins
        )
        self.blank = self.row(" " * width)

    def row(self, text: str, style: CellStyle = CellStyle()) -> Row:  # noqa: B008
        return self.glyphs.row(text, self.glyphs.intern(style))

    def fill(self, y: int, text: str = "", style: CellStyle = CellStyle()) -> None:  # noqa: B008
        self.diff.put(y, 0, self.blank)
        self.diff.put(y, 0, self.row(text, style))

    def write(self, only: list[int] | None = None) -> str:
        written = self.diff.changes((0, 0), only)
        self.screen.feed(written)
        assert self.screen.is_scrolled_whole
        assert self.screen.pen.link == ""
        return written

    def redrawn(self) -> StrictScreen:
        """The screen with the same content, written to a terminal in an unknown state."""
        fresh = ScreenDiff(self.diff.width, self.diff.height, self.glyphs, erases_colored=False)
        for y, row in enumerate(self.diff._target):
            fresh.put(y, 0, row)
        screen = StrictScreen(self.diff.width, self.diff.height, erases_colored=False)
        screen.feed(fresh.changes((0, 0)))
        return screen


def test_nothing_is_written_for_cells_that_are_up_to_date() -> None:
    terminal = Terminal(40, 4)
    for y in range(4):
        terminal.fill(y, f"row {y}", RED)
    assert terminal.write() != ""
    assert [line.rstrip() for line in terminal.screen.lines] == ["row 0", "row 1", "row 2", "row 3"]
    terminal.fill(2, "row 2", RED)
    assert terminal.diff.changed_rows == []
    assert terminal.write() == ""


def test_a_letter_costs_a_move_and_its_style() -> None:
    terminal = Terminal(120, 3)
    for y in range(3):
        terminal.fill(y, "some text that stays", BLUE)
    terminal.write()
    terminal.fill(1, "some texT that stays", BLUE)
    assert terminal.write() == "\x1b[2;9HT\x1b[H"
    terminal.fill(0, "Some text that stays", RED)
    terminal.write()
    terminal.fill(1, "some tExT that stays", BLUE)
    assert terminal.write() == "\x1b[2;7H\x1b[0;38;2;1;2;3;48;2;9;9;9mE\x1b[H"


def test_the_terminal_scrolls_rows_that_moved_up() -> None:
    terminal = Terminal(80, 10)
    lines = [f"line {n}: {'some words ' * (n % 4)}" for n in range(30)]
    for n in range(20):
        for y in range(8):
            terminal.fill(y, lines[n + y], BLUE)
        terminal.fill(9, "> input")
        written = terminal.write()
        if n:
            assert written.startswith("\x1b[;8r\x1b[M\x1b[r")
            assert len(written) < 130
    assert [line.rstrip() for line in terminal.screen.lines[:8]] == [line.rstrip() for line in lines[19:27]]


@pytest.mark.parametrize("margins", [False, True])
@pytest.mark.parametrize("by", [1, 3, -1, -4])
@pytest.mark.parametrize("left", [0, 8])
def test_cells_beside_moved_rows_stay(by: int, left: int, margins: bool) -> None:
    terminal = Terminal(60, 12, margins=margins)
    lines = [f"line {n} {chr(97 + n % 26) * (20 + n % 3)}" for n in range(40)]
    for start in (10, 10 + by):
        for y in range(10):
            terminal.diff.put(y, 0, terminal.row(f"{'room ' + str(y):{left}}"[:left], RED))
            terminal.diff.put(y, left, terminal.row(f"{lines[start + y]:45}", BLUE))
            terminal.diff.put(y, left + 45, terminal.row(f"{'name ' + str(y) if y < 3 else '':15}"))
        for y in (10, 11):
            terminal.fill(y, "status")
        written = terminal.write()
    assert re.search(rf"\x1b\[{abs(by) if abs(by) > 1 else ''}{'M' if by > 0 else 'L'}", written)
    assert (f"\x1b[?69h\x1b[{left + 1};{left + 45}s" in written) is margins
    assert ("name" in written) is not margins
    assert terminal.screen.lines[0][left:].startswith(lines[10 + by])
    assert terminal.screen.lines[2].rstrip().endswith("name 2")
    assert terminal.screen.seen == terminal.redrawn().seen


def test_margins_never_cut_a_wide_character() -> None:
    terminal = Terminal(40, 10, margins=True)
    lines = [f"line {n} {chr(97 + n % 26) * 20}" for n in range(20)]
    for start in (0, 1):
        for y in range(10):
            terminal.diff.put(y, 0, terminal.row(f"{lines[start + y]:30}"))
            terminal.diff.put(y, 30, terminal.row("beside    ", RED))
        if not start:
            terminal.diff.put(4, 25, terminal.row("a 漢字"))
            terminal.diff.put(4, 29, terminal.row("漢"))
        written = terminal.write()
    assert "\x1b[M" in written
    assert "\x1b[?69h" not in written
    assert terminal.screen.seen == terminal.redrawn().seen


def test_a_row_with_something_over_its_beginning_moves_too() -> None:
    """The first row of the log has the sender of a post that began above."""
    terminal = Terminal(80, 12)
    lines = [f"{'':9}line {n} {chr(97 + n % 26) * 40}" for n in range(30)]
    for start in range(3):
        for y in range(12):
            terminal.fill(y, lines[start + y], BLUE)
        terminal.diff.put(0, 0, terminal.row(f"user {start}", RED))
        written = terminal.write()
        if start:
            assert written.startswith("\x1b[;12r\x1b[M")
            assert "line" not in written.replace(lines[start + 11].strip(), "")
    assert terminal.screen.seen == terminal.redrawn().seen


def test_the_background_of_the_pen_changes_once_for_each_widget() -> None:
    terminal = Terminal(60, 8)
    for text in ("one", "two"):
        for y in range(8):
            terminal.diff.put(y, 0, terminal.row(f"{text:30}", CellStyle(background="41")))
            terminal.diff.put(y, 30, terminal.row(f"{text:30}", CellStyle(background="42")))
        written = terminal.write()
    # It begins with the one that the pen has.
    assert (written.count("41"), written.count("42")) == (1, 0)
    assert terminal.screen.seen == terminal.redrawn().seen


def test_the_cursor_moves_relatively_where_that_is_shorter() -> None:
    terminal = Terminal(120, 3)
    for text in ("before", "after "):
        for y in range(3):
            terminal.fill(y)
        terminal.diff.put(0, 100, terminal.row(text[:1] + " " * 10 + text[1:]))
        written = terminal.write()
    assert written == "\x1b[;101Ha\x1b[10Cfter \r"
    terminal.diff.put(0, 100, terminal.row(" " * 17))
    terminal.diff.put(1, 100, terminal.row("x"))
    assert terminal.write() == "\x1b[;101H \x1bD\bx\x1b[;112H    \r"


def test_a_blank_only_changes_the_background_of_the_pen() -> None:
    terminal = Terminal(40, 1)
    terminal.fill(0)
    terminal.write()
    terminal.diff.put(0, 0, terminal.row("ab", CellStyle(("1",), "31", "41")))
    terminal.diff.put(0, 2, terminal.row("   ", CellStyle(("7",), "38;2;1;2;3", "42")))
    terminal.diff.put(0, 5, terminal.row("ba", CellStyle(("1",), "31", "41")))
    assert terminal.write() == "\x1b[;3H\x1b[48;2;1;2;3m   \x1b[1;31;41mba\rab\r"
    assert terminal.screen.seen == terminal.redrawn().seen


def test_a_color_on_two_backgrounds_is_set_once() -> None:
    terminal = Terminal(60, 6)
    grey = "38;2;90;90;90"
    log, people = CellStyle((), grey, "41"), CellStyle((), grey, "42")
    for n in range(4):
        for y in range(6):
            terminal.diff.put(y, 0, terminal.row(f"{f'time {n}':20}", log))
            terminal.diff.put(y, 20, terminal.row(f"{f'post {n}':20}", CellStyle((), "38;2;1;1;1", "41")))
            terminal.diff.put(y, 40, terminal.row(f"{f'name {n}':10}", CellStyle((), "38;2;2;2;2", "42")))
            terminal.diff.put(y, 50, terminal.row(f"{f'away {n}':10}", people))
        written = terminal.write()
        if n:
            assert written.count(grey) == 1
            assert len(re.findall("4[12]m", written)) == 1
    assert terminal.screen.seen == terminal.redrawn().seen


def test_cells_after_a_cluster_are_written_after_it() -> None:
    """Terminals that draw it wider would draw over them."""
    terminal = Terminal(40, 1, apart=True)
    for text in ("one", "two"):
        terminal.fill(0)
        terminal.diff.put(0, 0, terminal.row("👩‍👩‍👧‍👦" if text == "two" else "ab", RED))
        terminal.diff.put(0, 2, terminal.row(text, BLUE))
        terminal.write()
    assert terminal.screen.lines[0][-38:].rstrip() == "two"


def test_the_pen_stays_between_frames_but_not_within_a_link() -> None:
    terminal = Terminal(40, 2)
    terminal.fill(0)
    terminal.fill(1)
    terminal.write()
    terminal.fill(0, "here", CellStyle((), "31", "41", "id=1;http://a.b"))
    assert terminal.write() == "\x1b[H\x1b[31;41m\x1b]8;id=1;http://a.b\x1b\\here\x1b]8;;\x1b\\\r"
    terminal.fill(1, "x", CellStyle((), "31", "41"))
    assert terminal.write() == "\x1b[2Hx\x1b[H"
    terminal.diff.invalidate()
    assert "\x1b[m" in terminal.write()[:12]


def test_blanks_are_erased_if_that_keeps_their_color() -> None:
    for bce, style, erased in [(True, BLUE, True), (False, BLUE, False), (False, RED, True)]:
        terminal = Terminal(80, 1, bce=bce)
        terminal.fill(0, "a" + " " * 30 + "b" + " " * 48, style)
        written = terminal.write()
        assert ("\x1b[30X" in written) is erased
        assert ("\x1b[K" in written) is erased
        assert terminal.screen.seen == terminal.redrawn().seen


def test_underlined_blanks_are_written() -> None:
    terminal = Terminal(30, 1)
    terminal.fill(0, " " * 30, CellStyle(("4",)))
    assert " " * 30 in terminal.write()


def test_after_a_scramble_everything_is_written_again() -> None:
    terminal = Terminal(30, 3)
    for y in range(3):
        terminal.fill(y, f"row {y}")
    terminal.write()
    terminal.screen.scramble(random.Random(1))
    terminal.diff.invalidate()
    assert terminal.diff.changed_rows == [0, 1, 2]
    terminal.write()
    assert [line.rstrip() for line in terminal.screen.lines] == ["row 0", "row 1", "row 2"]


def test_some_rows_can_be_written_first() -> None:
    terminal = Terminal(30, 4)
    for y in range(4):
        terminal.fill(y, f"row {y}")
    terminal.write(only=[3])
    assert [line.strip() for line in terminal.screen.lines] == ["", "", "", "row 3"]
    terminal.write()
    assert [line.strip() for line in terminal.screen.lines] == ["row 0", "row 1", "row 2", "row 3"]


def test_the_rest_of_the_row_is_right_if_emoji_are_narrow() -> None:
    terminal = Terminal(40, 1, narrow=True)
    terminal.fill(0, "before 👩‍👩‍👧‍👦 between 😀 after")
    terminal.write()
    terminal.fill(0, "before 👩‍👩‍👧‍👦 betweEn 😀 After")
    terminal.write()
    shown = "".join(cell.text for cell in terminal.screen.cells[0])
    assert shown.rstrip() == "before 👩‍👩‍👧‍👦  betweEn 😀  After"


@pytest.mark.parametrize(("second", "beside"), [("👩‍👩‍👦 ", " "), ("👩‍👩‍👧‍👦x", "x"), ("x  ", " ")])
def test_the_rest_of_the_row_is_right_if_cluster_parts_are_drawn_separately(second: str, beside: str) -> None:
    terminal = Terminal(60, 1, apart=True)
    terminal.fill(0, "before 👩‍👩‍👧‍👦  between 👩‍👩‍👦 and after")
    terminal.write()
    terminal.fill(0, f"before {second} between 👩‍👩‍👦 and after")
    terminal.write()
    shown = "".join(cell.text[0] for cell in terminal.screen.cells[0])
    assert shown[:7] == "before "
    assert shown[9:19] == f"{beside} between "
    assert shown[21:].rstrip() == " and after"


def test_wide_flag_letters_leave_no_trace() -> None:
    terminal = Terminal(40, 1, apart=True)
    terminal.fill(0, "before 🇩🇪 between 🇩🇪🇫🇷 and 🇨")
    terminal.write()
    shown = "".join(cell.text[0] for cell in terminal.screen.cells[0])
    assert (shown[:7], shown[9:18], shown[22:27]) == ("before ", " between ", " and ")
    assert shown[29:] == " " * 11
    terminal.fill(0, "after")
    terminal.write()
    assert terminal.screen.lines[0].rstrip() == "after"


def test_a_skin_tone_that_is_drawn_by_itself_leaves_no_trace() -> None:
    terminal = Terminal(20, 1, apart=True)
    for text in ("", "fine 👍🏽", "ok  👍🏽 yes"):
        terminal.fill(0, text)
        terminal.write()
        shown = "".join(cell.text[0] for cell in terminal.screen.cells[0])
        assert shown.replace("👍h", "👍🏽").rstrip() == text


def test_a_cluster_beside_an_unknown_cell_does_not_change_the_pen() -> None:
    terminal = Terminal(2, 2)
    terminal.diff.put(0, 0, terminal.row("é\ufe0f"))
    terminal.write()
    terminal.diff.put(1, 0, terminal.row("a", CellStyle(("1",), "31")))
    terminal.write()
    assert terminal.redrawn().cells[1][0] == terminal.screen.cells[1][0] == Cell("a", frozenset({"1"}), "31")


def test_control_characters_are_never_written() -> None:
    terminal = Terminal(40, 1)
    terminal.fill(0, "a\x1b[2Jb\x07\x9b31mc\u0301\x00")
    assert "\x1b[2J" not in terminal.write()
    assert terminal.screen.lines[0].rstrip() == "a[2Jb31mc\u0301"


@pytest.mark.parametrize("first", [*STYLES, CellStyle(("1", "3"), "31", "42"), CellStyle((), "31", "42")])
@pytest.mark.parametrize("second", [*STYLES, CellStyle(("1", "3"), "31", "42"), CellStyle((), "31", "42")])
def test_each_style_follows_any_other(first: CellStyle, second: CellStyle) -> None:
    screen = StrictScreen(10, 1)
    screen.feed(f"{first.change_from(CellStyle())}a{second.change_from(first)}b")
    alone = StrictScreen(10, 1)
    alone.feed(f"x{second.change_from(CellStyle())}b")
    assert screen.cells[0][1] == alone.cells[0][1]


@pytest.mark.parametrize(("x", "shown"), [(1, "漢x 語"), (2, "漢x 語"), (3, "漢 x語")])
def test_overwriting_half_of_a_wide_character_leaves_a_blank(x: int, shown: str) -> None:
    terminal = Terminal(6, 1)
    terminal.fill(0, "漢字語")
    terminal.write()
    terminal.diff.put(0, x, terminal.row("x"))
    terminal.write()
    assert terminal.screen.lines == [shown if x > 1 else " x字語"]


@pytest.mark.parametrize(
    ("sgr", "style"),
    [
        ("", CellStyle()),
        ("1;3", CellStyle(("1", "3"))),
        ("39;49", CellStyle()),
        ("9;38;2;1;2;3;48;5;7", CellStyle(("9",), "38;2;1;2;3", "48;5;7")),
        ("38;5;200;41", CellStyle((), "38;5;200", "41")),
        ("97;100", CellStyle((), "97", "100")),
    ],
)
def test_a_style_is_parsed_from_sgr(sgr: str, style: CellStyle) -> None:
    assert CellStyle.parse(sgr) == style


class Screens(RuleBasedStateMachine):
    """Any sequence of puts, scrolls, partial writes and lost screens ends with the right content."""

    @initialize(
        width=st.integers(1, 70),
        height=st.integers(1, 12),
        bce=st.booleans(),
        margins=st.booleans(),
        filled=st.booleans(),
    )
    def begin(self, width: int, height: int, bce: bool, margins: bool, filled: bool) -> None:
        self.terminal = Terminal(width, height, bce=bce, margins=margins)
        for y in range(height if filled else 0):
            self.terminal.fill(y)

    @rule(
        y=st.integers(0, 12), x=st.integers(0, 70), text=st.sampled_from(TEXTS), style=st.sampled_from(STYLES)
    )
    def put(self, y: int, x: int, text: str, style: CellStyle) -> None:
        self.terminal.diff.put(y, x, self.terminal.row(text, style))

    @rule(
        by=st.integers(-4, 4),
        share=st.integers(1, 10),
        text=st.sampled_from(TEXTS),
        style=st.sampled_from(STYLES),
    )
    def scroll(self, by: int, share: int, text: str, style: CellStyle) -> None:
        """Move the first columns of all rows."""
        diff = self.terminal.diff
        width = max(1, diff.width * share // 10)
        rows = [row.cut(width) for row in diff._target]
        new = self.terminal.row(f"{text:{width}}", style).cut(width)
        for y in range(diff.height):
            row = rows[y + by] if 0 <= y + by < diff.height else new
            if "\0" not in row.styles:
                diff.put(y, 0, row)

    @rule()
    def write(self) -> None:
        self.terminal.write()
        assert self.terminal.diff.changed_rows == []

    @rule(rows=st.lists(st.integers(0, 12)))
    def write_some(self, rows: list[int]) -> None:
        self.terminal.write(rows)

    @rule(seed=st.integers(0, 99), attributes=st.frozensets(st.sampled_from("1479")))
    def lose(self, seed: int, attributes: frozenset[str]) -> None:
        self.terminal.screen.scramble(random.Random(seed))
        self.terminal.screen.pen = Cell(" ", attributes, "31", "44")
        self.terminal.diff.invalidate()

    @invariant()
    def is_right(self) -> None:
        if not hasattr(self, "terminal") or self.terminal.diff.changed_rows:
            return
        shown, drawn = self.terminal.screen.seen, self.terminal.redrawn().seen
        for y, row in enumerate(self.terminal.diff._target):
            for x, style in enumerate(row.styles):
                assert style == "\0" or shown[y][x] == drawn[y][x], (y, x)


TestScreens = Screens.TestCase
TestScreens.settings = settings(max_examples=by_profile(40, 2_000), stateful_step_count=25, deadline=None)
