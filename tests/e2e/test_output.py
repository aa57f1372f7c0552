"""After each step the screen of a real terminal equals a full redraw."""

from __future__ import annotations

import random

import pytest

from broadcast_tui.tui.terminal.flow_control import ASK
from tests.e2e.conftest import Open, Other, ServerProcess
from tests.support.terminal import Terminal, program

CTRL_L, ESCAPE, F1, F8 = "\x0c", "\x1b[27u", "\x1bOP", "\x1b[19~"
"""Escape as in the kitty protocol: a lone ESC becomes a key after a delay, in which the program is idle."""
PAGES = ("\x1b[5~", "\x1b[6~", "\x1b[1;2A", "\x1b[1;2B", ESCAPE)
WORDS = ("some", "words", "漢字", "https://example.org/a", "é", "`code`", "*bold*", "ana", "word" * 20)


def redrawn(terminal: Terminal) -> list[list[tuple[str, ...]]]:
    """The cells after the terminal was cleared and Ctrl+L was pressed."""
    terminal.forget()
    terminal.type(CTRL_L)
    terminal.wait_until(lambda: terminal.text.strip(), "anything at all")
    terminal.wait_idle()
    return terminal.cells


def differing(row: list[tuple[str, ...]], right: list[tuple[str, ...]]) -> str:
    """The first cell that differs between two rows, and both rows from there on, as text."""
    x = next(x for x in range(len(row)) if row[x] != right[x])
    return f"{x}: {row[x]} {right[x]} {[''.join(cell[0] for cell in each[x:]) for each in (row, right)]}"


def act(terminal: Terminal, bob: Other, rng: random.Random) -> str:
    """Do one random thing that changes the screen; returns its description."""
    match rng.randrange(7):
        case 0 | 1:
            count = rng.choice((1, 1, 2, 5, 40))
            bob.say("\n".join(" ".join(rng.choices(WORDS, k=rng.randint(1, 20))) for _ in range(count)))
            return f"{count} rows"
        case 2:
            terminal.type(rng.choice(PAGES))
            return "a scroll"
        case 3:
            terminal.type(rng.choice(("typing", "漢字", "\x1b\r", "\x15")))
            return "typing"
        case 4:
            terminal.type(F8)
            return "people"
        case 5:
            terminal.type(rng.choice((F1, ESCAPE)))
            return "help"
        case _:
            size = rng.choice(((80, 24), (50, 12), (120, 30)))
            terminal.resize(*size)
            return f"a resize to {size}"


@pytest.mark.parametrize("output", ["fast", "textual"])
def test_each_screen_equals_a_full_redraw(
    server: ServerProcess, bob: Other, open_terminal: Open, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROADCAST_TUI_OUTPUT", output)
    terminal = open_terminal("chat", server.url, "--name", "ana")
    terminal.wait_for("Joined #lobby")
    rng = random.Random(5)
    for step in range(20 if output == "fast" else 5):
        done = act(terminal, bob, rng)
        terminal.wait_idle(server.process_id)
        before = terminal.cells
        after = redrawn(terminal)
        for y, (row, right) in enumerate(zip(before, after, strict=True)):
            assert row == right, f"row {y} after step {step}, {done}: {differing(row, right)}"
    assert (ASK.encode() in terminal.raw) is (output == "fast")
    assert (b"M\x1b[r" in terminal.raw) is (output == "fast")


def test_shell_receives_no_answers_to_queries_of_the_chat(
    server: ServerProcess, bob: Other, open_terminal: Open
) -> None:
    terminal = open_terminal(
        "sh",
        "-c",
        f"{program()[0]} chat {server.url} --name ana; stty -icanon -echo min 0 time 5; "
        "echo; echo left over: $(cat | od -c | head -1) end",
    )
    terminal.wait_for("Joined #lobby")
    bob.say("\n".join(f"row {n}" for n in range(60)))
    terminal.wait_for("52 more lines")
    terminal.enter("/quit")
    terminal.wait_for("left over:", "end")
    assert "left over: 0000000 end" in terminal.text
