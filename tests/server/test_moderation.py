"""Moderation over the wire: rejected handshakes, the file of bans, restarts."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broadcast_tui.client import BroadcastClient, ConnectError
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.hub.sanctions import Sanction
from broadcast_tui.core.limits import AdmissionLimits
from broadcast_tui.core.session.updates import BansListed, Moderated, Noticed
from broadcast_tui.server import BroadcastServer, sanction_store
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.sanction_store import SanctionFileError
from broadcast_tui.server.token_store import TokenStore
from tests.support.plain import v1_client
from tests.support.raw_socket import BINARY, CLOSE, frame, raw_socket
from tests.support.roles import promote
from tests.support.running import eventually, in_time, running_server

BEHIND_PROXY = AdmissionLimits(trusted_proxies=("127.0.0.1",))


async def test_kick_closes_with_4503_and_the_reason() -> None:
    async with (
        running_server() as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "bob") as bob,
    ):
        promote(server, "ana")
        await ana.send("kick", name="bob", reason="spam", ref="k")
        assert (await ana.next_of(type="moderated"))["addresses"] == ["127.0.0.1"]
        assert await bob.closed() == (4503, "ana kicked you: spam")
        async with v1_client(server.url, "bob"):
            pass


async def test_banned_address_gets_403_with_retry_after(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "broadcast_tui.audit")
    async with (
        running_server(admission=BEHIND_PROXY) as server,
        v1_client(server.url, "ana") as ana,
        raw_socket(server.port) as bad,
    ):
        await bad.handshake(X_Forwarded_For="203.0.113.9")
        promote(server, "ana")
        await ana.send("ban", who="203.0.113.9", seconds=600, reason="flood", ref="b")
        assert (await ana.next_of(type="moderated"))["connections"] == 1
        assert await bad.read_close() == (4503, "You are banned for another 10 min: flood")
        async with raw_socket(server.port) as again:
            await again.handshake(X_Forwarded_For="203.0.113.9")
            answer = (await again.read_to_end()).decode()
            assert answer == "You are banned for another 10 min: flood.\n"
        async with raw_socket(server.port) as again:
            head = await again.handshake(X_Forwarded_For="203.0.113.9")
            assert " 403 " in head
            assert 590 <= int(head.split("Retry-After: ")[1].split("\r\n")[0]) <= 600
        async with raw_socket(server.port) as other:
            assert " 101 " in await other.handshake(X_Forwarded_For="203.0.113.10")
    lines = [record.getMessage() for record in caplog.records]
    assert any("ana" in line and "banned 203.0.113.9/32" in line for line in lines)
    assert "connection from 203.0.113.9 rejected: banned" in lines


@pytest.mark.parametrize(("role", "status"), [(Role.ADMIN, "101"), (Role.MEMBER, "403"), (None, "403")])
async def test_address_ban_does_not_apply_to_admins(tmp_path: Path, role: Role | None, status: str) -> None:
    book = TokenStore(tmp_path / "tokens.json")
    token = book.create("olga", role, None)[0] if role is not None else "bt_wrong"
    authenticator = TokenAuthenticator(book, needs_token=False)
    async with (
        running_server(admission=BEHIND_PROXY, authenticator=authenticator) as server,
        raw_socket(server.port) as sock,
    ):
        ban = Sanction("ban", "address", "203.0.113.9/32", "203.0.113.9", "ana", datetime.now(UTC))
        server._runner.hub.moderation.sanctions.add(ban)
        named = {"X_Forwarded_For": "203.0.113.9", "Authorization": f"Bearer {token}"}
        assert (await sock.handshake(**named)).split()[1] == status


async def test_admin_actions_are_logged_as_warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with (
        running_server() as server,
        v1_client(server.url, "ana") as ana,
        v1_client(server.url, "bob"),
    ):
        promote(server, "ana")
        await ana.send("kick", name="bob", reason="spam", ref="k")
        await eventually(lambda: "kicked bob (1 connection(s)): spam" in caplog.text)


async def test_close_code_of_the_server_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with running_server() as server, raw_socket(server.port) as sock:
        await sock.handshake()
        await sock.send(frame(BINARY, b"x"))
        assert (await sock.read_close())[0] == 1003
        await sock.send(frame(CLOSE, (1000).to_bytes(2, "big")))
        await eventually(lambda: " disconnected (1003)" in caplog.text)


@pytest.fixture
async def banned_bob(tmp_path: Path) -> Path:
    """The file of a server that banned bob, muted carl, and has stopped."""
    path = tmp_path / "data" / "moderation.json"
    server = BroadcastServer("127.0.0.1", 0, sanctions=path)
    async with server, v1_client(server.url, "ana") as ana, v1_client(server.url, "bob") as bob:
        promote(server, "ana")
        await ana.send("ban", who="bob", ref="1")
        await ana.send("mute", name="carl", ref="2")
        await ana.next_of(type="moderated", ref="2")
        assert (await bob.closed())[0] == 4503
    return path


async def test_bans_and_mutes_hold_over_a_restart(banned_bob: Path) -> None:
    async with BroadcastServer("127.0.0.1", 0, sanctions=banned_bob) as server:
        client = BroadcastClient("127.0.0.1", server.port, name="Bob")
        with pytest.raises(ConnectError, match="You are banned"):
            await in_time(client.connect())
        async with v1_client(server.url, "carl") as carl:
            await carl.say("hello", nonce="n")
            assert (await carl.next_of(nonce="n"))["code"] == "muted"


async def test_sanction_file_is_private_and_readable(banned_bob: Path) -> None:
    assert stat.S_IMODE(banned_bob.stat().st_mode) == 0o600
    kept = json.loads(banned_bob.read_text("utf-8"))
    assert [(entry["action"], entry["shown"], entry["by"]) for entry in kept] == [
        ("ban", "bob", "ana"),
        ("mute", "carl", "ana"),
    ]
    assert list(banned_bob.parent.iterdir()) == [banned_bob]


@pytest.mark.parametrize("content", [b"nonsense", b"{}", b'[{"action":"hang"}]', b"\xff", b"[" * 100_000])
async def test_invalid_sanction_file_is_reported_and_unchanged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "moderation.json"
    path.write_bytes(content)
    with pytest.raises(SanctionFileError, match=r"moderation\.json is not a valid list of bans"):
        await BroadcastServer("127.0.0.1", 0, sanctions=path).start_server()
    assert path.read_bytes() == content


async def test_unsaved_ban_stays_in_force_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    server = BroadcastServer("127.0.0.1", 0, sanctions=tmp_path / "later" / "moderation.json")
    async with server, v1_client(server.url, "ana") as ana, v1_client(server.url, "bob") as bob:
        assert server._sanction_file is not None
        server._sanction_file.path = blocked / "moderation.json"
        promote(server, "ana")
        await ana.send("ban", who="bob", ref="1")
        await ana.next_of(type="moderated")
        assert (await bob.closed())[0] == 4503
        await eventually(lambda: "Cannot save" in caplog.text)


async def test_failed_save_is_retried(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sanction_store, "RETRY_S", 0.0)
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    path = blocked / "moderation.json"
    server = BroadcastServer("127.0.0.1", 0, sanctions=tmp_path / "moderation.json")
    async with server, v1_client(server.url, "ana") as ana:
        assert server._sanction_file is not None
        server._sanction_file.path = path
        promote(server, "ana")
        await ana.send("ban", who="bob", ref="1")
        await eventually(lambda: "Cannot save" in caplog.text)
        with pytest.raises(SanctionFileError, match="have not been saved yet"):
            server.reload_sanctions()
        blocked.unlink()
        await eventually(path.exists)
        await eventually(lambda: "the bans have been saved" in caplog.text)
        server.reload_sanctions()()
        assert [entry["shown"] for entry in json.loads(path.read_text("utf-8"))] == ["bob"]
        assert caplog.text.count("Cannot save") == 1


async def test_failed_save_is_retried_on_stop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    path = blocked / "moderation.json"
    server = BroadcastServer("127.0.0.1", 0, sanctions=tmp_path / "moderation.json")
    async with server, v1_client(server.url, "ana") as ana:
        assert server._sanction_file is not None
        server._sanction_file.path = path
        promote(server, "ana")
        await ana.send("ban", who="bob", ref="1")
        await eventually(lambda: "Cannot save" in caplog.text)
        blocked.unlink()
    assert [entry["shown"] for entry in json.loads(path.read_text("utf-8"))] == ["bob"]


async def test_edited_sanction_file_applies_after_reload(tmp_path: Path) -> None:
    path = tmp_path / "moderation.json"
    server = BroadcastServer("127.0.0.1", 0, sanctions=path)
    async with server, v1_client(server.url, "bob") as bob:
        entry = {"action": "ban", "kind": "name", "key": "bob", "shown": "bob", "by": "me"}
        path.write_text(json.dumps([entry | {"at": "2026-01-01T00:00:00Z"}]))
        server.reload_sanctions()()
        assert (await bob.closed())[0] == 4503
        path.write_text("nonsense")
        with pytest.raises(SanctionFileError):
            server.reload_sanctions()


async def test_client_gets_replies_to_moderation_requests() -> None:
    async with (
        running_server() as server,
        BroadcastClient("127.0.0.1", server.port, name="ana") as ana,
        v1_client(server.url, "bob"),
    ):

        async def answer(ref: str) -> Moderated | BansListed | Noticed:
            async for batch in ana.batches():
                for update in batch:
                    if isinstance(update, Moderated | BansListed | Noticed) and update.ref == ref:
                        return update
            raise AssertionError

        refused = await in_time(answer(ana.kick("bob")))
        assert isinstance(refused, Noticed)
        assert refused.text.startswith("Only admins")
        promote(server, "ana")
        acts: list[tuple[Callable[[], str], str]] = [
            (lambda: ana.mute("bob", 60, "calm down"), "mute"),
            (lambda: ana.unmute("bob"), "unmute"),
            (lambda: ana.kick("bob", "out"), "kick"),
            (lambda: ana.ban("bob", 60, "out"), "ban"),
            (lambda: ana.unban("bob"), "unban"),
        ]
        listed = ana.bans()
        assert await in_time(answer(listed)) == BansListed(listed, (), False)
        for act, action in acts:
            done = await in_time(answer(act()))
            assert isinstance(done, Moderated)
            assert (done.action, done.who) == (action, "bob")
            assert (done.until is not None) == (action in ("mute", "ban"))
