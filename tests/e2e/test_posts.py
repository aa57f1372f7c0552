"""Replying to posts, changing them and answering questions in a terminal."""

from __future__ import annotations

from tests.e2e.conftest import Open, Other, ServerProcess
from tests.e2e.test_terminals import ESCAPE, UP
from tests.support.terminal import Terminal

ALT_UP, ALT_R, CTRL_U = "\x1b[1;3A", "\x1br", "\x15"

COVERED_KEYS = frozenset(
    (
        *("pick.reply-post", "pick.show-thread", "pick.react-post", "pick.edit-post", "pick.delete-post"),
        *("pick.pin-post", "pick.answer-question", "log.answer-question"),
    )
)
"""Keys covered by the tests below."""


def chat(server: ServerProcess, open_terminal: Open, name: str) -> Terminal:
    terminal = open_terminal("chat", server.url, "--name", name, home=name)
    terminal.wait_for("● online")
    return terminal


def test_a_post_is_replied_to_edited_reacted_to_pinned_and_deleted(
    server: ServerProcess, bob: Other, open_terminal: Open
) -> None:
    ana, zoe = chat(server, open_terminal, "ana"), chat(server, open_terminal, "zoe")
    bob.say("Is the table locked?")
    ana.wait_for("table locked?")
    ana.type(f"draft{ALT_UP}rYes, it runs first.")
    ana.wait_for("Replying to bob", "Yes, it runs")
    ana.type("\r")
    zoe.wait_for("↪ bob: Is the table", "Yes, it runs first.")
    ana.wait_for("draft")
    ana.type(CTRL_U)
    ana.wait_gone("draft")
    ana.type(UP)
    ana.wait_for("Editing")
    ana.type(" By hand.\r")
    zoe.wait_for("Yes, it runs first. By hand. (edited)")
    zoe.type(f"{ALT_UP}+tada\r")
    ana.wait_for("🎉 1")
    zoe.type("p")
    ana.wait_for("pinned")
    zoe.type("t")
    zoe.wait_for("Thread in #lobby", "Is the table locked?")
    zoe.type("and in the thread\r")
    ana.wait_for("and in the thread")
    zoe.type(ESCAPE)
    zoe.wait_gone("Thread in")
    zoe.enter("/thread")
    zoe.wait_for("Thread in #lobby")
    zoe.type(ESCAPE)
    zoe.wait_gone("Thread in")
    ana.type(f"{ALT_UP}k")
    ana.wait_for("d delete")
    ana.type("e")
    ana.wait_for("Editing")
    ana.type(f"{ESCAPE}{ALT_UP}kd")
    ana.wait_for("Delete your message")
    ana.type("y")
    zoe.wait_for("deleted by ana")


def test_questions_are_answered(server: ServerProcess, open_terminal: Open) -> None:
    ana, zoe = chat(server, open_terminal, "ana"), chat(server, open_terminal, "zoe")
    ana.enter("/announce Deploying 1.5")
    zoe.wait_for("Deploying 1.5", "Alt+R")
    zoe.type(ALT_R)
    zoe.wait_for("Acknowledged")
    ana.enter("/ask zoe Deploy now?")
    zoe.wait_for("Deploy now?")
    zoe.type(f"{ALT_UP}a")
    zoe.wait_for("1 yes", "2 no")
    zoe.type("2")
    ana.wait_for("no 1  zoe")
    ana.enter("/poll Lunch? | soup | salad")
    zoe.wait_for("Lunch?")
    zoe.enter("/answer salad")
    ana.wait_for("salad 1  zoe")
    zoe.enter("/posts")
    zoe.wait_for("Lunch?")
