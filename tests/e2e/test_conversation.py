"""What people do with posts, as two terminals and a plain client of another library see it."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.sync.client import ClientConnection, connect

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.server.token_store import TokenStore
from tests.e2e.conftest import HistoryServer, terminals
from tests.e2e.test_terminals import CTRL_U, ESCAPE, PAGE_UP, UP
from tests.support.plain import Frame, WireClient, v1_client
from tests.support.ports import unused_port
from tests.support.running import PATIENCE_S
from tests.support.terminal import Terminal

ALT_UP, ALT_R, BACKSPACE = "\x1b[1;3A", "\x1br", "\x7f"


class Plain:
    """A plain client named bob."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._marks = 0

    def say(self, text: str) -> list[str]:
        """Post; returns the lines before the post."""
        self._socket.send(json.dumps({"type": "message", "message": text, "sender": "bob"}))
        return self.until(text)

    def lines(self) -> list[str]:
        """All lines since the last call."""
        self._marks += 1
        return self.say(f"mark {self._marks}")

    def until(self, text: str) -> list[str]:
        """Read up to the message `text`; returns the lines before it, with the sender of a message."""
        lines = []
        while (line := self._line())[1] != text:
            lines.append(": ".join(filter(None, line)))
        return lines

    def until_online(self, count: int) -> None:
        """Read up to the line about the last of `count` people who join, which can come late."""
        while not self._line()[1].endswith(f" {count} client(s) online."):
            pass

    def _line(self) -> tuple[str, str]:
        frame: dict[str, Any] = json.loads(self._socket.recv(PATIENCE_S))
        return frame.get("sender", "") if frame["type"] == "message" else "", frame["message"]


class Talk(NamedTuple):
    """A lobby: two terminals and a plain client."""

    server: HistoryServer
    ana: Terminal
    zoe: Terminal
    bob: Plain

    def post(self, author: Terminal, text: str) -> None:
        """Post `text` and wait until everyone has it."""
        author.enter(text)
        for terminal in (self.ana, self.zoe):
            terminal.wait_for(text)
        self.bob.until(text)

    def wait_for(self, *texts: str) -> None:
        """Wait until both terminals show `texts`."""
        for terminal in (self.ana, self.zoe):
            terminal.wait_for(*texts)

    def stored(self) -> list[Frame]:
        """The posts and notes of the lobby."""

        async def read() -> list[Frame]:
            async with v1_client(self.server.url, "reader", notes=True, presence=False) as client:
                await client.send("history", room="lobby", latest=True, limit=100, ref="h")
                return list((await client.next_of(type="history", ref="h"))["items"])

        return asyncio.run(read())


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    server = HistoryServer(tmp_path)
    server.start("--message-rate", "0", "--max-new-per-minute", "0")
    try:
        with terminals(tmp_path) as open_one, connect(server.url) as socket:
            bob = Plain(socket)
            bob.lines()
            ana, zoe = (
                open_one("chat", server.url, "--name", name, home=name, columns=110)
                for name in ("ana", "zoe")
            )
            for terminal in (ana, zoe):
                terminal.wait_for("● online", "3 here", "ana", "bob", "zoe")
            bob.until_online(3)
            yield Talk(server, ana, zoe, bob)
    finally:
        server.stop()


# -- the rows of the table of notes


def test_edit_as_each_sees_it(talk: Talk) -> None:
    talk.post(talk.ana, "Deploying 1.4")
    talk.ana.type(UP)
    talk.ana.wait_for("Editing")
    talk.ana.enter(f"{BACKSPACE}5")
    talk.wait_for("Deploying 1.5 (edited)")
    talk.ana.wait_gone("Editing")
    assert talk.bob.lines() == ["ana edited a message: Deploying 1.5"]


def test_delete_as_each_sees_it(talk: Talk) -> None:
    talk.post(talk.zoe, "Not for this room")
    talk.zoe.enter("/delete wrong room")
    talk.zoe.wait_for("Delete your message")
    talk.zoe.type("y")
    talk.wait_for("deleted by zoe: wrong room")
    for terminal in (talk.ana, talk.zoe):
        terminal.wait_gone("Not for this room")
    assert talk.bob.lines() == ["A message from zoe was deleted."]


def test_pin_as_each_sees_it(talk: Talk) -> None:
    talk.post(talk.zoe, "Rules of this room")
    talk.ana.type(f"{ALT_UP}p")
    talk.wait_for("pinned: 1", "Rules of this room (pinned)")
    talk.ana.type(ESCAPE)
    assert talk.bob.lines() == ["ana pinned a message from zoe."]
    talk.zoe.enter("/pins")
    talk.zoe.wait_for("Pinned in #lobby", "Rules of this room")
    talk.zoe.type(ESCAPE)
    talk.zoe.wait_gone("Pinned in #lobby")


