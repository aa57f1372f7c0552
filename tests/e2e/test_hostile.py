"""Hostile text never controls a terminal or forges a log line; checked in the bytes that arrive there."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from http import HTTPStatus

import pytest
import websocket

from tests.e2e.conftest import Open, ServerProcess
from tests.support.hostile_server import (
    HOSTILE,
    NUMBER,
    Frame,
    HostileServer,
    error,
    hostile_server,
    post,
    system,
)
from tests.support.terminal import Terminal, left_clean, program

CTRL_HOME, F5, CTRL_U = "\x1b[1;5H", "\x1b[15~", "\x15"
MARKUP = ("[red]x[/]", "[@click=app.quit]x[/]", "[/nope]")

_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|.|\Z)", re.DOTALL
)
_KNOWN = re.compile(
    r"\x1b\[(?:\d*;\d+H|[\d;:]*m|\?\d+[hl]|\?\d+\$p|2[23];0t|>\d+u|<u)"  # places, looks, modes, title, keys
    r"|\x1b\[(?:\d*[A-DHLM]|\d+[GX]|K|6n|(?:\d*;\d+)?[rs])"  # places, rows that move, blanks, margins
    r"|\x1b[DM]"  # next and previous row
    r"|\x1b\]22;[a-z-]+\x07"  # the pointer's shape
    r"|\x1b\]8;;\x1b\\|\x1b\]8;id=[\d-]+;https?://[!-:<-~]{1,2000}\x1b\\"  # links
    r"|\x1b\]0;(?:(?:\([\d,! ]+\) )?#lobby · broadcast-tui)?\x07"
)
_STEPS = re.compile(r"(?<!\x08)\x08{1,3}(?![\x08\r])|\r(?!EVIL|[\n\r\x08])")
"""Short moves of the cursor; those in texts of others are different."""
_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_INVISIBLE = (
    "\xad\u034f\u180e\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ue000-\uf8ff\U000e0000-\U000e0fff"
)
_UNWANTED = re.compile(f"[{_CONTROLS}{_INVISIBLE}]")


@pytest.fixture
def hostile() -> Iterator[HostileServer]:
    with hostile_server() as server:
        yield server


def assert_known_sequences(raw: bytes) -> None:
    """Check that a terminal received only escape sequences that the program is known to write."""
    text = raw.decode()
    strange = {found for found in _SEQUENCE.findall(text) if not _KNOWN.fullmatch(found) or NUMBER in found}
    assert not strange
    characters = _SEQUENCE.sub("", _STEPS.sub("", text.replace("\r\n", "\n")))
    unwanted = set(_UNWANTED.findall(characters))
    assert not unwanted


def assert_plain(data: bytes) -> None:
    """Check that output without colors contains only text and line feeds."""
    assert not set(_UNWANTED.findall(data.decode()))


def row_with(terminal: Terminal, *texts: str) -> str:
    """Wait for a row of the screen that contains all `texts` in this order, and return it."""
    wanted = re.compile(".*".join(map(re.escape, texts)))

    def rows() -> list[str]:
        return [line for line in terminal.lines if wanted.search(line)]

    terminal.wait_until(rows, f"a row with {texts}")
    return rows()[0]


class HostileScript:
    """Sends hostile frames to a client, and waits until it has shown each batch."""

    def __init__(self, server: HostileServer, terminal: Terminal) -> None:
        self._server = server
        self._terminal = terminal
        self._seq = 0
        self._batches = 0

    def post(self, text: str, sender: str) -> Frame:
        """The next post of the room."""
        self._seq += 1
        return post(self._seq, text, sender)

    def tell(self, *frames: Frame | str) -> None:
        self._batches += 1
        done = f"batch {self._batches} is hostile_room"
        self._server.send(*frames, self.post(done, "zed"))
        self._terminal.wait_for(done)


ALL = (*HOSTILE.values(), *MARKUP)


def posts(script: HostileScript) -> list[Frame]:
    sent = [script.post(f"begin{text}end", f"s{text}w") for text in ALL]
    return sent + [script.post(f"/me {text} victim {text}", text) for text in ALL]


def notes(script: HostileScript) -> list[Frame]:
    """Questions and replies that are edited, pinned, answered and deleted, with hostile text everywhere."""
    sent: list[Frame] = []
    for text in ALL:
        votes = {f"{text}{n}": {"count": 2, "names": [text, "victim"]} for n in range(3)}
        ask = {"choices": [text, "ok"], "until": text, "of": 9, "to": [text, "victim"]}
        asked = script.post(f"begin{text}end", f"s{text}w") | {"ask": ask, "tally": votes, "waiting": [text]}
        reply = script.post(f"re{text}", text) | {"re": asked["id"], "root": asked["id"]}
        changes: list[tuple[str, Frame, Frame]] = [
            ("edit", asked, {"message": f"new{text}", "edited": text}),
            ("pin", asked, {"pinned": {"by": text, "at": text}}),
            ("react", asked, {"reactions": votes}),
            ("answer", asked, {"tally": votes, "of": 9, "waiting": [text]}),
            ("delete", reply, {"deleted": {"by": text, "at": text, "reason": text}}),
        ]
        sent += [asked, reply]
        for kind, changed, now in changes:
            note = script.post("", text)
            sent.append(
                {
                    "type": "note",
                    "id": note["id"],
                    "room": "lobby",
                    "note": kind,
                    "re": changed["id"],
                    "by": text,
                    "timestamp": note["timestamp"],
                    "now": now,
                }
            )
    return sent


def presence_events() -> list[Frame]:
    return [
        *(system("join", text, f"n{text}m", text) for text in ALL),
        *(system("join", f"x{text}y", name=f"n{text}m") for text in ALL),
        *(system("join", f"x{text}y") for text in ALL),
        *(system("leave", text, f"n{text}m") for text in ALL),
        *(system("rename", text, f"n{text}m", f"o{text}p") for text in ALL),
    ]


def notices() -> list[Frame]:
    return [
        *(system("notice", f"x{text}y", online=None) for text in ALL),
        *(system(text, f"x{text}y", room=text) for text in ALL),
        *(error(text, f"x{text}y") for text in ALL),
        *({"type": "drain", "reason": text, "spread": 1.0} for text in ALL),
    ]


def gaps() -> list[Frame]:
    gap: Frame = {"type": "gap", "room": "lobby"}
    return [{**gap, "from": text, "to": f"z{n}-1", "reason": text} for n, text in enumerate(ALL)]


def malformed_frames() -> Sequence[Frame | str]:
    """Frames for other rooms, of unknown types and invalid structure, and lone surrogates."""
    frames: list[Frame] = []
    for text in ALL:
        frames += [
            {"type": text, "room": text},
            {"type": "typing", "room": text, "name": text},
            {"type": "message", text: text},
            {**post(1, text, text), "timestamp": text, "id": text, "nonce": text},
        ]
    frames += [{"type": "message", "message": half, "sender": half} for half in ("\ud800", "\udfff")]
    return [*frames, *ALL]


def typing() -> list[Frame]:
    return [{"type": "typing", "room": "lobby", "name": f"t{text}y"} for text in ALL]


@pytest.mark.parametrize(("columns", "rows"), [(120, 40), (61, 20), (40, 10)])
def test_hostile_frames_are_shown_as_text(
    hostile: HostileServer, open_terminal: Open, columns: int, rows: int
) -> None:
    hostile.members = [f"b{text}e" for text in ALL]
    victim = open_terminal("chat", hostile.url, "--name", "victim", columns=columns, rows=rows)
    victim.wait_for("online")
    script = HostileScript(hostile, victim)

    def history(asked: Frame) -> list[Frame]:
        page: Frame = {"type": "history", "ref": asked["ref"], "room": "lobby", "more": False}
        items = [post(0, f"begin{text}end", f"s{text}w") for text in ("the oldest", *ALL)]
        return [{**page, "items": items}, script.post("it came late", "zed")]

    hostile.answers["history"] = history
    script.tell(*posts(script))
    script.tell(*notes(script))
    script.tell(*presence_events())
    script.tell(*notices())
    script.tell(*malformed_frames())
    script.tell(*gaps())
    script.tell(*typing())
    victim.type(CTRL_HOME)
    victim.wait_for("1 new")
    victim.type(CTRL_HOME)
    victim.wait_for("the oldest")
    victim.type("\x1b")
    victim.wait_for("it came late")
    victim.enter("/who")
    victim.enter("still here")
    victim.wait_for("still here")
    victim.enter("/quit")
    assert victim.wait_exit() == 0
    assert_known_sequences(bytes(victim.raw))
    assert left_clean(bytes(victim.raw))


def test_names_and_lines_cannot_imitate_others(hostile: HostileServer, open_terminal: Open) -> None:
    broken = f"ro{HOSTILE['line ends']}wz"
    hostile.members = [broken, *MARKUP]
    victim = open_terminal("chat", hostile.url, "--name", "victim", columns=160, rows=40)
    victim.wait_for(*(name[:17] for name in MARKUP))
    assert row_with(victim, "[@click=app.quit]")[130:].strip() == "[@click=app.quit]…"
    script = HostileScript(hostile, victim)
    script.tell(
        system("join", "", broken),
        system("leave", "", *MARKUP),
        system("rename", "", broken, "[/nope]"),
        system("notice", f"no{broken}tice", online=None),
        error("internal", f"er{broken}ror"),
        script.post("hello\r\n 10:31          admin │ gotcha", broken),
        script.post("[red]said[/] [@click=app.quit]said[/] [/nope]", "[red]x[/]"),
        {"type": "typing", "room": "lobby", "name": broken},
    )
    row_with(victim, "ro", "wz is typing…", "● online", "victim")
    victim.wait_for("is now [/nope]")
    row_with(victim, "── ro", "wz joined")
    row_with(victim, "── [red]x[/], [@click=app.quit]x[/] and [/nope] left")
    row_with(victim, "── ro", "wz is now [/nope]")
    row_with(victim, "no", "ro", "wz", "tice")
    row_with(victim, "er", "ro", "wz", "ror")
    row_with(victim, "ro", "wz │ hello")
    assert row_with(victim, "gotcha").lstrip().startswith("┆  10:31          admin │ gotcha")
    row_with(victim, "[red]x[/] │ [red]said[/] [@click=app.quit]said[/] [/nope]")
    victim.enter("/[@click=app.quit]x[/]")
    victim.wait_for("No such command: /[@click=app.quit]x[/]")
    victim.type("\x03")
    victim.enter("/quit")
    assert victim.wait_exit() == 0


def test_pasted_text_is_sanitized_in_composer_toast_and_log(
    hostile: HostileServer, open_terminal: Open
) -> None:
    victim = open_terminal("chat", hostile.url, "--name", "victim", columns=41, rows=30)
    victim.wait_for("online")

    def hostile_room(n: int) -> bool:
        return re.search(rf"command[^/]*/t{n}-", victim.text) is not None

    for n, text in enumerate(ALL):
        victim.paste(f"/t{n}-{text}")
        victim.type("\r")
        victim.wait_until(partial(hostile_room, n), f"a toast about /t{n}-")
        victim.type("\x03")
        victim.paste(f"post {n} {text}")
        victim.type("\r")
    victim.enter("still here")
    victim.wait_for("still here")
    victim.enter("/quit")
    assert victim.wait_exit() == 0
    assert_known_sequences(bytes(victim.raw))


def test_hostile_rejection_reasons_are_shown_as_text(hostile: HostileServer, open_terminal: Open) -> None:
    everything = "".join(ALL)
    hostile.refusal = (HTTPStatus.SERVICE_UNAVAILABLE, f"full{everything}")
    victim = open_terminal("chat", hostile.url, "--name", "victim", columns=81, rows=24)
    victim.wait_for("No connection yet", "full")
    hostile.refusal = None
    hostile.denial = error("name_taken", f"taken{everything}")
    victim.type(F5)
    victim.wait_for("Enter Join", "taken")
    for columns in range(20, 80, 7):
        victim.resize(columns, 24)
        victim.wait_for("broadcast-tui", "victim")
    victim.resize(81, 24)
    hostile.denial = None
    hostile.welcome["name"] = f"me{HOSTILE['title']}{HOSTILE['C1']}{HOSTILE['line ends']}[/nope]"
    victim.enter("2")
    victim.wait_for("Connected", "● online")
    row_with(victim, "● online", "me␛]0;EVIL␇", "[/nope]")
    hostile.close(1011, f"bye{HOSTILE['title']}{HOSTILE['C1']}\u202e\r\n[/nope]")
    victim.wait_for("Connection lost", "bye\\x1b]0;EVIL", "Back online")
    hostile.refusal = (HTTPStatus.UNAUTHORIZED, f"no entry{everything}")
    hostile.close(1011, "")
    victim.wait_for("Enter Connect", "no")
    for columns in range(20, 80, 7):
        victim.resize(columns, 24)
        victim.wait_for("Token")
    victim.resize(81, 24)
    victim.type("\x1b")
    victim.wait_for("✕ rejected: no entry", "Connection rejected: no")
    victim.enter("still here")
    victim.wait_for("still here")
    victim.type("\x11")
    victim.wait_for("1 post has not been sent")
    victim.type("q")
    assert victim.wait_exit() == 0
    assert_known_sequences(bytes(victim.raw))


def test_reasons_for_rejected_posts_and_names_are_shown_as_text(
    hostile: HostileServer, open_terminal: Open
) -> None:
    texts = iter([*ALL, "and that was all"])

    def refuse(asked: Frame) -> list[Frame]:
        return [error("too_long", f"not this:{next(texts)}", nonce=asked["nonce"])]

    def rename(asked: Frame) -> list[Frame]:
        if asked["name"] == "taken":
            return [error("name_taken", f"gone{text}gone", ref=asked["ref"]) for text in ALL]
        return [{"type": "renamed", "ref": asked["ref"], "name": f"new{HOSTILE['line ends']}[/nope]"}]

    hostile.answers |= {"message": refuse, "rename": rename}
    victim = open_terminal("chat", hostile.url, "--name", "victim", columns=101)
    victim.wait_for("online")
    for n in range(len(ALL) + 1):
        victim.type(f"{CTRL_U}post {n}\r")
        victim.wait_for(f"post {n}", "not sent: not this:")
    victim.wait_for("and that was all")
    victim.enter(f"{CTRL_U}/nick taken")
    victim.wait_for("gone[/nope]gone")
    victim.enter("/nick other")
    victim.wait_for("You are now known as new")
    row_with(victim, "● online", "new", "[/nope]")
    victim.enter("/quit")
    assert victim.wait_exit() == 0
    assert_known_sequences(bytes(victim.raw))


def run(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(program(*words), capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "words",
    [
        ("chat", "--name", "{}"),
        ("chat", "--room", "{}"),
        ("chat", "ws://{}"),
        ("chat", "--port", "{}"),
        ("chat", "--{}"),
        ("{}",),
    ],
)
def test_usage_error_is_one_line_of_text(words: tuple[str, ...]) -> None:
    evil = "".join(text.replace("\0", "") for text in ALL)
    ended = run(*(word.format(evil) for word in words))
    assert ended.returncode == 2
    assert ended.stderr.count(b"\n") == 1
    assert_plain(ended.stdout + ended.stderr)


@pytest.fixture
def hostile_room(hostile: HostileServer) -> HostileServer:
    """A server with a room full of hostile posts and errors."""
    sent = [post(n, f"begin{text}end", f"s{text}w") for n, text in enumerate(ALL, 1)]
    hostile.welcome["rooms"] = [
        {"room": "lobby", "head": f"k3f9-{len(sent)}", "recovered": True, "missed": len(sent), "online": 1}
    ]
    hostile.greeting = [*notices(), *sent]
    return hostile


def test_tail_prints_sanitized_lines(hostile_room: HostileServer) -> None:
    ended = run("tail", hostile_room.url, "--last", "50")
    assert ended.returncode == 0
    assert_plain(ended.stdout + ended.stderr)
    lines = ended.stdout.decode().splitlines()
    assert sum("begin" in line for line in lines) == len(ALL)
    assert all(re.match(r"\d\d:\d\d s|    ", line) for line in lines)
    assert all(line.startswith("broadcast-tui: ") for line in ended.stderr.decode().splitlines())


def test_tail_json_has_no_raw_control_characters(hostile_room: HostileServer) -> None:
    ended = run("tail", hostile_room.url, "--last", "50", "--json")
    assert ended.returncode == 0
    lines = ended.stdout.decode().split("\n")
    assert [json.loads(line)["message"] for line in lines[:-1]] == [f"begin{text}end" for text in ALL]
    assert not re.search(f"[{_CONTROLS}]", "".join(lines))
    assert_plain(ended.stderr)


def test_reason_for_rejected_send_and_tail_is_one_line(hostile: HostileServer) -> None:
    everything = "".join(ALL)
    hostile.answers["message"] = lambda asked: [error("too_long", everything, nonce=asked["nonce"])]
    ended = run("send", "--url", hostile.url, "--wait", "hello")
    assert ended.returncode == 3
    assert ended.stderr.count(b"\n") == 1
    assert_plain(ended.stdout + ended.stderr)
    hostile.denial = error("name_taken", everything)
    for words in (["tail", hostile.url], ["send", "--url", hostile.url, "hello"]):
        ended = run(*words)
        assert ended.returncode == 4
        assert ended.stderr.count(b"\n") == 1
        assert_plain(ended.stdout + ended.stderr)


def test_unknown_error_code_rejects_the_post(hostile: HostileServer) -> None:
    hostile.answers["message"] = lambda asked: [error("\x1b]0;EVIL\x07", "no", nonce=asked["nonce"])]
    ended = run("send", "--url", hostile.url, "--wait", "hello")
    assert ended.returncode == 3
    assert ended.stderr.count(b"\n") == 1
    assert_plain(ended.stderr)


def test_client_cannot_forge_log_lines(server: ServerProcess) -> None:
    server.stop()
    server.start("--log-level", "debug")
    for text in ALL:
        plain = websocket.create_connection(server.url, timeout=20)
        plain.send(json.dumps({"type": "message", "message": f"begin{text}end", "sender": f"s{text}w"}))
        plain.send(json.dumps({"type": "message", "message": text, "sender": "mallory"}))
        plain.send(text)
        plain.send(json.dumps({"type": text, text: text, "nonce": text, "ref": text}))
        plain.send_binary(text.encode())
        plain.close(1000, text.encode()[:100])
        v1 = websocket.create_connection(
            f"{server.url}/", timeout=20, subprotocols=["broadcast-tui.v1"], suppress_origin=True
        )
        v1.send(json.dumps({"type": "hello", "name": text, "client_id": text, "rooms": [{"room": text}]}))
        v1.send(json.dumps({"type": "hello", "name": "mallory", "client_id": text}))
        v1.send(json.dumps({"type": "rename", "name": text, "ref": text}))
        v1.send(json.dumps({"type": "message", "message": text, "room": text, "nonce": text}))
        v1.close()
        for request in (
            f"GET /{text} HTTP/1.1\r\nHost: {text}\r\n\r\n",
            f"{text}\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: x\r\nOrigin: {text}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {text}\r\nSec-WebSocket-Version: 13\r\nUser-Agent: {text}\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
                raw.sendall(request.encode())
                with contextlib.suppress(OSError):
                    while raw.recv(65_536):
                        pass
    plain = websocket.create_connection(server.url, timeout=20)
    plain.send(json.dumps({"type": "message", "message": "still here", "sender": "bob"}))
    while json.loads(plain.recv())["message"] != "still here":
        pass
    plain.close()
    server.stop()
    log = server.log.read_bytes()
    assert_plain(log)
    for line in log.decode().splitlines():
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARNING|ERROR) +\S", line), line
        assert len(line) < 1000
    assert b"still here" in log
