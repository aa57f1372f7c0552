"""Webhooks of a running server: who may post, what appears in the room, and what does not."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import jsonschema
import pytest

from broadcast_tui.core import rate_limit
from broadcast_tui.core.webhooks.payload import BODY_BYTES
from broadcast_tui.engine.base import Engine
from broadcast_tui.engine.sqlite import SqliteEngine
from broadcast_tui.server import BroadcastServer
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.hook_store import HookStore
from broadcast_tui.server.token_store import TokenStore
from broadcast_tui.server.web import hook_posts
from broadcast_tui.server.web.openapi import describe
from tests.support.http_requests import Answer, ask, request
from tests.support.plain import WireClient, v1_client
from tests.support.running import eventually, running_server

PAYLOADS = Path(__file__).parents[2] / "core" / "webhooks" / "payloads"
OPS = {"room": "ops"}
JSON, FORM = "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded"


@dataclass
class Hooked:
    """A server, and the file of its hooks."""

    server: BroadcastServer
    store: HookStore

    def create(self, name: str = "ci", room: str = "ops") -> str:
        """The secret of a new hook, made as another process would."""
        return self.store.create(name, room, None)[0]

    async def post(self, secret: str, body: bytes, *lines: str) -> Answer:
        return await ask(
            self.server.port, request("POST", f"/hooks/{secret}", *(lines or (JSON,)), body=body)
        )

    async def say(self, secret: str, text: str) -> Answer:
        return await self.post(secret, json.dumps({"text": text}).encode())

    async def post_recorded(self, secret: str, name: str) -> None:
        answer = await self.post(secret, (PAYLOADS / f"{name}.json").read_bytes())
        assert (answer.status, answer.body) == (200, b"ok")


@asynccontextmanager
async def hooked_server(
    home: Path, *, needs_token: bool = False, engine: Engine | None = None
) -> AsyncIterator[Hooked]:
    path = home / "tokens.hooks.json"
    authenticator = TokenAuthenticator(
        TokenStore(home / "tokens.json"), needs_token=needs_token, hooks=HookStore(path)
    )
    async with running_server(authenticator=authenticator, engine=engine) as server:
        yield Hooked(server, HookStore(path))


def expected(name: str) -> str:
    return (PAYLOADS / f"{name}.md").read_text("utf-8").removesuffix("\n")


async def test_a_payload_becomes_a_post_of_the_hook_in_its_room(tmp_path: Path) -> None:
    async with hooked_server(tmp_path) as hooked, v1_client(hooked.server.url, "ana", rooms=[OPS]) as ana:
        secret = hooked.create()
        await hooked.post_recorded(secret, "slack_text")
        said = await ana.next_of(type="message")
        assert (said["sender"], said["room"], said["message"]) == ("ci", "ops", expected("slack_text"))
        form = urlencode({"payload": json.dumps({"text": "*by* form"})}).encode()
        assert (await hooked.post(secret, form, FORM)).status == 200
        assert (await ana.next_of(type="message"))["message"] == "**by** form"


async def test_alerts_of_a_group_are_one_post_that_is_edited(tmp_path: Path) -> None:
    async with hooked_server(tmp_path) as hooked, v1_client(
        hooked.server.url, "ana", rooms=[OPS], notes=True
    ) as ana:  # fmt: skip
        secret = hooked.create("alerts")
        await hooked.post_recorded(secret, "alertmanager_firing")
        said = await ana.next_of(type="message")
        assert said["message"] == expected("alertmanager_firing")
        await hooked.post_recorded(secret, "alertmanager_firing")
        await hooked.post_recorded(secret, "alertmanager_resolved")
        note = await ana.next_of(type="note")
        assert (note["note"], note["re"], note["by"]) == ("edit", said["id"], "alerts")
        assert note["now"]["message"] == expected("alertmanager_resolved")
        await hooked.post_recorded(secret, "alertmanager_resolved")
        await hooked.post_recorded(secret, "grafana_webhook")
        assert (await ana.next_of(type="message"))["message"] == expected("grafana_webhook")
        await hooked.post_recorded(secret, "alertmanager_firing")
        again = await ana.next_of(type="message")
        assert again["id"] != said["id"]


async def test_a_group_whose_post_is_gone_gets_a_new_one(tmp_path: Path) -> None:
    async with hooked_server(tmp_path) as hooked, v1_client(hooked.server.url, "ana", rooms=[OPS]) as ana:
        secret = hooked.create("alerts")
        await hooked.post_recorded(secret, "alertmanager_firing")
        await ana.next_of(type="message")
        groups = hooked.server._web.context.hook_posts._groups  # type: ignore[union-attr]
        (group,) = groups._values.values()
        group.post_id = group.post_id.rpartition("-")[0] + "-999"
        await hooked.post_recorded(secret, "alertmanager_resolved")
        assert (await ana.next_of(type="message"))["message"] == expected("alertmanager_resolved")


async def test_a_resolution_finds_its_post_after_a_restart(tmp_path: Path) -> None:
    async def start(stack: AsyncExitStack) -> tuple[Hooked, WireClient]:
        engine = SqliteEngine(tmp_path / "history.db")
        hooked = await stack.enter_async_context(hooked_server(tmp_path, engine=engine))
        client = v1_client(hooked.server.url, "ana", rooms=[{**OPS, "last": 99}], notes=True)
        return hooked, await stack.enter_async_context(client)

    async with AsyncExitStack() as stack:
        hooked, ana = await start(stack)
        secret = hooked.create("alerts")
        await hooked.post_recorded(secret, "alertmanager_firing")
        said = await ana.next_of(type="message")
        await hooked.post_recorded(secret, "grafana_webhook")
        await ana.next_of(type="message")
        for number in range(5):
            await ana.say(f"{number}: {said['message']}", room="ops", nonce=f"{number}")
    async with AsyncExitStack() as stack:
        hooked, ana = await start(stack)
        await ana.next_of(type="synced")
        await hooked.post_recorded(secret, "alertmanager_resolved")
        note = await ana.next_of(type="note")
        assert (note["note"], note["re"]) == ("edit", said["id"])
        assert note["now"]["message"] == expected("alertmanager_resolved")
    async with AsyncExitStack() as stack:
        hooked, ana = await start(stack)
        await ana.next_of(type="synced")
        await hooked.post_recorded(secret, "alertmanager_resolved")
        await hooked.post_recorded(secret, "alertmanager_firing")
        again = await ana.next_of(type="message")
        assert (again["sender"], again["message"]) == ("alerts", expected("alertmanager_firing"))
        assert again["id"] != said["id"]


async def test_payloads_without_the_address_of_their_sender_are_remembered_in_memory(tmp_path: Path) -> None:
    payload = json.loads((PAYLOADS / "alertmanager_firing.json").read_bytes())
    del payload["externalURL"]
    async with hooked_server(tmp_path) as hooked, v1_client(
        hooked.server.url, "ana", rooms=[OPS], notes=True
    ) as ana:  # fmt: skip
        secret = hooked.create("alerts")
        for status in ("firing", "resolved"):
            body = json.dumps({**payload, "status": status}).encode()
            assert (await hooked.post(secret, body)).status == 200
        said, note = await ana.next_of(type="message"), await ana.next_of(type="note")
        assert note["re"] == said["id"]


async def test_a_hook_needs_no_token_and_its_name_is_reserved(tmp_path: Path) -> None:
    async with hooked_server(tmp_path, needs_token=True) as hooked:
        assert (await hooked.say(hooked.create(), "hello")).status == 200
    async with hooked_server(tmp_path) as hooked, v1_client(hooked.server.url) as ana:
        await ana.send("rename", name="ci", ref="r")
        assert (await ana.next_of(type="error"))["code"] == "name_reserved"


async def test_unknown_and_revoked_hooks_get_the_same_answer_until_they_are_throttled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "LOOPBACK_FAILURES_PER_MINUTE", 2)
    async with hooked_server(tmp_path) as hooked:
        secret, kept = hooked.create(), hooked.create("other")
        assert (await hooked.say(secret, "hello")).status == 200
        hooked.store.revoke("ci")
        store = hooked.server._authenticator.hooks._store  # type: ignore[union-attr]
        await eventually(lambda: len(store.entries) == 1)
        revoked, unknown = await hooked.say(secret, "x"), await hooked.say("bt_hook_" + "x" * 43, "x")
        assert (revoked.status, revoked.body) == (unknown.status, unknown.body)
        assert unknown.status == 404
        answer = await hooked.say("wrong", "x")
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert (await hooked.say(kept, "still there")).status == 200


async def test_invalid_payloads_are_rejected(tmp_path: Path) -> None:
    async with hooked_server(tmp_path) as hooked:
        secret = hooked.create()
        answers = [
            await hooked.post(secret, body)
            for body in (b"{", b"{}", b'{"text": " "}', b"[" * 100_000, b" " * (BODY_BYTES + 1))
        ]
        assert [(answer.status, answer.code) for answer in answers] == [
            (400, "bad_json"), (400, "bad_frame"), (400, "empty"), (400, "bad_json"), (413, "too_long"),
        ]  # fmt: skip
        got = await ask(hooked.server.port, request("GET", f"/hooks/{secret}"))
        assert got.status == 405


async def test_hooks_are_described(tmp_path: Path) -> None:
    described = json.loads(describe())["paths"]["/hooks/{secret}"]["post"]
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    async with hooked_server(tmp_path) as hooked:
        secret = hooked.create()
        for path in sorted(PAYLOADS.glob("*.json")):
            jsonschema.validate(json.loads(path.read_bytes()), schema)
            answer = await hooked.post(secret, path.read_bytes())
            content_type = answer.headers["content-type"].partition(";")[0]
            assert content_type in described["responses"][str(answer.status)]["content"]
        invalid: tuple[dict[str, object], ...] = ({}, {"alerts": []})
        for payload in invalid:
            assert not jsonschema.Draft202012Validator(schema).is_valid(payload)
            answer = await hooked.post(secret, json.dumps(payload).encode())
            assert (answer.status, str(answer.status) in described["responses"]) == (400, True)
    assert described["security"] == [], "no token is needed"


async def test_each_hook_has_its_own_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook_posts, "BURST", 3)
    monkeypatch.setattr(hook_posts, "RATE_PER_S", 0.001)
    async with hooked_server(tmp_path) as hooked:
        noisy, other = hooked.create("noisy"), hooked.create("other")
        statuses = [(await hooked.say(noisy, f"{number}")).status for number in range(4)]
        assert statuses == [200, 200, 200, 429]
        assert (await hooked.say(other, "hello")).status == 200


async def test_secrets_are_never_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with hooked_server(tmp_path) as hooked:
        secret = hooked.create()
        assert (await hooked.say(secret, "hello")).status == 200
        assert (await hooked.post(secret, b"{")).status == 400
        wrong = "bt_hook_" + "w" * 43
        assert (await hooked.say(wrong, "hello")).status == 404
    lines = [record.getMessage() + str(record.exc_info or "") for record in caplog.records]
    assert any("unknown hook from" in line for line in lines)
    assert not [line for line in lines if secret in line or wrong in line]
