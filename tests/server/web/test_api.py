"""The HTTP API: posting, reading, listing, and the description of all that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest

from broadcast_tui.core.errors import EngineError
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.limits import Limits
from broadcast_tui.core.notes import NewEntry
from broadcast_tui.core.post import AppendResult
from broadcast_tui.core.rate_limit import LOOPBACK_FAILURES_PER_MINUTE
from broadcast_tui.engine.memory import MemoryEngine
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.token_store import TokenStore
from tests.support.plain import v1_client
from tests.support.running import PATIENCE_S, running_server

UNLIMITED = Limits(message_rate=0, history_rate=0)


class Answer:
    """A complete response."""

    def __init__(self, status: int, headers: Any, text: str) -> None:
        self.status = status
        self.headers = headers
        self.text = text

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def messages(self) -> list[str]:
        return [item["message"] for item in self.lines]


class Script:
    """A client of the API."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        async with asyncio.timeout(PATIENCE_S), self.session.request(method, path, **options) as response:
            return Answer(response.status, response.headers, await response.text())

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.ask("GET", path, **options)

    async def post(self, text: str, room: str = "ops", **options: Any) -> Answer:
        return await self.ask("POST", f"/rooms/{room}", data=text.encode(), **options)


@asynccontextmanager
async def script_for(server: BroadcastServer) -> AsyncIterator[Script]:
    url = server.url.replace("ws", "http", 1)
    async with aiohttp.ClientSession(url) as session:
        yield Script(session)


@asynccontextmanager
async def scripted_server(limits: Limits = UNLIMITED) -> AsyncIterator[tuple[BroadcastServer, Script]]:
    async with running_server(limits=limits) as server, script_for(server) as script:
        yield server, script


# -- posting


async def test_a_text_is_posted_under_the_name_of_the_header_or_the_address() -> None:
    async with (
        scripted_server() as (server, script),
        v1_client(server.url, "ana", rooms=[{"room": "ops"}], notes=True) as ana,
    ):
        answer = await script.post("Deploy *done*\n", headers={"X-Name": "ci"})
        post = await ana.next_of(type="message")
        assert answer.status == 201
        assert answer.json == {"id": post["id"], "room": "ops", "dup": False}
        assert (post["message"], post["sender"]) == ("Deploy *done*", "ci")
        await script.ask("POST", "/rooms/%23OPS?name=J%C3%BCrgen", data="äöü".encode())
        post = await ana.next_of(type="message")
        assert (post["message"], post["sender"]) == ("äöü", "Jürgen")
        await script.post("by nobody")
        assert (await ana.next_of(type="message"))["sender"].startswith("guest-")
        assert not [frame for frame in ana.frames if frame.get("event") in ("join", "leave")]


async def test_json_and_texts_can_reply() -> None:
    async with scripted_server() as (_, script):
        first = (await script.post("Deploy?")).json["id"]
        answer = await script.ask("POST", "/rooms/ops", json={"message": "Yes", "reply_to": first})
        assert answer.status == 201
        await script.ask("POST", f"/rooms/ops?reply_to={first}", data=b"No")
        page = await script.get("/rooms/ops")
        assert [(item["message"], item.get("re")) for item in page.lines] == [
            ("Deploy?", None),
            ("Yes", first),
            ("No", first),
        ]


async def test_a_key_is_stored_once_even_after_a_restart(tmp_path: Path) -> None:
    ids: list[str] = []
    for restart in range(2):
        engine = SqliteEngine(tmp_path / "history.db")
        async with running_server(engine=engine, limits=UNLIMITED) as server, script_for(server) as script:
            for key in ("d15", '"d15"'):
                answer = await script.post("Deploy 15", headers={"Idempotency-Key": key, "X-Name": "ci"})
                assert answer.status == 201
                assert answer.json["dup"] is bool(ids)
                ids.append(answer.json["id"])
            other = await script.post("Deploy 15", headers={"Idempotency-Key": "d15", "X-Name": "cd"})
            assert other.json["dup"] is bool(restart)
            assert (await script.get("/rooms/ops")).messages == ["Deploy 15"] * 2
    assert len(set(ids)) == 1


