"""The chat in real terminals of several sizes: keys in, screen out."""

from __future__ import annotations

import random
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Open, Other, ServerProcess
from tests.support.terminal import Terminal, left_clean, program

SIZES = [(80, 24), (40, 10), (200, 50)]
PAGE_UP, ESCAPE, UP, F1, TAB = "\x1b[5~", "\x1b", "\x1b[A", "\x1bOP", "\t"
ALT_ENTER, CTRL_C, CTRL_D, CTRL_Q, CTRL_U = "\x1b\r", "\x03", "\x04", "\x11", "\x15"
CTRL_G, CTRL_L, CTRL_Z, F5, F6 = "\x07", "\x0c", "\x1a", "\x1b[15~", "\x1b[17~"

COVERED_KEYS = frozenset(
    (
        *(
            "app.show-help",
            "app.open-palette",
            "app.open-settings",
            "app.quit-chat",
            "app.interrupt",
            "app.leave-empty",
        ),
        *("app.suspend-process", "app.redraw-screen", "app.reconnect-now", "composer.close-list"),
    )
)
"""Keys covered by the tests below."""


@pytest.fixture
def ana(server: ServerProcess, bob: Other, open_terminal: Open) -> Terminal:
    """A terminal of 80x24 in which ana chats with bob."""
    terminal = open_terminal("chat", server.url, "--name", "ana")
    terminal.wait_for("2 here", "Joined #lobby")
    return terminal


def log_rows(terminal: Terminal) -> list[str]:
    """The rows of the log without the scrollbar and the badge, and without the last one.

    The badge is in the last row, or above the list of suggestions.
    """
    status = next(n for n, line in enumerate(terminal.lines) if re.match(r" #lobby .*●", line))
    return [
        re.sub(r"\s*(?:↓ (?:Esc Latest|\d+ new))?\s*[▁▂▃▄▅▆▇█]?\s*(?:\d+ here|ana \(you\)|bob)?$", "", line)
        for line in terminal.lines[: status - 1]
    ]


def toast(terminal: Terminal) -> str:
    """The text of the toast, joined to one line."""
    return " ".join(line.partition("▌ ")[2].rstrip("─ ") for line in terminal.lines if "▌ " in line)


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_first_session_from_login_to_scrolling_back(
    server: ServerProcess, bob: Other, open_terminal: Open, columns: int, rows: int
) -> None:
    ana = open_terminal("chat", server.url, columns=columns, rows=rows)
    ana.wait_for("Your name", "Other people will see this name")
    ana.enter("system")
    ana.wait_for("reserved")
    ana.enter(f"{CTRL_U}ana")
    ana.wait_for("● online", "2 here")
    ana.enter("hello from ana")
    ana.wait_for("hello from ana")
    bob.read_until("hello from ana")
    # Posts of three rows are not folded, not even in the smallest terminal.
    for start in range(1, 70, 3):
        bob.say("\n".join(f"row {n} of many" for n in range(start, start + 3)))
    ana.wait_for("row 69 of many")
    ana.type(f"{PAGE_UP}{PAGE_UP}/quit")
    ana.wait_for("Quit the chat")
    ana.wait_gone("row 69 of many")
    before = log_rows(ana)
    for n in range(3):
        bob.say(f"news {n}")
    ana.type(ESCAPE)
    ana.wait_gone("Quit the chat")
    ana.wait_for("↓ 3 new")
    assert log_rows(ana) == before
    assert "news" not in ana.text
    ana.type(ESCAPE)
    ana.wait_for("news 0", "news 2")
    ana.wait_gone("3 new")
    ana.type("\r")
    assert ana.wait_exit() == 0
    assert left_clean(bytes(ana.raw))


