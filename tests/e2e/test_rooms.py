"""Rooms, people and every command, in a real terminal against a real server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from broadcast_tui.tui.commands.registry import COMMANDS
from broadcast_tui.tui.keymap import KEYS
from tests.e2e import test_replay
from tests.e2e.conftest import Open, Other, ServerProcess
from tests.e2e.test_terminals import CTRL_C, CTRL_U, TAB, toast
from tests.support.terminal import Terminal

ALT, CTRL_K, CTRL_N, CTRL_P = "\x1b", "\x0b", "\x0e", "\x10"
F7, F8, PAGE_UP, CTRL_END = "\x1b[18~", "\x1b[19~", "\x1b[5~", "\x1b[1;5F"
ALT_LEFT, ALT_RIGHT = "\x1b[1;3D", "\x1b[1;3C"

COVERED_COMMANDS = frozenset(
    (
        *("me", "shrug", "join", "part", "buffer", "list", "topic", "who", "whois", "nick", "away", "back"),
        *(
            "ignore",
            "unignore",
            "clear",
            "export",
            "set",
            "settings",
            "theme",
            "ping",
            "connect",
            "invite",
            "reconnect",
            "disconnect",
            "servers",
        ),
        *("help", "quit", "search", "kick", "ban", "unban", "mute-user", "unmute-user", "bans"),
        *("notify", "mute", "unmute", "msg", "query", "r"),
        *("reply", "edit", "replace", "delete", "react", "pin", "pins", "thread", "posts"),
        *("announce", "poll", "ask", "answer"),
    )
)
"""Commands covered by the tests below and in test_terminals, test_posts, test_direct_messages and
test_invites."""
COVERED_KEYS = frozenset(
    (
        *("room.switch", "room.next", "room.previous", "room.go-urgent", "room.go-last", "room.toggle-list"),
        *(f"room.go-{n}" for n in range(1, 10)),
        "people.toggle-list",
    )
)


@pytest.fixture
def ana(server: ServerProcess, bob: Other, open_terminal: Open) -> Terminal:
    """A wide terminal in which ana chats with bob."""
    terminal = open_terminal("chat", server.url, "--name", "ana", columns=120, rows=30)
    terminal.wait_for("2 here", "Joined #lobby")
    return terminal


def status(terminal: Terminal) -> str:
    return next((line for line in terminal.lines if re.match(r" #\S+ .*[●○◌◐]", line)), "")


def in_room(terminal: Terminal, room: str) -> None:
    terminal.wait_until(lambda: status(terminal).startswith(f" #{room} "), f"#{room} on the screen")


def warned(terminal: Terminal, text: str) -> None:
    """Wait for a warning, then clear the line that stays in the composer."""
    terminal.wait_until(lambda: text in toast(terminal), f"a warning: {text}")
    terminal.type(CTRL_C)


def test_every_command_and_room_key_is_covered() -> None:
    assert {command.name for command in COMMANDS} == COVERED_COMMANDS | test_replay.COVERED_COMMANDS
    assert {row.id for row in KEYS if row.area in ("room", "people")} == COVERED_KEYS


def test_alt_and_a_digit_shows_a_room(ana: Terminal) -> None:
    for number in range(2, 10):
        ana.enter(f"/join r{number}")
        in_room(ana, f"r{number}")
    for number in (3, 9, 2, 8, 4, 7, 5, 6):
        ana.type(f"{ALT}{number}")
        in_room(ana, f"r{number}")
    ana.type(f"{ALT}1")
    in_room(ana, "lobby")


def test_rooms_are_restored_at_the_next_start(
    server: ServerProcess, ana: Terminal, open_terminal: Open
) -> None:
    ana.enter("/join #dev")
    ana.wait_for("Joined #dev", "▸2 dev", " 1 lobby")
    ana.enter("said in dev")
    ana.wait_for("said in dev")
    ana.enter("/j ops")
    ana.wait_for("▸3 ops")
    for keys, room in [
        (f"{ALT}1", "lobby"),
        (f"{ALT}2", "dev"),
        (CTRL_N, "ops"),
        (CTRL_N, "lobby"),
        (CTRL_P, "ops"),
        (ALT_LEFT, "dev"),
        (ALT_RIGHT, "ops"),
        (f"{ALT}/", "dev"),
        (f"{ALT}klob\r", "lobby"),
        (f"{CTRL_K}ops\r", "ops"),
    ]:
        ana.type(keys)
        in_room(ana, room)
    ana.enter("/3")
    ana.enter("/buffer dev")
    in_room(ana, "dev")
    ana.type(f"dev draft{ALT}1")
    in_room(ana, "lobby")
    ana.wait_gone("dev draft")
    ana.type(f"{ALT}2")
    ana.wait_for("dev draft")
    ana.type(f"{CTRL_U}{F7}")
    ana.wait_gone("▸2 dev")
    ana.type(f"{F7}{F8}")
    ana.wait_for("▸2 dev")
    ana.wait_gone("ana (you)")
    ana.type(F8)
    ana.wait_for("ana (you)")
    ana.enter("/part ops")
    ana.wait_for("You left #ops")
    ana.enter("/part")
    in_room(ana, "lobby")
    ana.enter("/join")
    ana.wait_for("▸2 dev", "said in dev")
    ana.enter("/topic All about dev")
    ana.wait_for("ana set the topic to: All about dev")
    ana.enter("/topic")
    ana.wait_for("Topic of #dev: All about dev, set by ana")
    ana.enter("/list")
    ana.wait_for("* #dev", "All about dev", "1 here: ana (you)")
    ana.enter(f"/buffer{TAB}lob{TAB}")
    in_room(ana, "lobby")
    ana.type(f"{ALT}2")
    in_room(ana, "dev")
    ana.enter("/quit")
    assert ana.wait_exit() == 0
    again = open_terminal("chat", server.url, "--name", "ana", columns=120, rows=30)
    again.wait_for("▸2 dev", " 1 lobby", "said in dev", "All about dev")


ADMIN_COMMANDS = (
    "/kick bob",
    "/ban bob 1h rude",
    "/unban bob",
    "/mute-user bob 10m",
    "/unmute-user bob",
    "/bans",
)


def test_admin_commands_are_rejected_for_others(ana: Terminal) -> None:
    for typed in ADMIN_COMMANDS:
        ana.enter(typed)
        ana.wait_until(lambda: "Only admins can do that" in toast(ana), "a rejection")
        ana.enter("/clear")
        ana.wait_gone("Only admins can do that")


def test_activity_in_other_rooms_is_counted_and_opened_by_a_key(
    server: ServerProcess, ana: Terminal, open_terminal: Open
) -> None:
    zoe = open_terminal("chat", f"{server.url}/dev", "--name", "zoe", home="zoe")
    zoe.wait_for("Joined #dev")
    ana.enter("/join dev")
    ana.wait_for("▸2 dev", "2 here")
    ana.enter("/join ops")
    ana.type(f"{ALT}1")
    in_room(ana, "lobby")
    zoe.enter("hello everybody")
    ana.wait_until(lambda: re.search(r"2 dev +1\b", ana.text) is not None, "an unread post")
    zoe.enter("ana, are you there?")
    ana.wait_for("@1 2")
    ana.type(f"{ALT}a")
    ana.wait_for("▸2 dev", "ana, are you there?")
    ana.type(f"{ALT}a")
    ana.wait_for("▸1 lobby")


def test_commands_about_people(server: ServerProcess, bob: Other, ana: Terminal, open_terminal: Open) -> None:
    zoe = open_terminal("chat", server.url, "--name", "zoe", home="zoe", columns=100)
    zoe.wait_for("3 here", "Joined #lobby")
    zoe.enter("/away gone fishing")
    zoe.wait_for("You are away: gone fishing")
    ana.wait_for("zoe (away)", "3 here, 1 away")
    ana.enter("/who")
    ana.wait_for("3 here: ana (you), bob, zoe (away)")
    ana.enter(f"/whois zo{TAB}")
    ana.wait_for("zoe: in #lobby, away: gone fishing")
    zoe.enter("/back")
    ana.wait_gone(", 1 away")
    zoe.wait_for("You are back")
    bob.say("spam spam")
    ana.wait_for("spam spam")
    ana.enter("/ignore bob 1h")
    ana.wait_for("Ignoring bob for 1 h")
    ana.wait_gone("spam spam")
    ana.wait_for("hidden from bob")
    bob.say("eggs and spam")
    zoe.wait_for("eggs and spam")
    ana.enter("/ignore")
    ana.wait_for("bob (1 h left)")
    assert "eggs" not in ana.text
    ana.enter("/unignore bob")
    ana.wait_for("spam spam", "eggs and spam", "No longer ignoring bob")
    ana.enter("/ignore ana")
    warned(ana, "yourself")
    ana.enter("/nick anna")
    ana.wait_for("You are now known as anna")
    ana.enter("/me waves")
    zoe.wait_for("anna waves")
    ana.enter("/shrug why not")
    zoe.wait_for("why not ¯\\_(ツ)_/¯")


def test_commands_about_the_screen(tmp_path: Path, bob: Other, ana: Terminal) -> None:
    bob.say("before the clearing")
    ana.wait_for("before the clearing")
    ana.enter("/clear")
    ana.wait_gone("before the clearing")
    ana.type(PAGE_UP)
    ana.wait_for("before the clearing")
    ana.type(CTRL_END)
    file = tmp_path / "lobby.jsonl"
    ana.enter(f"/export {file}")
    ana.wait_for("Exported")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert "before the clearing" in [row.get("message") for row in rows]
    ana.enter(f"/export {file}")
    warned(ana, "already")
    ana.enter("/theme")
    ana.wait_for("Current theme: broadcast-dark")
    ana.enter("/theme textual-light")
    ana.enter("/theme")
    ana.wait_for("Current theme: textual-light")
    ana.enter("/theme nosuch")
    warned(ana, "No such theme: nosuch")
    ana.enter("/set time off")
    ana.wait_for("time = off")
    ana.enter("/settings")
    ana.wait_for("Settings", "Time of posts", "off")
    ana.type("j\x1b[C")
    ana.wait_for("24h")
    ana.type("q")
    ana.wait_gone("Time of posts")
    ana.enter("/help join")
    ana.wait_for("/join [#room]", "Example: /join #dev")


def test_commands_about_the_connection(server: ServerProcess, ana: Terminal, tmp_path: Path) -> None:
    ana.enter("/ping")
    ana.wait_for("Round trip:")
    ana.enter("/disconnect")
    ana.wait_for("○ offline", "Disconnected.")
    ana.enter("written offline")
    ana.enter("/ping")
    warned(ana, "You are offline")
    ana.enter("/reconnect")
    ana.wait_for("● online", "Back online")
    ana.wait_until(lambda: not any("…" in line and "written" in line for line in ana.lines), "it delivered")
    ana.enter("/reconnect")
    ana.wait_until(lambda: ana.text.count("Back online") == 2, "online again")
    other = ServerProcess(tmp_path / "other.log")
    other.start()
    try:
        ana.enter(f"/connect {other.url}/ops")
        ana.wait_for("Joined #ops", f"#ops  127.0.0.1:{other.port}", "● online")
        ana.enter("hello over there")
        ana.wait_for("hello over there")
        assert "written offline" not in ana.text
        ana.enter("/servers")
        ana.wait_for(f"127.0.0.1:{server.port} ● online", f"127.0.0.1:{other.port} ● online", "* 2 #ops")
        ana.enter(f"/connect {server.url}")
        ana.wait_for("Joined #lobby", "written offline", "▸1 lobby", " 2 ops")
        ana.enter(f"/disconnect 127.0.0.1:{other.port}")
        ana.wait_gone(" 2 ops")
    finally:
        other.stop()
    ana.enter("/quit")
    assert ana.wait_exit() == 0


def test_a_room_is_joined_and_shown_whatever_is_typed_meanwhile(
    server: ServerProcess, open_terminal: Open
) -> None:
    ana = open_terminal("chat", server.url, "--name", "ana")
    ana.wait_until(lambda: "lobby" in ana.text, "lobby")
    ana.type(f"/join dev\r{ALT}1")
    in_room(ana, "lobby")
    ana.type(f"{ALT}2")
    ana.wait_for("Joined #dev")
    ana.enter("/quit")
    assert ana.wait_exit() == 0
    again = open_terminal("chat", f"{server.url}/lobby", "--name", "ana")
    in_room(again, "lobby")
    again.enter("/quit")
    assert again.wait_exit() == 0


@pytest.mark.parametrize(("columns", "rows"), [(40, 10), (20, 5)])
def test_rooms_work_in_small_terminals(
    server: ServerProcess, open_terminal: Open, columns: int, rows: int
) -> None:
    ana = open_terminal("chat", server.url, "--name", "ana", columns=columns, rows=rows)
    ana.wait_until(lambda: "lobby" in ana.text, "lobby")
    ana.enter("/join dev")
    ana.wait_for("Joined #dev")
    ana.type(F7)
    ana.wait_for("▸2 dev")
    ana.type(f"{ALT}1")
    ana.wait_for("▸1 lobby")
    ana.type(F7)
    ana.wait_gone("▸1")
    ana.type(f"{ALT}kde\r")
    ana.wait_for("Joined #dev")
    ana.type(F7)
    ana.wait_for("▸2 dev")
    ana.enter("/quit")
    assert ana.wait_exit() == 0