KEY = {"Idempotency-Key": "k"}
ERRORS = [
    ("POST", "/rooms/no%20room", {}, b"x", 400, "bad_room"),
    ("POST", "/rooms/@abc", {}, b"x", 400, "bad_room"),
    ("GET", "/rooms/%40abc", {}, None, 400, "bad_room"),
    ("POST", "/rooms/ops", {}, b"", 400, "empty"),
    ("POST", "/rooms/ops", {}, b"\xff", 400, "bad_utf8"),
    ("POST", "/rooms/ops", {"X-Name": "server"}, b"x", 409, "name_reserved"),
    ("POST", "/rooms/ops", {"X-Name": "a\tb"}, b"x", 400, "bad_name"),
    ("POST", "/rooms/ops?name=ana", {}, b"x", 409, "name_taken"),
    ("POST", "/rooms/ops", {}, b"x" * 20_000, 413, "too_long"),
    ("POST", "/rooms/ops", {"Content-Type": "image/png"}, b"x", 415, "bad_type"),
    ("POST", "/rooms/ops", {"Content-Type": "text/plain; charset=latin1"}, b"x", 415, "bad_type"),
    ("POST", "/rooms/ops", {"Content-Type": "application/json"}, b"{", 400, "bad_json"),
    ("POST", "/rooms/ops", {"Content-Type": "application/json"}, b'{"text":"x"}', 400, "bad_frame"),
    ("POST", "/rooms/ops", {"Content-Type": "application/json"}, b'{"message":7}', 400, "bad_frame"),
    ("POST", "/rooms/ops?reply_to=k3f9-7", {}, b"x", 404, "no_such_post"),
    ("POST", "/rooms/ops?nam=x", {}, b"x", 400, "bad_frame"),
    ("POST", "/rooms/ops", {"Idempotency-Key": "k" * 65}, b"x", 400, "bad_frame"),
    ("POST", "/rooms/ops", {"Idempotency-Key": '""'}, b"x", 400, "bad_frame"),
    ("POST", "/rooms/ops", {"Authorization": "Bearer x"}, b"x", 401, "unauthorised"),
    ("GET", "/rooms/ops?after=k3f9-7", {}, None, 400, "bad_position"),
    ("GET", "/rooms/ops?last=0", {}, None, 400, "bad_frame"),
    ("GET", "/rooms/ops?last=1000000", {}, None, 400, "bad_frame"),
    ("GET", "/rooms/ops?last=1&after=x", {}, None, 400, "bad_frame"),
    ("GET", "/rooms/ops?q=x&after=x", {}, None, 400, "bad_frame"),
    ("GET", "/rooms/ops?last=1&last=2", {}, None, 400, "bad_frame"),
    ("GET", "/rooms/ops?format=xml", {}, None, 400, "bad_frame"),
    ("GET", "/rooms/ops?before=" + "x" * 99, {}, None, 400, "bad_frame"),
    ("GET", "/rooms/ops?last=x", {"Accept": "text/event-stream"}, None, 400, "bad_frame"),
    ("GET", "/rooms/ops", {"Accept": "text/event-stream", "Last-Event-ID": "x" * 99}, None, 400, "bad_frame"),
    ("DELETE", "/rooms/ops", {}, None, 405, "method_not_allowed"),
]  # fmt: skip


async def test_errors_have_the_status_and_the_code_of_the_protocol() -> None:
    async with scripted_server() as (server, script):
        async with v1_client(server.url, "ana"):
            for method, path, headers, body, status, code in ERRORS:
                answer = await script.ask(method, path, headers=headers, data=body)
                assert (answer.status, answer.json["code"]) == (status, code), (method, path, answer.text)
                assert answer.json["message"]
        assert (await script.get("/rooms/ops")).lines == []


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/rooms/ops", "POST, GET and HEAD are"), ("/rooms", "GET and HEAD are"), ("/hooks/x", "POST is")],
)
async def test_other_methods_are_told_the_allowed_ones(path: str, methods: str) -> None:
    async with scripted_server() as (_, script):
        answer = await script.ask("DELETE", path)
        assert answer.json["message"] == f"Only {methods} allowed here."


async def test_limits_are_answered_with_the_time_to_wait() -> None:
    async with scripted_server(Limits(message_rate=0.1, message_burst=2)) as (_, script):
        statuses = [(await script.post("x")).status for _ in range(3)]
        answer = await script.post("x")
        assert (statuses, answer.json["code"]) == ([201, 201, 429], "rate_limited")
        assert 1 <= int(answer.headers["Retry-After"]) <= 11


class _FullDisk(MemoryEngine):
    """An engine that cannot store posts."""

    async def append(self, entries: Sequence[NewEntry]) -> list[AppendResult]:
        raise EngineError("The disk is full.")


