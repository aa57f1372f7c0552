"""The first start in a real terminal: the name is suggested, asked for once, and remembered."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Open, ServerProcess
from tests.support.terminal import program

USER = {"LOGNAME": "ana.lima@corp.example"}


def test_name_is_asked_for_once(server: ServerProcess, open_terminal: Open) -> None:
    first = open_terminal("chat", server.url, environment=USER)
    first.wait_for("Your name", "ana.lima")
    first.type("\r")
    first.wait_for("Joined #lobby as ana.lima")
    first.type("\x11")
    assert first.wait_exit() == 0
    later = open_terminal("chat", server.url, environment={"LOGNAME": "bob"})
    later.wait_for("Joined #lobby as ana.lima", "● online")
    later.enter("/nick nina")
    later.wait_for("You are now known as nina")
    later.type("\x11")
    assert later.wait_exit() == 0
    asked = open_terminal("chat", server.url, "--ask-name")
    asked.wait_for("Your name", "nina")


def test_plain_chat_prompts_for_a_name_once(server: ServerProcess, open_terminal: Open) -> None:
    first = open_terminal(*program("chat", "--plain", server.url), environment=USER)
    first.wait_for("Your name [ana.lima]:")
    first.enter("system")
    first.wait_for("reserved")
    first.enter("")
    first.wait_for("Joined #lobby as ana.lima")
    first.enter("/quit")
    assert first.wait_exit() == 0
    later = open_terminal(*program("chat", "--plain", server.url))
    later.wait_for("Joined #lobby as ana.lima")


def test_plain_chat_needs_a_name(open_terminal: Open) -> None:
    terminal = open_terminal(*program("chat", "--plain"), environment={"LOGNAME": "root"})
    terminal.wait_for("Your name:")
    terminal.type("\x04")
    terminal.wait_for("A name is required")
    assert terminal.wait_exit() == 2


@pytest.mark.parametrize(("options", "is_noted"), [((), True), (("--name", "ci"), False)])
def test_a_person_learns_that_posts_come_from_a_guest(
    server: ServerProcess, open_terminal: Open, options: tuple[str, ...], is_noted: bool
) -> None:
    terminal = open_terminal(
        *program("send", "--url", server.url, "--wait", "hi", *options), environment={"LOGNAME": "root"}
    )
    assert terminal.wait_exit() == 0
    assert ("posting as a guest" in terminal.text) is is_noted