def test_reaction_as_each_sees_it(talk: Talk) -> None:
    talk.post(talk.ana, "It works")
    talk.zoe.type(f"{ALT_UP}+tada\r")
    talk.wait_for("🎉 1")
    talk.zoe.type(ESCAPE)
    assert talk.bob.lines() == []


def test_reply_as_each_sees_it(talk: Talk) -> None:
    talk.bob.say("Is the table locked?")
    talk.zoe.wait_for("Is the table locked?")
    talk.zoe.type(f"a draft{ALT_UP}r")
    talk.zoe.wait_for("Replying to bob")
    talk.zoe.enter("Yes, by hand")
    talk.wait_for("↪ bob: Is the table locked?", "Yes, by hand")
    talk.zoe.wait_for("a draft")
    talk.zoe.type(CTRL_U)
    assert talk.bob.lines() == ["zoe: Yes, by hand"]


def test_question_and_answers_as_each_sees_them(talk: Talk) -> None:
    talk.ana.enter("/ask zoe Deploy 1.6?")
    talk.wait_for("Deploy 1.6?", "0/1, waiting: zoe")
    talk.zoe.type(ALT_R)
    talk.zoe.wait_for("1 yes", "2 no")
    talk.zoe.type("2")
    talk.wait_for("no 1  zoe", "closed, 1/1")
    [line] = talk.bob.lines()
    assert "ana: Deploy 1.6?" in line


def test_announcement_is_acknowledged(talk: Talk) -> None:
    talk.ana.enter("/announce Deploying 1.7 soon")
    talk.zoe.wait_for("Alt+R acknowledge", "Deploying 1.7 soon")
    talk.zoe.type(ALT_R)
    talk.zoe.wait_gone("Alt+R acknowledge")
    talk.ana.wait_for("1/")


# -- elsewhere, offline, and across a crash


def seq_of(entry: Frame) -> int:
    return int(entry["id"].split("-")[1])


def view(terminal: Terminal) -> list[str]:
    """The rows of the log, without the member list and the scrollbar."""
    status = next(n for n, line in enumerate(terminal.lines) if "● online" in line)
    return [line[:60].rstrip() for line in terminal.lines[:status]]


def test_post_that_changes_while_scrolled_away_changes_in_place(talk: Talk) -> None:
    for number in range(30):
        talk.bob.say(f"older {number}")
    talk.post(talk.zoe, "A post far up")
    for number in range(25):
        talk.bob.say(f"newer {number}")
    talk.ana.wait_for("newer 24")
    while "A post far up" not in talk.ana.text:
        talk.ana.type(PAGE_UP)
        talk.ana.wait_idle(talk.server.process_id)
    before = view(talk.ana)
    row = next(number for number, line in enumerate(before) if "A post far up" in line)

    talk.zoe.enter("/edit A changed post")
    talk.ana.wait_for("A changed post (edited)")
    talk.bob.say("the newest one")
    talk.zoe.wait_for("the newest one")
    talk.ana.wait_idle(talk.server.process_id)
    changed = before[row].replace("A post far up", "A changed post (edited)")
    assert view(talk.ana) == [*before[:row], changed, *before[row + 1 :]]

    talk.zoe.enter("/delete")
    talk.zoe.wait_for("Delete your message")
    talk.zoe.type("y")
    talk.ana.wait_for("deleted by zoe")
    talk.ana.wait_idle(talk.server.process_id)
    changed = before[row].replace("A post far up", "deleted by zoe")
    assert view(talk.ana) == [*before[:row], changed, *before[row + 1 :]]
    talk.ana.type(ESCAPE)
    talk.ana.wait_for("the newest one")


def test_actions_during_a_crash_of_the_server_happen_once(talk: Talk) -> None:
    talk.zoe.enter("/ask ana Ready to go?")
    talk.ana.wait_for("Ready to go?")
    talk.post(talk.ana, "Mine at first")
    newest = seq_of(talk.stored()[-1])
    talk.server.kill()
    for terminal in (talk.ana, talk.zoe):
        terminal.wait_for("econnecting")
    for line in ("s/at first/at last/", "/answer yes", "/reply On my way", "/react :eyes:", "/pin"):
        talk.ana.enter(line)
    talk.ana.wait_for("5 queued")
    talk.server.start()
    talk.wait_for("● online", "Mine at last (edited)", "yes 1  ana", "On my way (pinned)", "👀 1")
    new = [entry for entry in talk.stored() if seq_of(entry) > newest]
    assert sorted(str(entry.get("note", "post")) for entry in new) == [
        *("answer", "edit", "pin", "post", "react")
    ]


