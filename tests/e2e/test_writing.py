"""Long pastes, the search in the input history and an external editor, in a real terminal."""

from __future__ import annotations

import contextlib
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Open, Other, ServerProcess
from tests.e2e.test_terminals import toast
from tests.support.profile import by_profile
from tests.support.terminal import Terminal, left_clean

CTRL_C, CTRL_R, CTRL_X, ENTER, RIGHT, UP = "\x03", "\x12", "\x18", "\r", "\x1b[C", "\x1b[A"

EDITOR = """#!/bin/sh
# The file is the last argument. Record it, and wait for a line before writing it.
for file; do :; done
cp "$file" "$SEEN/text"
ls -l "$file" | cut -c1-10 > "$SEEN/mode"
echo "$file" > "$SEEN/name"
echo "$1" > "$SEEN/option"
echo "EDITOR RUNS"
read answer
case $answer in
    fail) exit 3 ;;
    bytes) printf 'a\\377b' > "$file" ;;
    *) printf 'edited: %s\\nin two lines, é\\n' "$answer" > "$file" ;;
esac
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server without rate limits."""
    process = ServerProcess(tmp_path / "server.log")
    process.start("--message-rate", "0", "--message-burst", "0")
    yield process
    process.stop()


@pytest.fixture
def ana(server: ServerProcess, tmp_path: Path, open_terminal: Open) -> Terminal:
    """A terminal of 80x24 in which ana chats alone; her editor is a script."""
    script = tmp_path / "my editor"
    script.write_text(EDITOR)
    script.chmod(0o755)
    environment = {"VISUAL": f"'{script}' --wait", "SEEN": str(tmp_path)}
    return open_terminal("chat", server.url, "--name", "ana", environment=environment)


KEYS = [
    ("one two\x01>", ">one two"),
    ("one two\x01\x05<", "one two<"),
    ("one two\x02\x02-", "one t-wo"),
    ("one two\x01\x04", "ne two"),
    ("one two\x08\x7f", "one t"),
    ("one two\x1bb\x0bx", "one x"),
    ("one two\x15x", "x"),
    ("one two\x17x", "one x"),
    ("one two\x17\x19\x19", "one twotwo"),
    ("one two\x14", "one tow"),
    ("one two\x17\x1f", "one two"),
    ("one two\x17\x1f\x1b_x", "one x"),
    ("one two\x01\x1bf-", "one- two"),
    ("one two\x01\x1bd-", "- two"),
    ("one/two\x1b\x7f-", "one/-"),
    ("one two\x1b[1;5D-", "one -two"),
    ("one two\x01\x1b[1;5C-", "one- two"),
    ("one two\x1b[H-\x1b[F+", "-one two+"),
    ("one two\x17\x1b[D\x17\x19\x1by.", "two. "),
    ("last word", "last word"),
    ("what \x1b.?", "what 19?"),
    ("one\x1b\rtwo\ntwo", "one\ntwo\ntwo"),
    ("so :smile:\tok", "so 😄 ok"),
    ("\x1b[1;5A!", "end of 22!"),
    ("draft\x1b[1;5A\x1b[1;5B!", "draft!"),
    ("draft\x1b[A\x1b[B!", "draft!"),
    ("so :smil\t\t\x1b[Zok", "so 😄 ok"),
    ("one two\x1b[D\x1b[D\x1b[C-", "one tw-o"),
    ("one two\x1b[1;2D\x1b[1;2Dx", "one tx"),
    ("one two\x01\x1b[1;2Cx", "xne two"),
    ("one two\x1b[1;6Dx", "one x"),
    ("one two\x01\x1b[1;6Cx", "x two"),
    ("one two\x1b[1;2Hx", "x"),
    ("one two\x01\x1b[C\x1b[1;2Fx", "ox"),
]
"""Input before Enter, in bytes of a terminal without the kitty protocol, and the text that is sent."""


