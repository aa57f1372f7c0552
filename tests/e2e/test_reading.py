"""Selecting, copying, finding and searching in a real terminal."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from tests.e2e.conftest import Open, Other, ServerProcess
from tests.e2e.test_terminals import CTRL_C, ESCAPE, PAGE_UP, UP, toast
from tests.support.terminal import Terminal

ALT, DOWN, PAGE_DOWN, LINE_UP, LINE_DOWN = "\x1b", "\x1b[B", "\x1b[6~", "\x1b[1;2A", "\x1b[1;2B"
CTRL_HOME = "\x1b[1;5H"
ALT_UP, ALT_L, ALT_M, CTRL_F = "\x1b[1;3A", "\x1bl", "\x1bm", "\x06"
NO_DESKTOP = dict.fromkeys(
    ("TMUX", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "WSL_DISTRO_NAME"), ""
)


COVERED_KEYS = frozenset(
    (
        *("log.page-up", "log.page-down", "log.line-up", "log.line-down", "log.go-top", "log.go-bottom"),
        *("log.previous-mention", "log.next-mention", "log.pick-post", "log.find-text", "log.show-bare"),
        "log.toggle-mouse",
        *("pick.move-older", "pick.move-newer", "pick.page-older", "pick.page-newer", "pick.go-first"),
        *("pick.go-last", "pick.match-older", "pick.match-newer", "pick.copy-text", "pick.copy-stamped"),
        *("pick.open-link", "pick.inspect-post", "pick.leave-picking"),
        *("find.step-older", "find.step-newer", "find.stay-here", "find.go-back"),
    )
)
"""Keys covered by the tests below."""


def copied(terminal: Terminal) -> list[str]:
    """The texts copied by OSC 52."""
    return [
        base64.b64decode(found).decode()
        for found in re.findall(rb"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07", bytes(terminal.raw))
    ]


def mouse(kind: int, x: int, y: int, up: bool = False) -> str:
    """A mouse report for the cell (x, y), from 0."""
    return f"\x1b[<{kind};{x + 1};{y + 1}{'m' if up else 'M'}"


def place_of(terminal: Terminal, text: str) -> tuple[int, int]:
    """Column and row of `text` on the screen."""
    for y, line in enumerate(terminal.lines):
        if text in line:
            return line.index(text), y
    raise AssertionError(f"{text!r} is not on the screen:\n{terminal.text}")


def chat(
    server: ServerProcess, open_terminal: Open, columns: int = 80, rows: int = 24, **more: str
) -> Terminal:
    """A terminal in which ana chats, without a desktop; `more` is added to the environment."""
    words = ("chat", server.url, "--name", "ana")
    terminal = open_terminal(*words, columns=columns, rows=rows, environment=NO_DESKTOP | more)
    terminal.wait_for("● online")
    return terminal


def test_selected_post_is_copied_by_osc_52(server: ServerProcess, bob: Other, open_terminal: Open) -> None:
    ana = chat(server, open_terminal)
    bob.say("first\nof two rows 漢字")
    bob.say("second")
    ana.wait_for("second")
    ana.type("draft")
    ana.wait_for("draft")
    ana.type(f"{ALT_UP}ky")
    ana.wait_until(lambda: copied(ana), "OSC 52")
    assert copied(ana) == ["first\nof two rows 漢字"]
    ana.wait_until(lambda: "Copied 1 post (OSC 52)" in toast(ana), "what was copied")
    ana.type("jY")
    ana.wait_until(lambda: len(copied(ana)) == 2, "OSC 52")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d bob: second", copied(ana)[1])
    ana.type("i")
    ana.wait_for("No hidden or look-alike", "UTC")
    ana.type(ESCAPE)
    ana.wait_gone("No hidden or look-alike")
    ana.type(ESCAPE)
    ana.wait_gone("▶")
    ana.wait_for("draft")


def test_log_scrolls_by_keys(server: ServerProcess, bob: Other, open_terminal: Open) -> None:
    ana = chat(server, open_terminal)
    for start in range(0, 60, 5):
        bob.say("\n".join(f"row {n}." for n in range(start, start + 5)))
        # At the end, the later one is above the view, too.
        if start in (15, 30):
            bob.say({15: "ana: early", 30: "ana: late"}[start])
    ana.wait_for("row 59.")
    ana.type(PAGE_UP)
    ana.wait_gone("row 59.")
    ana.type(PAGE_DOWN)
    ana.wait_for("row 59.")
    ana.type(LINE_UP)
    ana.wait_gone("row 59.")
    ana.type(LINE_DOWN)
    ana.wait_for("row 59.")
    ana.type(CTRL_HOME)
    ana.wait_for("bob is here", "row 0.")
    ana.type(ESCAPE)
    ana.wait_for("row 59.")
    assert "ana: late" not in ana.text
    ana.type(f"{ALT}p")
    ana.wait_for("ana: late")
    ana.type(f"{ALT}p")
    ana.wait_for("ana: early")
    ana.type(f"{ALT}n")
    ana.wait_for("ana: late")


def picked(terminal: Terminal, text: str) -> None:
    terminal.wait_until(lambda: any("▶" in row and text in row for row in terminal.lines), f"{text}, picked")


def test_posts_are_selected_by_keys(server: ServerProcess, bob: Other, open_terminal: Open) -> None:
    ana = chat(server, open_terminal, rows=12)
    for n in range(25):
        bob.say("see https://example.org/a" if n == 24 else f"tea {n}." if n in (8, 16) else f"row {n}.")
    ana.wait_for("https://example.org/a")
    ana.type(ALT_UP)
    picked(ana, "https://example.org/a")
    ana.type("g")
    picked(ana, "bob is here")
    ana.type(2 * PAGE_DOWN)
    ana.wait_gone("bob is here")
    ana.type(2 * PAGE_UP)
    ana.wait_for("bob is here")
    ana.type("G")
    picked(ana, "https://example.org/a")
    ana.type(ESCAPE)
    ana.wait_gone("▶")
    # The selected post is in the top row, which the find bar covers.
    ana.type(f"{CTRL_F}tea")
    picked(ana, "tea 16.")
    ana.type(UP)
    picked(ana, "tea 8.")
    ana.type(DOWN)
    picked(ana, "tea 16.")
    ana.type("\r")
    ana.wait_for("n next")
    ana.type("n")
    picked(ana, "tea 8.")
    ana.type("N")
    picked(ana, "tea 16.")
    ana.type("G")
    picked(ana, "https://example.org/a")
    # This comes last, because the toast covers posts for seconds.
    ana.type("o")
    ana.wait_until(lambda: "No browser available" in toast(ana), "why it is not opened")


def test_mouse_selection_is_copied_without_gutters(
    server: ServerProcess, bob: Other, open_terminal: Open
) -> None:
    ana = chat(server, open_terminal)
    bob.say("see the wide 漢字 here")
    bob.say("and the next")
    ana.wait_for("and the next")
    x, y = place_of(ana, "wide")
    ana.type(mouse(0, x, y) + mouse(32, x + 2, y + 1) + mouse(0, x + 2, y + 1, up=True))
    ana.type(CTRL_C)
    ana.wait_until(lambda: copied(ana), "OSC 52")
    assert copied(ana)[0].startswith("bob: wide 漢字 here\nbob: and the n")
    ana.wait_until(lambda: "Copied 2 posts (OSC 52)" in toast(ana), "what was copied")


def test_text_is_also_copied_by_the_clipboard_program(
    server: ServerProcess, bob: Other, open_terminal: Open, tmp_path: Path
) -> None:
    tool = tmp_path / "xclip"
    tool.write_text(f'#!/bin/sh\ncat > "{tmp_path}/got.part"\nmv "{tmp_path}/got.part" "{tmp_path}/got"\n')
    tool.chmod(0o755)
    ana = chat(server, open_terminal, DISPLAY=":7", PATH=f"{tmp_path}:/usr/bin:/bin")
    bob.say("to be copied")
    ana.wait_for("to be copied")
    ana.type(f"{ALT_UP}y")
    ana.wait_until(lambda: "Copied 1 post (OSC 52, xclip)" in toast(ana), "both ways")
    assert (tmp_path / "got").read_text() == "to be copied"


def test_find_works_in_a_small_terminal(server: ServerProcess, bob: Other, open_terminal: Open) -> None:
    ana = chat(server, open_terminal, columns=40, rows=10)
    for n in range(25):
        bob.say(f"tea {n}" if n % 5 else f"Deploy {n}")
    ana.wait_for("tea 24")
    ana.type(f"{PAGE_UP}")
    ana.wait_gone("tea 24")
    before = ana.lines
    ana.type(f"{CTRL_F}deploy")
    ana.wait_for("/5", "▶")
    ana.type(UP)
    ana.wait_until(lambda: re.search(r"[2-5]/5", ana.text), "an older match")
    ana.type(ESCAPE)
    ana.wait_until(lambda: ana.lines == before, "the screen as it was")
    ana.type(f"{CTRL_F}deploy\r")
    ana.wait_for("n next", "▶")


def test_search_result_is_shown_in_the_log(server: ServerProcess, bob: Other, open_terminal: Open) -> None:
    bob.say("the needle is here")
    for n in range(28):
        bob.say(f"hay {n}")
    ana = chat(server, open_terminal)
    ana.wait_for("hay 27")
    ana.enter("/search needle")
    ana.wait_for("Search #lobby: needle", "1 result")
    ana.type("\r")
    ana.wait_until(lambda: any("▶" in row and "needle" in row for row in ana.lines), "the post, picked")
    assert "Search #lobby" not in ana.text


def test_bare_view_releases_and_captures_the_mouse(
    server: ServerProcess, bob: Other, open_terminal: Open
) -> None:
    ana = chat(server, open_terminal)
    bob.say("nothing but text")
    ana.wait_for("nothing but text")
    held = len(ana.raw)
    ana.type(ALT_L)
    ana.wait_until(lambda: "bob: nothing but text" in ana.lines, "the text alone")
    ana.wait_until(lambda: b"\x1b[?1000l" in bytes(ana.raw)[held:], "the mouse, given away")
    assert "online" not in ana.text
    ana.type(ALT_L)
    ana.wait_for("● online")
    ana.wait_until(lambda: b"\x1b[?1000h" in bytes(ana.raw)[held:], "the mouse, taken back")
    held = len(ana.raw)
    ana.type(ALT_M)
    ana.wait_until(lambda: "Mouse off" in toast(ana), "whose mouse it is")
    ana.wait_until(lambda: b"\x1b[?1000l" in bytes(ana.raw)[held:], "the mouse, given away")
    ana.enter("/quit")
    assert ana.wait_exit() == 0