def test_reaction_to_a_post_deleted_meanwhile_is_rejected(talk: Talk) -> None:
    talk.post(talk.zoe, "Soon gone")
    talk.ana.enter("/disconnect")
    talk.ana.wait_for("○ offline")
    talk.zoe.enter("/delete")
    talk.zoe.wait_for("Delete your message")
    talk.zoe.type("y")
    talk.zoe.wait_gone("Soon gone")
    talk.ana.enter("/react :tada:")
    talk.ana.wait_for("1 queued")
    talk.ana.enter("/reconnect")
    talk.ana.wait_for("deleted by zoe", "This message was deleted")
    assert "🎉" not in talk.ana.text


# -- direct messages


async def test_direct_messages_are_seen_by_nobody_else(tmp_path: Path) -> None:
    server, book = HistoryServer(tmp_path), TokenStore(tmp_path / "tokens.json")
    roles = {"ana": Role.MEMBER, "bob": Role.MEMBER, "mia": Role.MEMBER, "kim": Role.ADMIN}
    tokens = {name: book.create(name, role, None)[0] for name, role in roles.items()}
    metrics_port = unused_port()
    options = ("--auth", "token", "--tokens", str(book.path), "--metrics-port", str(metrics_port))
    server.start(*options, "--log-level", "debug")
    try:
        with terminals(tmp_path) as open_one:
            ana, bob, mia = (
                open_one("chat", f"{server.url}#token={tokens[name]}", home=name)
                for name in ("ana", "bob", "mia")
            )
            async with AsyncExitStack() as stack:
                kim = await stack.enter_async_context(v1_client(server.url, token=tokens["kim"], notes=True))
                for terminal in (ana, bob, mia):
                    terminal.wait_for("4 here")
                ana.enter("/msg bob psst swordfish")
                bob.wait_for("2:@ana")
                bob.type("\x1ba")
                bob.wait_for("psst swordfish")
                bob.type(f"{ALT_UP}+tada\r")
                bob.wait_for("🎉 1")
                ana.enter("/query bob")
                ana.wait_for("psst swordfish", "🎉 1")
                ana.type(UP)
                ana.wait_for("Editing")
                ana.enter(" kingfisher")
                bob.wait_for("psst swordfish kingfisher (edited)")
                await learns_nothing(kim)
                await kim.settle()
                seen = kim.frames
            server.kill()
            for terminal in (ana, bob, mia):
                terminal.wait_for("econnecting")
            server.start()
            async with v1_client(server.url, token=tokens["kim"], notes=True) as kim:
                await learns_nothing(kim)
                seen += kim.frames
            for terminal in (ana, bob):
                terminal.wait_for("● online", "psst swordfish kingfisher (edited)")
            mia.wait_for("● online")
            mia.enter("/search swordfish")
            mia.wait_for("No results")
            with urllib.request.urlopen(
                f"http://127.0.0.1:{metrics_port}/metrics", timeout=PATIENCE_S
            ) as page:
                metrics = page.read().decode()
            assert secrets_in(json.dumps(seen, ensure_ascii=False)) == []
            assert secrets_in(server.log.read_text() + metrics, "@ana") == []
            assert secrets_in(bytes(mia.raw).decode(errors="replace"), "@ana") == []
    finally:
        server.stop()


def secrets_in(seen: str, *more: str) -> list[str]:
    return [word for word in ("psst", "kingfisher", "🎉", *more) if word in seen]


async def learns_nothing(client: WireClient) -> None:
    """Request the direct messages of ana and bob in each way; no answer reveals that they exist."""
    requests: list[Frame] = [
        {"type": "join", "last": 10},
        {"type": "history", "latest": True, "limit": 10},
        {"type": "search", "query": "swordfish"},
        {"type": "presence"},
        {"type": "topic", "topic": "x"},
    ]
    for request in requests:
        answers: list[Frame] = []
        for room in ("@ana+bob", "@mia+bob"):  # the second one does not exist
            await client.send(**request, room=room, ref="request")
            answers.append({**await client.next_of(ref="request"), "room": ""})
        assert answers[0]["code"] in ("forbidden", "not_in_room"), request
        assert answers[0] == answers[1]
    await client.send("list", ref="list")
    assert [room["room"] for room in (await client.next_of(ref="list"))["rooms"]] == ["lobby"]
    await client.send("search", room="lobby", query="swordfish", ref="search")
    assert (await client.next_of(ref="search"))["items"] == []