COVERED_KEYS = frozenset(
    (
        *(
            "composer.send-post",
            "composer.insert-newline",
            "composer.complete-word",
            "composer.complete-back",
        ),
        *("composer.move-up", "composer.move-down", "composer.recall-older", "composer.recall-newer"),
        *("composer.search-history", "composer.insert-last-word", "composer.open-editor"),
        *("composer.move-left", "composer.move-right", "composer.move-word-left", "composer.move-word-right"),
        *("composer.move-line-start", "composer.move-line-end"),
        *(f"composer.select-{what}" for what in ("left", "right", "word-left", "word-right")),
        *("composer.select-line-start", "composer.select-line-end"),
        *("composer.delete-left", "composer.delete-right", "composer.cut-blank-word"),
        *(f"composer.cut-{what}" for what in ("word-left", "word-right", "line-start", "line-end")),
        *("composer.paste-cut", "composer.paste-older-cut", "composer.paste-copied"),
        *("composer.swap-characters", "composer.undo-edit", "composer.redo-edit"),
        *("search.find-older", "search.find-newer", "search.take-found", "search.rub-out"),
        *("search.clear-query", "search.go-back", "log.unfold-post"),
    )
)
"""Keys covered by the list above and the tests below."""


def test_readline_keys_edit_as_in_a_shell(ana: Terminal, server: ServerProcess) -> None:
    ana.wait_for("Joined #lobby")
    with contextlib.closing(Other(server.url)) as bob:
        for number, (typed, sent) in enumerate(KEYS):
            ana.type(f"{typed}\r")
            ana.enter(f"end of {number}")
            assert bob.read_until(f"end of {number}") == [sent.rstrip()], typed


def test_text_copied_from_the_composer_can_be_pasted(ana: Terminal) -> None:
    ana.wait_for("Joined #lobby")
    ana.type("one two\x1b[1;6D")
    ana.wait_for("one two")
    ana.type(CTRL_C)
    ana.wait_for("Copied 3 characters")
    ana.type("\x05\x16!")
    ana.wait_for("one twotwo!")


def test_long_paste_is_confirmed_and_sent_as_one_post(ana: Terminal) -> None:
    ana.wait_for("Joined #lobby")
    ana.paste("\n".join(f"row {number}." for number in range(30)))
    ana.wait_for("Pasted 30 lines", "row 29.")
    ana.type(ENTER)
    ana.wait_for("Send 30 lines as one post?")
    ana.type(ENTER)
    ana.wait_gone("Send 30 lines as one post?")
    ana.type(ENTER)
    ana.wait_for("Send 30 lines as one post?")
    ana.type(RIGHT + ENTER)
    ana.wait_for("Message #lobby", "22 more lines")
    ana.type("\x1bo")
    ana.wait_for("row 29.")
    assert ana.text.count("row 29.") == 1


def test_input_history_is_searched_after_a_restart(
    ana: Terminal, server: ServerProcess, open_terminal: Open
) -> None:
    ana.wait_for("Joined #lobby")
    for text in ("first of all", "second to none", "third time lucky"):
        ana.enter(text)
    ana.wait_for("third time lucky", "Message #lobby")
    ana.type(CTRL_R + "to")
    ana.wait_for("(search) to", "1 of 1")
    ana.type(CTRL_C)
    ana.wait_gone("(search)")
    ana.type("\x11")
    assert ana.wait_exit() == 0
    again = open_terminal("chat", server.url, "--name", "ana", columns=40, rows=10)
    again.wait_for("Message #lobby")
    again.type(CTRL_R + "i" + CTRL_R + ENTER + "!")
    again.wait_for("first of all!")
    assert "Message #lobby" not in again.text


def test_history_search_goes_both_ways_and_restarts(ana: Terminal) -> None:
    ana.wait_for("Joined #lobby")
    for text in ("first of all", "second to none", "third time lucky"):
        ana.enter(text)
    ana.wait_for("third time lucky", "Message #lobby")
    ana.type(f"draft{CTRL_R}i")
    ana.wait_for("(search) i", "1 of 2")
    ana.type(CTRL_R)
    ana.wait_for("2 of 2")
    ana.type("\x13")
    ana.wait_for("1 of 2")
    ana.type("zz")
    ana.wait_for("(search) izz")
    ana.type("\x7f\x7f")
    ana.wait_for("1 of 2")
    ana.type("\x15sec")
    ana.wait_for("(search) sec", "1 of 1")
    ana.type(ENTER + "!")
    ana.wait_for("second to none!")
    ana.type(f"{CTRL_R}i\x07?")
    ana.wait_for("second to none!?")