async def test_posts_that_cannot_be_stored_can_be_repeated_later() -> None:
    async with running_server(engine=_FullDisk()) as server, script_for(server) as script:
        answer = await script.post("x")
        assert (answer.status, answer.json["code"]) == (503, "try_later")
        assert answer.headers["Retry-After"] == "2"


# -- tokens


async def test_tokens_give_names_and_roles(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "tokens.json")
    ken, reader = store.create("ken", Role.MEMBER, None)[0], store.create("rae", Role.READER, None)[0]
    authenticator = TokenAuthenticator(TokenStore(tmp_path / "tokens.json"), needs_token=True)
    async with running_server(authenticator=authenticator) as server, script_for(server) as script:
        as_ken, as_reader = {"Authorization": f"Bearer {ken}"}, {"Authorization": f"bearer {reader}"}
        answer = await script.post("x", headers={**as_ken, "X-Name": "ana", **KEY})
        again = await script.post("x", headers={**as_ken, **KEY})
        assert (answer.status, again.json) == (201, {**answer.json, "dup": True})
        page = await script.get("/rooms/ops", headers=as_reader)
        assert [item["sender"] for item in page.lines] == ["ken"]
        answer = await script.post("x", headers=as_reader)
        assert (answer.status, answer.json["code"]) == (403, "forbidden")
        for path in ("/rooms", "/rooms/ops"):
            answer = await script.get(path)
            assert (answer.status, answer.json["code"]) == (401, "unauthorised")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        basic = await script.get("/rooms/ops", headers={"Authorization": "Basic eDp5"})
        assert basic.status == 401


async def test_wrong_tokens_are_throttled(tmp_path: Path) -> None:
    authenticator = TokenAuthenticator(TokenStore(tmp_path / "tokens.json"), needs_token=False)
    async with running_server(authenticator=authenticator) as server, script_for(server) as script:
        wrong = {"Authorization": "Bearer bt_wrong"}
        failures = 0
        while (answer := await script.get("/rooms/ops", headers=wrong)).status == 401:
            failures += 1
        assert answer.status == 429
        assert failures >= LOOPBACK_FAILURES_PER_MINUTE
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await script.get("/rooms/ops")).status == 200


# -- reading


async def test_pages_are_lines_with_the_address_of_the_next_one() -> None:
    async with scripted_server() as (_, script):
        ids = [(await script.post(f"post {number}")).json["id"] for number in range(6)]
        answer = await script.get("/rooms/ops?last=4")
        assert answer.headers["Content-Type"] == "application/x-ndjson; charset=utf-8"
        assert answer.messages == ["post 2", "post 3", "post 4", "post 5"]
        older = answer.headers["Link"]
        assert older == f'</rooms/ops?limit=4&before={ids[2]}>; rel="prev"'
        older = await script.get(older[1:].partition(">")[0])
        assert (older.messages, "Link" in older.headers) == (["post 0", "post 1"], False)
        newer = await script.get(f"/rooms/ops?after={ids[0]}&limit=2")
        assert (newer.messages, newer.headers["Link"]) == (
            ["post 1", "post 2"],
            f'</rooms/ops?limit=2&after={ids[2]}>; rel="next"',
        )
        found = await script.get("/rooms/ops?q=4")
        assert found.messages == ["post 4"]
        assert (await script.get(f"/rooms/ops?after={ids[5]}")).text == ""
        assert (await script.get("/rooms/nobody-was-here")).text == ""
        head = await script.ask("HEAD", "/rooms/ops")
        assert (head.status, head.text) == (200, "")


async def test_browsers_get_the_page_of_a_room_and_scripts_its_messages() -> None:
    async with scripted_server() as (_, script):
        await script.post("x")
        page = await script.get("/rooms/ops", headers={"Accept": "text/html,*/*;q=0.8"})
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        answer = await script.get("/rooms/ops", headers={"Accept": "*/*"})
        assert (answer.messages, answer.headers["Vary"]) == (["x"], "Accept")


