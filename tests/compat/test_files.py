"""Files of an earlier version are read by this one, and those of this one have the same shape.

`files/home` is what `life.live` left in a user's directory; it is never regenerated, because it
represents files of users. Ports, and the place of the token file, are set in each copy. COMPAT_RECORD=1 in
the environment rewrites the expected contents: `posts.jsonl` and `config.txt`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from broadcast_tui.engine.sqlite import SqliteEngine
from tests.compat.life import CTRL_Q, DIRECTORY, live, shape
from tests.compat.program import FILES, check_golden, environment, run, serving
from tests.compat.tokens import MIA_MEMBER, RITA_READER, ZOE_ADMIN
from tests.compat.transcript import Frame, transcript
from tests.support.ports import unused_port
from tests.support.terminal import Terminal, program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals and file modes")

HOME = FILES / "home"
RECORDED_PORT, RECORDED_TLS_PORT = 28765, 28443
NEW_FILES = {"install-secret"}
"""Files that the earlier version did not write."""
TROLL_ENDS = re.compile(r'(?<="troll": )[\d.]+')
UP, CTRL_U = "\x1b[A", "\x15"


def restored(home: Path, *, port: int = RECORDED_PORT, tls_port: int = RECORDED_TLS_PORT) -> Path:
    """The recorded files in `home`, of servers on these ports; returns their directory."""
    directory = home / DIRECTORY
    directory.mkdir(mode=0o700)
    for recorded in HOME.iterdir():
        name = _on_ports(recorded.name, port, tls_port)
        if recorded.suffix == ".db":
            shutil.copyfile(recorded, directory / name)
        else:
            text = _on_ports(recorded.read_text("utf-8"), port, tls_port)
            text = text.replace("/home/mia/.local/share/broadcast-tui", str(directory))
            (directory / name).write_text(TROLL_ENDS.sub(str(time.time() + 86_400), text), "utf-8")
        (directory / name).chmod(0o600)
    return directory


def _on_ports(text: str, port: int, tls_port: int) -> str:
    return text.replace(str(RECORDED_PORT), str(port)).replace(str(RECORDED_TLS_PORT), str(tls_port))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


# -- the server's files


def test_history_and_topics_are_read_and_continued(tmp_path: Path) -> None:
    port = unused_port()
    restored(tmp_path, port=port)
    with serving("--keep-days", "0", home=tmp_path, port=port) as server:
        posts = ""
        for room in ("lobby", "dev", "empty"):
            outcome = run("tail", server.url, "--room", room, "--last", "100", "--json", home=tmp_path)
            assert (outcome.status, outcome.err) == (0, "")
            posts += outcome.out
        check_golden("posts.jsonl", posts, inside=FILES)
        with transcript(server.url) as script:
            script.enter("zoe", "dev", "lobby", token=ZOE_ADMIN)
            rooms = {room["room"]: room["topic"] for room in script.ask("zoe", "list")["rooms"]}
            assert rooms == {"dev": "Où sont les bugs?", "empty": "Nothing said yet", "lobby": ""}
            [found] = script.ask("zoe", "search", room="dev", query="UNICODE")["items"]
            assert found["sender"] == "zoe"
            last = json.loads(posts.splitlines()[6])["id"]
            ack = script.say("zoe", "one more", room="lobby", nonce="new")
            assert ack["id"] == f"{last.rpartition('-')[0]}-8"
            assert len(script.ask("zoe", "search", room="lobby", query="lobby post")["items"]) == 5


def test_resent_posts_are_recognized_after_a_restart(tmp_path: Path) -> None:
    port = unused_port()
    directory = restored(tmp_path, port=port)
    with contextlib.closing(sqlite3.connect(directory / f"history-{port}.db")) as database, database:
        # As if all posts were new.
        database.execute("UPDATE posts SET at_us = ?", (int(time.time() * 1e6),))
    recorded = [json.loads(line) for line in (FILES / "posts.jsonl").read_text("utf-8").splitlines()]
    with serving(home=tmp_path, port=port) as server, transcript(server.url) as script:
        script.enter("zoe", "lobby", token=ZOE_ADMIN)
        script.send("zoe", "message", message="lobby post 3", room="lobby", nonce="n3")
        ack = script.expect("zoe", type="ack", nonce="n3")
        [first] = [post for post in recorded if post["message"] == "lobby post 3"]
        assert (ack["dup"], ack["id"]) == (True, first["id"])


def test_bans_and_mutes_apply(tmp_path: Path) -> None:
    port = unused_port()
    restored(tmp_path, port=port)
    words = ("--history", "memory", "--trusted-proxy", "127.0.0.1")
    with serving(*words, home=tmp_path, port=port) as server, transcript(server.url) as script:
        script.enter("zoe", "lobby", token=ZOE_ADMIN)
        assert script.ask("zoe", "bans")["items"] == [
            {"action": "ban", "kind": "name", "who": "bob", "by": "zoe", "reason": "spam, spam"},
            {"action": "ban", "kind": "address", "who": "203.0.113.0/24", "by": "zoe"},
            {"action": "ban", "kind": "name", "who": "Mallory", "by": "zoe", "until": _until("Mallory")},
            {"action": "mute", "kind": "name", "who": "eve", "by": "zoe", "reason": "too loud",
             "until": _until("eve")},
        ]  # fmt: skip
        for name, client_id in (("BOB", "new"), ("innocent", "id-of-bob"), ("mallory", "new")):
            script.open("banned")
            script.send("banned", "hello", name=name, client_id=client_id)
            assert script.expect("banned", type="error")["code"] == "banned"
            script.closed("banned")
        script.open("network", headers={"X-Forwarded-For": "203.0.113.9"})
        assert script.lines[-1].startswith("network x HTTP 403")
        script.enter("eve", "lobby")
        script.send("eve", "message", message="hm", room="lobby", nonce="1")
        assert script.expect("eve", nonce="1")["code"] == "muted"
        script.ask("zoe", "unban", who="bob")
        script.enter("bob", "lobby")


def _until(shown: str) -> str:
    [found] = [
        each for each in read_json(HOME / f"moderation-{RECORDED_PORT}.json") if each["shown"] == shown
    ]
    until: str = found["until"]
    return until.replace("Z", "+00:00")


def test_tokens_are_accepted_listed_and_revoked(tmp_path: Path) -> None:
    restored(tmp_path)
    outcome = run("token", "list", home=tmp_path)
    assert outcome.status == 0
    listed = [line.split() for line in outcome.out.splitlines()]
    entries = read_json(HOME / "tokens.json")["tokens"]
    assert [(words[0], words[1], words[-1]) for words in listed] == [
        (entry["id"], entry["role"], entry["name"]) for entry in entries
    ]
    with (
        serving("--auth", "token", "--history", "memory", home=tmp_path) as server,
        transcript(server.url) as script,
    ):
        script.open("nobody", v1=False)
        assert script.lines[-1].startswith("nobody x HTTP 401")
        for name, token in (("zoe", ZOE_ADMIN), ("mia", MIA_MEMBER), ("rita", RITA_READER)):
            script.open(name, token=token)
            assert script.hello(name, as_name="", rooms=[{"room": "lobby"}])["name"] == name
        script.say("mia", "hi", room="lobby", nonce="1", to=["zoe", "rita"])
        script.send("rita", "message", message="hi", room="lobby", nonce="2")
        assert script.expect("rita", nonce="2")["code"] == "forbidden"
        assert "items" in script.ask("zoe", "bans")
        assert run("token", "revoke", entries[0]["id"], home=tmp_path).status == 0
        script.closed("zoe")
        assert script.lines[-1].startswith("zoe x CLOSED 4500")


def test_certificate_matches_saved_pins(tmp_path: Path) -> None:
    tls_port = unused_port()
    directory = restored(tmp_path, tls_port=tls_port)
    options = ("--auth", "token", "--tls", "self-signed", "--history", "memory")
    pin = read_json(HOME / f"server-{RECORDED_TLS_PORT}.json")["pin"]
    invite = run("invite", "--port", str(tls_port), home=tmp_path)
    assert invite.out == f"broadcast-tui chat 'wss://127.0.0.1:{tls_port}/lobby#pin={pin}'\n"
    with serving(*options, home=tmp_path, port=tls_port):
        assert read_json(directory / f"server-{tls_port}.json")["pin"] == pin
        sent = run("send", "--url", f"wss://127.0.0.1:{tls_port}", "--wait", "over TLS", home=tmp_path)
        assert (sent.status, sent.err) == (0, "")
        outcome = run("tail", f"wss://127.0.0.1:{tls_port}", "--json", home=tmp_path)
        assert (outcome.status, json.loads(outcome.out)["sender"]) == (0, "mia")
    assert run("forget", f"wss://127.0.0.1:{tls_port}", home=tmp_path).status == 0
    assert list(read_json(directory / "credentials.json")) == [f"ws://127.0.0.1:{RECORDED_PORT}"]


# -- the chat's files


def test_chat_restores_its_state(tmp_path: Path) -> None:
    port = unused_port()
    directory = restored(tmp_path, port=port)
    before = {name: read_json(directory / name) for name in ("state.json", "credentials.json", "read.json")}
    with serving("--keep-days", "0", home=tmp_path, port=port) as server, transcript(server.url) as script:
        script.enter("zoe", "lobby", "dev", token=ZOE_ADMIN)
        script.enter("troll", "dev")
        script.say("zoe", "news for mia", room="dev", nonce="q1", to=["troll"])
        script.say("troll", "ignored words", room="dev", nonce="q2")
        script.say("zoe", "more news", room="dev", nonce="q3")
        script.say("zoe", "lobby news", room="lobby", nonce="q4")
        words = program("chat", server.url)
        with Terminal(words, columns=100, rows=30, environment=environment(tmp_path)) as terminal:
            terminal.wait_for("read by many", "more news", "Où sont les bugs?")
            rows = terminal.lines
            assert not any("ignored words" in row for row in rows)
            assert any(re.match(r"▸2 dev\b", row) for row in rows), "the room shown last is shown"
            terminal.wait_until(
                lambda: any(re.match(r" 1 lobby +1\b", row) for row in terminal.lines),
                "1 unread in the lobby",
            )
            read, unread = (_row_with(rows, text) for text in ("read by many", "news for mia"))
            assert any("─────" in row for row in rows[read + 1 : unread]), "a line above what is new"
            terminal.type(UP)
            terminal.wait_for("Editing")  # the last post
            terminal.type(UP)
            terminal.wait_for("/theme nord")
            terminal.type(CTRL_U)
            terminal.enter("as mia")
            assert script.expect("zoe", type="message", message="as mia")["sender"] == "mia"
            wait_for_read(directory / "read.json", server.url, "dev", 6, terminal)
            terminal.type(CTRL_Q)
            assert terminal.wait_exit() == 0
    for name in ("state.json", "credentials.json"):
        assert read_json(directory / name) == before[name]
    typed = (directory / "input-history.jsonl").read_text().splitlines()
    assert json.loads(typed[-1]) == {"room": "dev", "text": "as mia"}
    assert len(typed) == len((HOME / "input-history.jsonl").read_text().splitlines()) + 1


def _row_with(rows: list[str], text: str) -> int:
    [found] = [number for number, row in enumerate(rows) if text in row]
    return found


def wait_for_read(path: Path, url: str, room: str, seq: int, terminal: Terminal) -> None:
    """Wait until the chat has saved the read position of a room."""

    def is_written() -> bool:
        post_id: str = read_json(path)[url][room][0]
        return post_id.endswith(f"-{seq}")

    terminal.wait_until(is_written, f"{room} read up to {seq}")


# -- files of options


def test_all_settings_of_a_config_file_apply(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    shutil.copyfile(FILES / "config.toml", path)
    shown = run("config", home=tmp_path, env={"BROADCAST_TUI_CONFIG": str(path)})
    assert (shown.status, shown.err) == (0, "")
    rows = [re.sub(r" +# ", "  # ", line.replace(str(path), "FILE")) for line in shown.out.splitlines()[1:]]
    given = [row for row in rows if row.endswith("# FILE")]
    check_golden("config.txt", "\n".join(given) + "\n", inside=FILES)


def test_serve_config_file_applies(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    shutil.copyfile(FILES / "server.toml", path)
    assert run("config", "check", str(path), home=tmp_path).status == 0
    with serving("--config", str(path), home=tmp_path) as server, transcript(server.url) as script:
        script.open("ana")
        assert script.hello("ana", rooms=[{"room": "a"}])["limits"] == {
            "message_bytes": 300, "rate": 1.5, "burst": 5, "page": 200, "rooms": 3,
        }  # fmt: skip
        script.send("ana", "message", message="x" * 301, room="a", nonce="1")
        assert script.expect("ana", nonce="1")["code"] == "too_long"
        script.open("page", headers={"Origin": "https://chat.example.org"})
        script.open("stranger", headers={"Origin": "https://third.example"})
        assert script.lines[-1].startswith("stranger x HTTP 403")
        for number in range(4):
            script.open(f"proxied {number}", headers={"X-Forwarded-For": "198.51.100.1"})
        script.open("one more", headers={"X-Forwarded-For": "198.51.100.1"})
        assert script.lines[-1].startswith("one more x HTTP 429 Retry-After")
    log = (tmp_path / "serve.log").read_text().splitlines()
    assert log
    assert all(isinstance(json.loads(line), dict) for line in log)


# -- files that are written now


def test_files_have_the_recorded_structure(tmp_path: Path) -> None:
    port, tls_port = unused_port(), unused_port()
    live(tmp_path, port, tls_port)
    written = {
        path.name.replace(str(port), "PORT").replace(str(tls_port), "TLS"): path
        for path in (tmp_path / DIRECTORY).iterdir()
        if not path.name.endswith((".lock", "-epoch"))
    }
    recorded = {_on_ports(path.name, 1, 2).replace("-1.", "-PORT.").replace("-2.", "-TLS."): path
                for path in HOME.iterdir()}  # fmt: skip
    assert sorted(written) == sorted({*recorded, *NEW_FILES})
    assert {path.stat().st_mode & 0o777 for path in written.values()} == {0o600}
    assert (tmp_path / DIRECTORY).stat().st_mode & 0o777 == 0o700

    def stable(key: str) -> str:
        for number, name in ((port, "PORT"), (tls_port, "TLS")):
            key = key.replace(str(number), name)
        return key.replace(str(RECORDED_PORT), "PORT").replace(str(RECORDED_TLS_PORT), "TLS")

    for name in sorted(recorded):
        pair = recorded[name], written[name]
        if name.endswith(".json"):
            old, new = (shape(read_json(path), stable) for path in pair)
            assert new == old, name
        elif name.endswith(".jsonl"):
            # The same input was typed.
            assert pair[1].read_text() == pair[0].read_text()
        elif name.endswith(".pem"):
            old, new = (re.findall("-----.*-----", path.read_text()) for path in pair)
            assert new == old
        else:
            copy = tmp_path / "converted.db"
            shutil.copyfile(recorded[name], copy)
            asyncio.run(converted(copy))
            assert schema(written[name]) == schema(copy)


async def converted(path: Path) -> None:
    """Convert a file of an earlier version."""
    engine = SqliteEngine(path, keep_days=0, keep_posts=0)
    await engine.start()
    await engine.close()


def schema(path: Path) -> Frame:
    """The schema of a SQLite file, and the contents of its tables without times, ids and texts."""
    with contextlib.closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    ) as db:
        found: Frame = {
            pragma: db.execute(f"PRAGMA {pragma}").fetchone()
            for pragma in ("application_id", "encoding", "page_size", "auto_vacuum")
        }
        found["schema"] = db.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master"
            " WHERE tbl_name IN ('meta', 'rooms', 'posts') AND type != 'trigger' ORDER BY name"
        ).fetchall()
        found["epoch"] = db.execute(
            "SELECT length(value), typeof(value) FROM meta WHERE key = 'epoch'"
        ).fetchall()
        found["rooms"] = db.execute("SELECT * FROM rooms ORDER BY id").fetchall()
        found["posts"] = db.execute(
            "SELECT id, room_id, seq, typeof(at_us), sender, text, typeof(client_id), nonce != ''"
            " FROM posts ORDER BY id"
        ).fetchall()
    return found