def test_screen_is_unchanged_after_many_resizes(bob: Other, ana: Terminal) -> None:
    # Emulators disagree on the width of a family emoji, so it is scrolled out when screens are compared.
    bob.say("👩‍👩‍👧‍👦 🏳️‍🌈🇩🇪" * 20)
    bob.say("漢字かな" * 30)
    bob.say("😀🎉" * 40 + "é" * 80)
    bob.say("word-" * 120)
    bob.say("some\nmore\nrows")
    bob.say("the end of it")
    ana.type("漢字 👍🏽 half written")
    ana.wait_for("the end of it", "half written")
    before = ana.lines
    chance = random.Random(7)
    sizes = [(1, 1), (300, 100), (2, 2), (1, 100), (300, 1), (3, 5), (20, 7), (21, 8), (59, 19), (61, 20)]
    sizes += [(chance.randint(1, 300), chance.randint(1, 100)) for _ in range(30)]
    for columns, rows in sizes:
        ana.resize(columns, rows)
        ana.read(0.02)
    ana.resize(80, 24)
    ana.wait_until(lambda: ana.lines == before, "the screen as it was before")
    ana.enter("")
    bob.read_until("漢字 👍🏽 half written")
    ana.enter("/quit")
    assert ana.wait_exit() == 0


def test_general_commands(bob: Other, ana: Terminal) -> None:
    ana.enter("/help")
    ana.wait_for("Talking: /me, /shrug, /msg", "/nick", "/quit", "F1 opens")
    ana.enter("/clear")
    ana.wait_gone("/quit")
    ana.enter("/help nick")
    ana.wait_for("Example: /nick ana")
    ana.enter("/who")
    ana.wait_for("2 here: ana (you), bob")
    ana.enter("/mute")
    ana.wait_for("#lobby is muted")
    ana.enter("/unmute")
    ana.wait_for("#lobby notifies you of mentions")
    ana.enter("/notify all")
    ana.wait_for("#lobby notifies you of every post")
    ana.enter("/notify test")
    ana.wait_for("Sent the bell")
    assert b"This is a test" in ana.raw
    ana.enter("/me waves")
    ana.wait_for("* │ ana waves")
    bob.read_until("/me waves")
    ana.enter("/nick anna")
    ana.wait_for("You are now known as anna")
    ana.enter("/nick bob")
    ana.wait_for("taken")
    ana.enter("/nick <b>")
    ana.wait_for("letters")
    ana.type(CTRL_C)
    ana.enter("/wohs")
    ana.wait_until(lambda: "No such command: /wohs. Did you mean /whois?" in toast(ana), "an offer")
    assert "/wohs" in ana.lines[-2]
    ana.type(CTRL_C)
    ana.enter("//wohs and more")
    assert bob.read_until("/wohs and more") == []


def test_lines_are_completed_recalled_wrapped_and_pasted(bob: Other, ana: Terminal) -> None:
    ana.type(f"bo{TAB}hello\r")
    bob.read_until("bob: hello")
    ana.type(f"/wh{TAB}\r")
    ana.wait_for("2 here: ana (you), bob")
    ana.type(f"{UP}")
    ana.wait_for("Editing")  # her last post; above it come the lines that she typed
    ana.type(f"{UP}{UP}, again\r")
    bob.read_until("bob: hello, again")
    ana.type(f"one{ALT_ENTER}two")
    ana.wait_for("one", "two")
    ana.type("\r")
    assert bob.read_until("one\ntwo") == []
    ana.paste("line 1\r\nline 2\nline 3\rline 4\nline 5")
    ana.wait_for("line 1", "line 5")
    ana.type(" and more\r")
    assert bob.read_until("line 1\nline 2\nline 3\nline 4\nline 5 and more") == []
    ana.type(f"never sent{CTRL_C}sent")
    ana.type("\r")
    assert bob.read_until("sent") == []


def test_help_opens_and_closes(bob: Other, ana: Terminal) -> None:
    ana.type("half written")
    ana.wait_for("half written")
    ana.type(F1)
    ana.wait_for("Esc Close", "Keys to know first", "Ctrl+Q")
    ana.type("\x1b[6~")
    ana.wait_for("Commands: Talking", "/me <action>")
    bob.say("while you read")
    ana.type(ESCAPE)
    ana.wait_gone("Esc Close")
    ana.wait_for("half written", "while you read")
    ana.type("\r")
    assert bob.read_until("half written") == []


