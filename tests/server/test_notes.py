"""Notes over real connections, as their author and each kind of reader see them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import websocket

from broadcast_tui.core.limits import Limits
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.server import BroadcastServer
from tests.support.plain import Frame, WireClient, plain_client, v1_client
from tests.support.running import PATIENCE_S, eventually, in_time, running_server

UNLIMITED = Limits(message_rate=0, message_burst=0)


class Room(NamedTuple):
    """A server and everyone in its lobby."""

    server: BroadcastServer
    author: WireClient
    reader: WireClient
    old: WireClient
    """A v1 client of version 0.1."""
    plain: WireClient

    async def note(self, kind: str, re: str, **fields: object) -> None:
        await self.author.send("note", note=kind, re=re, nonce=f"nonce of {kind}", **fields)

    async def post(self, text: str, **fields: object) -> str:
        """A post of the author that everyone has read; its id."""
        await self.author.say(text, nonce=f"nonce of {text}", **fields)
        frames = [
            await client.next_of(type="message", message=text)
            for client in (self.author, self.reader, self.old, self.plain)
        ]
        return str(frames[0]["id"])


def engine_of(kind: str, path: Path) -> Engine:
    return SqliteEngine(path / "history.db") if kind == "sqlite" else MemoryEngine()


@asynccontextmanager
async def lobby(engine: Engine) -> AsyncIterator[Room]:
    async with (
        running_server(engine=engine, limits=UNLIMITED) as server,
        v1_client(server.url, "ana", notes=True) as author,
        v1_client(server.url, "bob", notes=True) as reader,
        v1_client(server.url, "old") as old,
        plain_client(server.url) as plain,
    ):
        yield Room(server, author, reader, old, plain)


@pytest.fixture(params=["memory", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    return engine_of(request.param, tmp_path)


async def test_each_note_as_everyone_sees_it(engine: Engine) -> None:
    async with lobby(engine) as room:
        post = await room.post("Deploying 1.4")
        epoch = post.split("-")[0]
        rows: list[tuple[str, dict[str, object], dict[str, Any], str, str]] = [
            (
                "edit", {"message": "Deploying 1.5"}, {"message": "Deploying 1.5"},
                "ana edited a message: Deploying 1.5", "ana edited a message: Deploying 1.5",
            ),
            ("pin", {}, {"pinned": {"by": "ana"}}, *2 * ("ana pinned a message from ana.",)),
            (
                "react", {"key": "👍"}, {"reactions": {"👍": {"count": 1, "names": ["ana"]}}},
                "Reactions to a message from ana: 👍 1", "",
            ),
            ("pin", {"on": False}, {}, *2 * ("ana unpinned a message from ana.",)),
            (
                "delete", {"reason": "wrong room"}, {"deleted": {"by": "ana", "reason": "wrong room"}},
                "A message from ana was deleted.", "A message from ana was deleted.",
            ),
        ]  # fmt: skip
        for number, (kind, fields, now, legacy, plain) in enumerate(rows):
            await room.author.send("note", note=kind, re=post, nonce=f"n{number}", **fields)
            ack = await room.author.next_of(type="ack", nonce=f"n{number}")
            own = await room.author.next_of(type="note")
            seen = await room.reader.next_of(type="note")
            assert seen["id"] == own["id"] == f"{epoch}-{number + 2}"
            assert (seen["note"], seen["re"], seen["by"]) == (kind, post, "" if kind == "react" else "ana")
            state = {
                key: {k: v for k, v in value.items() if k != "at"} if isinstance(value, dict) else value
                for key, value in seen["now"].items()
                if key != "edited"
            }
            assert state == now
            assert "nonce" not in seen
            if kind == "react":
                assert ack["id"] == post, "it is announced by another entry"
            else:
                assert (own.pop("nonce"), ack["id"]) == (f"n{number}", own["id"])
                assert seen == own
            described = await room.old.next_of(type="message", id=seen["id"])
            assert described["message"] == legacy
            assert described["sender"] == ("server" if kind == "react" else "ana")
            if plain:
                line = await room.plain.next_of(type="system", event="note")
                assert (line["message"], line["name"]) == (plain, "ana")
        types = {(frame["type"], frame.get("event")) for frame in room.plain.frames}
        assert ("system", "note") in types
        assert not [frame for frame in room.plain.frames if "👍" in json.dumps(frame, ensure_ascii=False)]


async def test_a_question_as_everyone_sees_it(engine: Engine) -> None:
    async with lobby(engine) as room:
        ask = {"choices": ["yes", "no"], "until_s": 600, "to": ["ana", "bob"]}
        await room.author.say("Deploy?", ask=ask)
        seen = await room.reader.next_of(type="message")
        assert {key: seen["ask"][key] for key in ("choices", "of", "to")} == {
            "choices": ["yes", "no"], "of": 2, "to": ["ana", "bob"],
        }  # fmt: skip
        assert seen["waiting"] == ["ana", "bob"]
        await room.reader.send("note", note="answer", re=seen["id"], choice="yes", nonce="b")
        assert (await room.reader.next_of(type="ack", nonce="b"))["id"] == seen["id"]
        first = await room.author.next_of(type="note", note="answer")
        assert first["now"] == {"tally": {"yes": {"count": 1, "names": ["bob"]}}, "of": 2, "waiting": ["ana"]}
        await room.note("answer", seen["id"], choice="no")
        last = await room.reader.next_of(type="note", id=f"{seen['id'].split('-')[0]}-3")
        assert last["now"]["tally"]["no"]["names"] == ["ana"]
        assert last["now"]["closed"]
        assert (await room.old.next_of(id=last["id"]))["message"] == (
            "Answers to a question from ana: yes 1, no 1 (closed)"
        )


async def test_replays_history_and_search_are_folded(engine: Engine) -> None:
    async with lobby(engine) as room:
        post = await room.post("secret draft")
        await room.note("edit", post, message="final text")
        gone = await room.post("secret number")
        await room.note("delete", gone)
        await room.reader.next_of(type="note", note="delete")
        async with (
            v1_client(room.server.url, "new", rooms=[{"room": "lobby", "last": 10}], notes=True) as new,
            v1_client(room.server.url, "late", rooms=[{"room": "lobby", "last": 10}]) as late,
        ):
            replay = [
                frame for frame in await new.until(type="synced") if frame["type"] in ("message", "note")
            ]
            await new.send("history", ref="h", latest=True)
            page = await new.next_of(type="history", ref="h")
            assert page["items"] == replay
            assert [item["type"] for item in replay] == ["message", "note", "message", "note"]
            assert (replay[0]["message"], replay[2]["message"]) == ("final text", "")
            assert (replay[0]["as"], replay[2]["as"]) == (2, 4)
            await late.until(type="synced")
            await late.send("history", ref="h", latest=True)
            legacy = await late.next_of(type="history", ref="h")
            shown = [frame for frame in late.frames if frame["type"] == "message"]
            assert legacy["items"] == shown
            assert all(item["message"] for item in shown)
            for query, found in (("sec", []), ("final", ["final text"])):
                await new.send("search", ref=query, query=query)
                items = (await new.next_of(type="search", ref=query))["items"]
                assert [item["message"] for item in items] == found
            text = json.dumps([*new.frames, *late.frames, *page["items"], *legacy["items"]])
            assert "secret" not in text
        for hub_room in room.server._runner.hub.rooms.by_name.values():
            assert b"secret" not in b"".join(hub_room.ring.after(0))


async def test_pins_and_threads_are_pages(engine: Engine) -> None:
    async with lobby(engine) as room:
        root = await room.post("root")
        await room.post("other")
        reply = await room.post("reply", re=root)
        await room.post("reply to the reply", re=reply)
        await room.note("pin", reply)
        await room.reader.next_of(type="note", note="pin")
        await room.reader.send("history", ref="t", root=root, latest=True)
        thread = await room.reader.next_of(type="history", ref="t")
        assert [item["message"] for item in thread["items"]] == ["root", "reply", "reply to the reply"]
        assert (thread["items"][2]["re"], thread["items"][2]["root"], thread["more"]) == (reply, root, False)
        await room.reader.send("history", ref="p", pinned=True)
        pins = await room.reader.next_of(type="history", ref="p")
        assert [item["id"] for item in pins["items"]] == [reply]
        await room.reader.send("search", ref="s", query="reply", root=root)
        found = await room.reader.next_of(type="search", ref="s")
        assert [item["message"] for item in found["items"]] == ["reply", "reply to the reply"]
        await room.reader.send("join", ref="j", room="lobby")
        assert (await room.reader.next_of(type="joined"))["pinned"] == [reply]


async def test_rejected_notes_are_errors_with_their_nonce(engine: Engine) -> None:
    async with lobby(engine) as room:
        post = await room.post("mine")
        await room.reader.send("note", note="edit", re=post, message="his", nonce="n1")
        assert (await room.reader.next_of(type="error", nonce="n1"))["code"] == "forbidden"
        await room.note("edit", post.split("-")[0] + "-99", message="x")
        assert (await room.author.next_of(type="error", nonce="nonce of edit"))["code"] == "no_such_post"
        await room.plain.send("note", note="edit", re=post, message="x")
        assert (await room.plain.next_of(type="system", event="error"))["code"] == "bad_frame"


async def test_a_crowd_answers_before_and_after_a_restart(tmp_path: Path) -> None:
    names = [f"user{number}" for number in range(100)]
    ask = {"choices": ["yes", "no"], "until_s": 600, "to": names}
    async with (
        running_server(engine=SqliteEngine(tmp_path / "h.db"), limits=UNLIMITED) as server,
        v1_client(server.url, "ana", notes=True) as ana,
    ):
        await ana.say("Lunch?", ask=ask, nonce="q")
        asked = await ana.next_of(type="ack", nonce="q")
        await _answer(server, asked["id"], names[:50])
    async with (
        running_server(engine=SqliteEngine(tmp_path / "h.db"), limits=UNLIMITED) as server,
        v1_client(server.url, "ana", rooms=[{"room": "lobby", "since": asked["id"]}], notes=True) as ana,
    ):
        await _answer(server, asked["id"], names[50:])
        last: Frame = {}
        while not last.get("now", {}).get("closed"):
            last = await ana.next_of(type="note", note="answer")
    assert last["now"]["tally"]["yes"]["count"] == 100


async def test_300_people_who_answer_at_once_are_a_note_per_second(engine: Engine) -> None:
    loop = asyncio.get_running_loop()
    async with (
        running_server(engine=engine, limits=UNLIMITED) as server,
        v1_client(server.url, "ana", notes=True) as ana,
        AsyncExitStack() as stack,
    ):
        crowd = [await stack.enter_async_context(v1_client(server.url, f"user{n}")) for n in range(300)]
        await ana.say("Lunch?", ask={"choices": ["yes", "no"], "until_s": 600}, nonce="q")
        asked = (await ana.next_of(type="ack", nonce="q"))["id"]
        started = loop.time()
        for number, client in enumerate(crowd):
            await client.send("note", note="answer", re=asked, choice=("yes", "no")[number % 2], nonce="a")
        for client in crowd:
            assert not (await client.next_of(type="ack", nonce="a"))["dup"]
        tally: dict[str, int] = {}
        while sum(tally.values()) < 300:
            note = await ana.next_of(type="note", note="answer")
            tally = {choice: votes["count"] for choice, votes in note["now"]["tally"].items()}
        notes = [frame for frame in ana.frames if frame["type"] == "note"]
        assert tally == {"yes": 150, "no": 150}
        assert len(notes) <= 2 + (loop.time() - started)


async def _answer(server: BroadcastServer, post: str, names: list[str]) -> None:
    async def answer(name: str) -> None:
        async with v1_client(server.url, name, notes=True) as client:
            await client.send("note", note="answer", re=post, choice="yes", nonce="a")
            assert not (await client.next_of(type="ack", nonce="a"))["dup"]

    for start in range(0, len(names), 25):
        await asyncio.gather(*map(answer, names[start : start + 25]))


def chat(url: str, lines: list[str]) -> list[Frame]:
    """Read with another library until the last of `lines`; the frames."""
    connection = websocket.create_connection(url, timeout=PATIENCE_S)
    try:
        frames: list[Frame] = []
        connection.send('{"type":"message","message":"ready","sender":"Carl"}')
        while not frames or frames[-1]["message"] != lines[-1]:
            frames.append(json.loads(connection.recv()))
        return frames
    finally:
        connection.close()


async def test_a_plain_client_of_another_library_reads_lines_about_notes() -> None:
    lines = ["one", "ana edited a message: two", "A message from ana was deleted."]
    async with running_server(limits=UNLIMITED) as server, v1_client(server.url, "ana", notes=True) as ana:
        reading = asyncio.create_task(asyncio.to_thread(chat, server.url, lines))
        await ana.next_of(type="message", message="ready")
        await ana.say("one", nonce="p")
        post = (await ana.next_of(type="ack", nonce="p"))["id"]
        await ana.send("note", note="edit", re=post, message="two")
        await ana.send("note", note="react", re=post, key="👍")
        await ana.say("gone", nonce="g")
        gone = (await ana.next_of(type="ack", nonce="g"))["id"]
        await ana.send("note", note="delete", re=gone)
        frames = await in_time(reading)
        assert [frame["message"] for frame in frames if frame["message"] in lines] == lines
        assert {frame["type"] for frame in frames} == {"message", "system"}


async def test_notes_are_counted_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "broadcast_tui.server")
    async with lobby(MemoryEngine()) as room:
        post = await room.post("first text")
        await room.note("edit", post, message="second text")
        await room.note("react", post, key="👍")
        await room.note("delete", post, reason="third text")
        await room.reader.next_of(type="note", note="delete")
        stats = room.server._runner.stats
        await eventually(lambda: stats.notes == {"edit": 1, "react": 1, "delete": 1})
        assert stats.posts == 1
    assert "note(s) from ana in lobby" in caplog.text
    assert "text" not in "".join(record.getMessage() for record in caplog.records)