async def test_notes_are_lines_of_their_own_and_part_of_their_post() -> None:
    async with scripted_server() as (server, script):
        first = (await script.post("one\ntwo", headers={"X-Name": "ci"})).json["id"]
        async with v1_client(server.url, "ana", rooms=[{"room": "ops"}], notes=True) as ana:
            await ana.say("Helo", room="ops", nonce="1")
            post = await ana.next_of(type="ack")
            await ana.send("note", note="edit", re=post["id"], room="ops", message="Hello", nonce="2")
            await ana.next_of(type="ack", nonce="2")
        page = (await script.get("/rooms/ops")).lines
        assert [(item["type"], item.get("message"), item.get("re")) for item in page] == [
            ("message", "one\ntwo", None),
            ("message", "Hello", None),
            ("note", None, post["id"]),
        ]
        text = await script.get("/rooms/ops?format=text")
        assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
        lines = [f"{page[0]['timestamp']} ci: one", "    two", f"{page[1]['timestamp']} ana: Hello"]
        assert text.text.splitlines() == lines
        assert page[0]["id"] == first


async def test_rooms_are_listed_with_the_people_in_them() -> None:
    async with scripted_server() as (server, script):
        await script.post("x", room="dev")
        async with v1_client(server.url, "ana", rooms=[{"room": "ops"}], notes=True) as ana:
            await ana.send("topic", room="ops", topic="Deploys", ref="1")
            await ana.next_of(type="topic", ref="1")
            rooms = [
                {"room": "dev", "online": 0, "topic": ""},
                {"room": "lobby", "online": 0, "topic": ""},
                {"room": "ops", "online": 1, "topic": "Deploys"},
            ]
            assert (await script.get("/rooms")).json == {"rooms": rooms, "truncated": False}
            page = await script.get("/rooms?after=dev&limit=1")
            assert page.json == {"rooms": rooms[1:2], "truncated": True}
            text = await script.get("/rooms?format=text")
            assert text.text.splitlines() == ["dev\t0\t", "lobby\t0\t", "ops\t1\tDeploys"]
            assert (await script.get("/rooms?limit=0")).json["code"] == "bad_frame"


# -- the description


async def test_the_description_agrees_with_what_is_answered() -> None:
    async with scripted_server() as (server, script):
        description = (await script.get("/openapi.json")).json
        assert description["openapi"] == "3.1.0"
        checked = set()

        async def check(method: str, path: str, template: str, **options: Any) -> Answer:
            answer = await script.ask(method, path, **options)
            operation = description["paths"][template][method.lower()]
            named = {p["name"] for p in operation["parameters"] if p["in"] == "query"} | {"name"}
            assert {part.partition("=")[0] for part in path.partition("?")[2].split("&") if part} <= named
            content = operation["responses"][str(answer.status)]["content"]
            content_type = answer.headers["Content-Type"].partition(";")[0]
            schema = {**content[content_type]["schema"], "components": description["components"]}
            lines = answer.lines if content_type.endswith("json") else [answer.text]
            for line in lines:
                jsonschema.validate(line, schema)
            checked.add((template, method.lower(), content_type, len(lines) > 0))
            return answer

        first = (await check("POST", "/rooms/ops?name=ci", "/rooms/{room}", data=b"one")).json["id"]
        reply = {"message": "two", "reply_to": first}
        body = description["paths"]["/rooms/{room}"]["post"]["requestBody"]["content"]["application/json"]
        jsonschema.validate(reply, {**body["schema"], "components": description["components"]})
        await check("POST", "/rooms/ops", "/rooms/{room}", json=reply)
        async with v1_client(server.url, "ana", rooms=[{"room": "ops"}], notes=True) as ana:
            await ana.send("note", note="react", re=first, room="ops", key="👍", nonce="1")
            await ana.next_of(type="note")
            await check("POST", "/rooms/ops?name=ana", "/rooms/{room}", data=b"x")
        page = await check("GET", "/rooms/ops?last=9", "/rooms/{room}")
        assert {item["type"] for item in page.lines} == {"message", "note"}
        await check("GET", f"/rooms/ops?after={first}&limit=1", "/rooms/{room}")
        await check("GET", "/rooms/ops?q=two&format=text", "/rooms/{room}")
        await check("GET", "/rooms?format=text", "/rooms")
        await check("GET", "/rooms?limit=2", "/rooms")
        for method, path, headers, content, status, _ in ERRORS:
            template = "/rooms/{room}"
            if method == "DELETE" or "?nam=" in path:
                continue
            operation = description["paths"][template][method.lower()]
            assert str(status) in operation["responses"] or status == 404
            if "Accept" not in headers:
                await check(method, path, template, headers=headers, data=content)
        await check("POST", "/hooks/unknown", "/hooks/{secret}", json={"text": "x"})
        operations = {(path, method) for path, item in description["paths"].items() for method in item}
        assert operations == {entry[:2] for entry in checked}