@pytest.mark.parametrize(
    "keys",
    [CTRL_Q, "/quit\r", CTRL_C + CTRL_C, CTRL_D + CTRL_D],
    ids=["Ctrl+Q", "/quit", "Ctrl+C twice", "Ctrl+D twice"],
)
def test_quitting_restores_the_terminal(bob: Other, ana: Terminal, keys: str) -> None:
    ana.type(keys)
    assert ana.wait_exit() == 0
    assert left_clean(bytes(ana.raw))
    assert b"broadcast-tui:" not in ana.raw


def test_a_key_opens_and_closes_the_settings(ana: Terminal) -> None:
    ana.type(F6)
    ana.wait_for("Time of posts")
    ana.type(F6)
    ana.wait_gone("Time of posts")


def test_command_palette_runs_a_command(ana: Terminal) -> None:
    ana.type(CTRL_G)
    ana.wait_for("Search for commands")
    ana.type("/who\r")
    ana.wait_for("2 here: ana (you), bob")


def test_ctrl_l_redraws_the_screen(ana: Terminal) -> None:
    ana.type("half written")
    ana.wait_for("half written")
    ana.forget()
    assert "half written" not in ana.text
    ana.type(CTRL_L)
    ana.wait_for("half written", "● online", "Joined #lobby")


def test_f5_reconnects_at_once(server: ServerProcess, ana: Terminal) -> None:
    server.kill()
    ana.wait_for("reconnecting in")
    server.start()
    ana.type(F5)
    ana.wait_for("● online", "Back online")


def test_ctrl_z_suspends_and_fg_resumes(server: ServerProcess, open_terminal: Open) -> None:
    shell = open_terminal("bash", "--norc", "--noprofile", "-i")
    shell.enter("PS1='shell> '")
    shell.enter(f"{' '.join(program('chat', server.url, '--name', 'ana'))}; echo status $?")
    shell.wait_for("● online", "Joined #lobby")
    shell.type("half written")
    shell.wait_for("half written")
    shell.type(CTRL_Z)
    shell.wait_for("Stopped")
    assert b"\x1b[23;0t" in bytes(shell.raw).partition(b"Stopped")[0], "the title is restored"
    assert left_clean(bytes(shell.raw).partition(b"Stopped")[0])
    shell.forget()
    shell.enter("fg")
    shell.wait_for("half written", "● online", "Joined #lobby")
    shell.type(f"{CTRL_U}/quit\r")
    shell.wait_until(lambda: shell.raw.count(b"\x1b[?1049l") == 2, "the chat's end")
    shell.wait_until(lambda: b"shell> " in shell.raw.rpartition(b"\x1b[?1049l")[2], "the shell again")
    shell.forget()
    shell.enter("echo left $((40 + 2))")
    shell.wait_for("left 42")
    assert left_clean(bytes(shell.raw).partition(b"left 42")[0])


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGTERM, "terminated"), (signal.SIGHUP, "the terminal is gone")]
)
def test_signal_restores_the_terminal_and_prints_the_reason(
    ana: Terminal, number: signal.Signals, words: str
) -> None:
    ana.type("half written")
    ana.wait_for("half written")
    ana.signal(number)
    assert ana.wait_exit() == 128 + number
    assert left_clean(bytes(ana.raw))
    assert bytes(ana.raw).count(f"broadcast-tui: {words}".encode()) == 1


def test_crash_prints_one_line_and_restores_the_terminal(tmp_path: Path, open_terminal: Open) -> None:
    ana = open_terminal(sys.executable, "-m", "tests.support.chat_program", str(tmp_path), "ana")
    ana.wait_for("Joined #lobby")
    ana.enter("crash")
    assert ana.wait_exit() == 1
    assert left_clean(bytes(ana.raw))
    after = bytes(ana.raw).decode().rpartition("\x1b[?1049l")[2]
    printed = re.sub(r"\x1b(?:\][^\x07]*\x07|\[[0-?]*[ -/]*[@-~])", "", after)
    assert printed.startswith("broadcast-tui: internal error: ")
    assert printed.endswith(f"{tmp_path / 'crash.log'}\r\n")
    assert printed.count("\n") == 1