def test_editor_edits_the_draft_without_sending_it(ana: Terminal, tmp_path: Path) -> None:
    ana.wait_for("Joined #lobby")
    ana.type("some words")
    ana.wait_for("some words")
    ana.type(CTRL_X)
    ana.wait_for("EDITOR RUNS")
    assert left_clean(bytes(ana.raw))
    assert (tmp_path / "text").read_text() == "some words\n"
    assert (tmp_path / "mode").read_text() == "-rw-------\n"
    assert (tmp_path / "option").read_text() == "--wait\n"
    ana.type("done\n")
    ana.wait_for("edited: done", "in two lines, é", "online")
    assert not Path((tmp_path / "name").read_text().strip()).exists()
    assert "EDITOR RUNS" not in ana.text
    ana.type("!" + ENTER)
    ana.wait_for("Message #lobby", "in two lines, é!")


@pytest.mark.parametrize(
    ("answer", "words"),
    [("fail\n", "exited with status 3"), ("bytes\n", "is not UTF-8"), (CTRL_C, "was ended by signal 2")],
)
def test_failing_editor_is_reported_and_the_draft_stays(
    ana: Terminal, tmp_path: Path, answer: str, words: str
) -> None:
    ana.wait_for("Joined #lobby")
    ana.type("some words" + CTRL_X)
    ana.wait_for("EDITOR RUNS")
    ana.type(answer)
    ana.wait_until(lambda: words in toast(ana) and "some words" in ana.text, "why, and the text")
    assert not Path((tmp_path / "name").read_text().strip()).exists()
    ana.type("!" + ENTER)
    ana.wait_for("Message #lobby", "some words!")


def test_signal_ends_the_chat_and_its_editor(ana: Terminal, tmp_path: Path) -> None:
    ana.wait_for("Joined #lobby")
    ana.type("some words" + CTRL_X)
    ana.wait_for("EDITOR RUNS")
    ana.signal(signal.SIGTERM)
    assert ana.wait_exit() == 128 + signal.SIGTERM
    assert left_clean(bytes(ana.raw))
    assert not Path((tmp_path / "name").read_text().strip()).exists()


POSTS = by_profile(1_000, 4_000)
"""Each waits for its echo, so they arrive in more batches than the 30 that Textual queues for a terminal."""


def test_chat_receives_posts_while_the_editor_runs(ana: Terminal, server: ServerProcess) -> None:
    """More arrives than Textual queues before it blocks."""
    ana.wait_for("Joined #lobby")
    ana.type(CTRL_X)
    ana.wait_for("EDITOR RUNS")
    before = len(ana.raw)
    with contextlib.closing(Other(server.url)) as bob:
        for number in range(POSTS):
            bob.say(f"post {number}.")
        ana.read()
        assert len(ana.raw) == before
        ana.type("done\n")
        ana.wait_for(f"post {POSTS - 1}.", "edited: done", "2 here")
    assert "reconnect" not in ana.text


def test_input_history_file_is_private(ana: Terminal, tmp_path: Path) -> None:
    ana.wait_for("Joined #lobby")
    ana.enter("something")
    ana.wait_for("something", "Message #lobby")
    (file,) = tmp_path.rglob("input-history.jsonl")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == '{"room": "lobby", "text": "something"}\n'


def test_a_draft_survives_a_kill(
    ana: Terminal, server: ServerProcess, open_terminal: Open, tmp_path: Path
) -> None:
    ana.wait_for("Joined #lobby")
    ana.type("half a sentence")
    ana.wait_until(
        lambda: any("half a sentence" in f.read_text() for f in tmp_path.rglob("drafts.json")), "saved"
    )
    ana.signal(signal.SIGKILL)
    ana.wait_exit()
    again = open_terminal("chat", server.url, "--name", "ana")
    again.wait_for("half a sentence")
    again.enter("/quit")
