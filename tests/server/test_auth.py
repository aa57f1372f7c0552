"""Tokens in the handshake and in the hello, and their expiry and revocation."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import websocket
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from broadcast_tui.core.clock import Instant
from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.hub.auth import Identity, Role
from broadcast_tui.core.limits import AdmissionLimits
from broadcast_tui.core.rate_limit import FAILURES_PER_MINUTE, LOOPBACK_FAILURES_PER_MINUTE
from broadcast_tui.server import BroadcastServer, auth
from broadcast_tui.server.auth import POLL_S, TokenAuthenticator
from broadcast_tui.server.token_store import TokenFileError, TokenStore
from tests.support.plain import plain_client, silent_v1_client, v1_client
from tests.support.raw_socket import raw_socket
from tests.support.running import PATIENCE_S, eventually, in_time, running_server

AT = datetime(2026, 1, 1, tzinfo=UTC)
V1 = "broadcast-tui.v1"
WRONG = "bt_" + "wrong" * 8


class Closed:
    """A server with tokens, and the file to change them by."""

    def __init__(self, server: BroadcastServer, authenticator: TokenAuthenticator, path: Path) -> None:
        self.server = server
        self.authenticator = authenticator
        self._path = path

    def token(self, name: str, role: Role = Role.MEMBER, expires: datetime | None = None) -> str:
        """A new token, made as another process would."""
        return TokenStore(self._path).create(name, role, expires)[0]

    def revoke(self, name: str) -> None:
        assert TokenStore(self._path).revoke(name)


@asynccontextmanager
async def closed_server(
    home: Path, *, needs_token: bool = True, admission: AdmissionLimits | None = None
) -> AsyncIterator[Closed]:
    path = home / "tokens.json"
    authenticator = TokenAuthenticator(TokenStore(path), needs_token=needs_token)
    async with running_server(authenticator=authenticator, admission=admission) as server:
        yield Closed(server, authenticator, path)


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}\r\n"


async def refusal(server: BroadcastServer, headers: str = "", subprotocol: str = "") -> str:
    """The complete response to a rejected handshake."""
    async with raw_socket(server.port) as sock:
        head = await sock.handshake(subprotocol, headers=headers)
        return head + "\r\n\r\n" + (await sock.read_to_end()).decode()


# -- the handshake


@pytest.mark.parametrize(
    "headers",
    ["", "Authorization: Basic YTpi\r\n", "Authorization: \r\n", "Authorization: Bearer\r\n", bearer(WRONG)],
    ids=["none", "basic", "empty", "no token", "wrong"],
)
async def test_plain_client_without_a_valid_token_gets_401_with_advice(tmp_path: Path, headers: str) -> None:
    async with closed_server(tmp_path) as closed:
        answer = await refusal(closed.server, headers)
        assert answer.startswith("HTTP/1.1 401 ")
        assert 'WWW-Authenticate: Bearer realm="broadcast-tui"' in answer
        assert "token" in answer.partition("\r\n\r\n")[2]
        assert WRONG not in answer
        assert closed.server.connection_count == 0


async def test_a_plain_client_with_a_token_chats_under_its_name(tmp_path: Path) -> None:
    async with (
        closed_server(tmp_path) as closed,
        plain_client(closed.server.url, token=closed.token("ana")) as ana,
    ):
        await ana.say("hi", sender="Somebody Else")
        assert (await ana.next_of(type="message"))["sender"] == "ana"


async def test_another_library_chats_with_a_token(tmp_path: Path) -> None:
    def chat(url: str, token: str) -> list[str]:
        connection = websocket.create_connection(
            url, timeout=PATIENCE_S, header=[f"Authorization: Bearer {token}"]
        )
        try:
            connection.send('{"type":"message","message":"Hello","sender":"x"}')
            frames = [json.loads(connection.recv()) for _ in range(2)]
            return [frames[1]["sender"], frames[1]["message"]]
        finally:
            connection.close()

    async with closed_server(tmp_path) as closed:
        token = closed.token("ana")
        assert await in_time(asyncio.to_thread(chat, closed.server.url, token)) == ["ana", "Hello"]


async def test_a_v1_client_without_a_header_may_send_the_token_in_its_hello(tmp_path: Path) -> None:
    async with closed_server(tmp_path) as closed:
        token = closed.token("ana")
        async with silent_v1_client(closed.server.url) as ana:
            await ana.send("hello", name="ben", token=token)
            assert (await ana.next_frame())["name"] == "ana"


@pytest.mark.parametrize("fields", [{}, {"token": WRONG}], ids=["none", "wrong"])
async def test_a_hello_without_a_valid_token_is_closed_with_4500_and_the_reason(
    tmp_path: Path, fields: dict[str, str]
) -> None:
    async with closed_server(tmp_path) as closed, silent_v1_client(closed.server.url) as ana:
        await ana.send("hello", name="ana", **fields)
        code, reason = await ana.closed()
        assert code == 4500
        assert "token" in reason
        assert [frame["type"] for frame in ana.frames] == ["error"], "nothing else is sent"


async def test_handshake_without_a_valid_token_is_counted_as_rejected(
    tmp_path: Path,
) -> None:
    async with closed_server(tmp_path) as closed, raw_socket(closed.server.port) as sock:
        assert " 401 " in await sock.handshake()
        admission = closed.server._admission
        assert admission.rejected["token"] == 1
        assert not admission._admitted


async def test_only_admin_tokens_can_moderate(tmp_path: Path) -> None:
    async with closed_server(tmp_path) as closed:
        boss, ben = closed.token("boss", Role.ADMIN), closed.token("ben")
        async with silent_v1_client(closed.server.url) as admin, silent_v1_client(closed.server.url) as other:
            await admin.send("hello", token=boss)
            await other.send("hello", token=ben)
            await other.send("kick", name="boss", ref="k")
            assert (await other.next_of(ref="k"))["code"] == "forbidden"
            await admin.send("kick", name="ben", reason="spam", ref="k")
            assert (await admin.next_of(ref="k"))["type"] == "moderated"
            assert await other.closed() == (4503, "boss kicked you: spam")


async def test_a_v1_client_with_a_wrong_header_gets_401(tmp_path: Path) -> None:
    async with closed_server(tmp_path) as closed:
        assert "401" in await refusal(closed.server, bearer(WRONG), V1)


async def test_connection_without_a_token_receives_no_posts(tmp_path: Path) -> None:
    async with closed_server(tmp_path) as closed:
        token = closed.token("ana")
        async with (
            silent_v1_client(closed.server.url) as outsider,
            v1_client(closed.server.url, token=token) as ana,
        ):
            await ana.say("secret", nonce="n")
            await ana.next_of(type="ack")
            for kind in ("message", "join", "history", "presence", "list", "search", "typing"):
                await outsider.send(kind, message="x", room="lobby", query="x")
            await outsider.send("hello")
            await outsider.closed()
            assert {frame.get("code") for frame in outsider.frames} <= {"hello_expected", "unauthorised"}


async def test_unknown_expired_and_revoked_tokens_get_the_same_answer(tmp_path: Path) -> None:
    async with closed_server(tmp_path) as closed:
        expired = closed.token("eve", expires=datetime.now(UTC) - timedelta(seconds=1))
        revoked = closed.token("rob")
        closed.revoke("rob")
        answers = set()
        for token in (WRONG, expired, revoked):
            head, _, body = (await refusal(closed.server, bearer(token))).partition("\r\n\r\n")
            answers.add((*(line for line in head.split("\r\n") if not line.startswith("Date")), body))
        assert len(answers) == 1


async def test_new_token_is_valid_without_a_restart(tmp_path: Path) -> None:
    async with closed_server(tmp_path) as closed:
        for name in ("ana", "ben", "cleo"):
            async with v1_client(closed.server.url, token=closed.token(name)):
                pass


async def test_open_server_reserves_names_with_tokens(tmp_path: Path) -> None:
    async with closed_server(tmp_path, needs_token=False) as closed:
        token = closed.token("ana")
        closed.authenticator.refresh(AT, force=True)
        async with silent_v1_client(closed.server.url) as thief, plain_client(closed.server.url) as plain:
            await thief.send("hello", name="Ana")
            assert (await thief.next_frame())["code"] == "name_reserved"
            await plain.say("hi", sender="ana")
            assert (await plain.next_of(event="error"))["code"] == "name_reserved"
        async with v1_client(closed.server.url, token=token) as ana:
            assert ana.frames[0]["name"] == "ana"
        assert "401" in await refusal(closed.server, bearer(WRONG)), "a wrong token is never passed over"


async def test_a_reader_may_not_post(tmp_path: Path) -> None:
    async with closed_server(tmp_path) as closed:
        token = closed.token("rita", Role.READER)
        async with (
            v1_client(closed.server.url, token=token) as rita,
            plain_client(closed.server.url, token=token) as plain,
        ):
            await rita.say("hi", nonce="n")
            error = await rita.next_of(type="error")
            assert (error["code"], error["nonce"]) == ("forbidden", "n")
            await plain.say("hi")
            assert (await plain.next_of(event="error"))["code"] == "forbidden"


# -- guessing


def attempt(authenticator: TokenAuthenticator, token: str, address: str, now: float) -> float:
    """Send a token; returns the seconds to wait, 0.0 for an invalid token, -1.0 for a valid one."""
    try:
        authenticator.authenticate(token, address, Instant(now, AT))
    except RequestError as refused:
        return refused.retry_after or 0.0
    return -1.0


def test_guessing_is_throttled_by_address_even_for_a_valid_token(tmp_path: Path) -> None:
    book = TokenStore(tmp_path / "tokens.json")
    token, _ = book.create("ana", Role.MEMBER, None)
    authenticator = TokenAuthenticator(book, needs_token=True)
    for number in range(FAILURES_PER_MINUTE):
        assert attempt(authenticator, f"{WRONG}{number}", "198.51.100.1:1", 50.0) == 0.0
    assert attempt(authenticator, token, "198.51.100.1:2", 50.0) == 6.0
    assert attempt(authenticator, token, "198.51.100.2:1", 50.0) == -1.0
    assert attempt(authenticator, token, "198.51.100.1:1", 56.1) == -1.0
    for number in range(FAILURES_PER_MINUTE):
        attempt(authenticator, WRONG, f"2001:db8:1:2::{number}:1", 50.0)
    assert attempt(authenticator, token, "2001:db8:1:2:ffff::1:1", 50.0) > 0, "another host of the same /64"
    assert attempt(authenticator, token, "2001:db8:1:3::1:1", 50.0) == -1.0


async def test_too_many_guesses_are_rejected_with_the_wait(tmp_path: Path) -> None:
    async with closed_server(tmp_path) as closed:
        token = closed.token("ana")
        async with v1_client(closed.server.url, token=token) as inside:
            now = asyncio.get_running_loop().time()
            for _ in range(LOOPBACK_FAILURES_PER_MINUTE + 50):
                closed.authenticator.failures.record_failure("127.0.0.1:1", now)
            answer = await refusal(closed.server, bearer(token), V1)
            assert answer.startswith("HTTP/1.1 429 ")
            wait_s = int(answer.partition("Retry-After: ")[2].split()[0])
            assert 1 <= wait_s <= 60
            assert "Wait" in answer.partition("\r\n\r\n")[2]
            async with silent_v1_client(closed.server.url) as guesser:
                await guesser.send("hello", token=token)
                code, reason = await guesser.closed()
                assert code == 4500
                assert "Wait" in reason
            await inside.say("still here", nonce="n")
            await inside.next_of(type="ack")


# -- the right ends


async def test_guessing_behind_a_proxy_limits_only_the_guesser(tmp_path: Path) -> None:
    behind_proxy = AdmissionLimits(trusted_proxies=("127.0.0.1",))

    async def status(address: str, token: str) -> str:
        async with raw_socket(closed.server.port) as sock:
            return (await sock.handshake(headers=bearer(token), X_Forwarded_For=address)).split()[1]

    async with closed_server(tmp_path, admission=behind_proxy) as closed:
        token = closed.token("ana")
        for _ in range(FAILURES_PER_MINUTE):
            assert await status("192.0.2.7", WRONG) == "401"
        assert await status("192.0.2.7", token) == "429"
        assert await status("198.51.100.7", token) == "101"


async def test_revoking_ends_live_connections_with_4500_and_no_others(tmp_path: Path) -> None:
    assert POLL_S <= 2.0, "so that it takes less than 5 s"
    async with closed_server(tmp_path) as closed:
        ana, ben = closed.token("ana"), closed.token("ben")
        async with (
            v1_client(closed.server.url, token=ana) as first,
            plain_client(closed.server.url, token=ana) as second,
            v1_client(closed.server.url, token=ben) as other,
        ):
            closed.revoke("ana")
            for connection in (first, second):
                code, reason = await connection.closed()
                assert code == 4500
                assert "expired or was revoked" in reason
            await other.say("still here", nonce="n")
            await other.next_of(type="ack")
        assert "401" in await refusal(closed.server, bearer(ana))


async def test_expired_token_closes_its_connection(tmp_path: Path) -> None:
    async with closed_server(tmp_path) as closed:
        token = closed.token("ana", expires=datetime.now(UTC) + timedelta(seconds=1))
        async with v1_client(closed.server.url, token=token) as ana:
            assert (await ana.closed())[0] == 4500


async def test_reload_reads_the_token_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "POLL_S", 10_000.0)
    async with (
        closed_server(tmp_path) as closed,
        v1_client(closed.server.url, token=closed.token("ana")) as ana,
    ):
        closed.revoke("ana")
        closed.server.reload()
        assert (await ana.closed())[0] == 4500


async def test_damaged_token_file_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with closed_server(tmp_path) as closed:
        token = closed.token("ana")
        async with v1_client(closed.server.url, token=token) as ana:
            (tmp_path / "tokens.json").write_text("broken")
            await eventually(lambda: "cannot reload the tokens" in caplog.text)
            await ana.say("still here", nonce="n")
            await ana.next_of(type="ack")
        async with v1_client(closed.server.url, token=token):
            pass


async def test_a_server_does_not_start_with_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_text("broken")
    with pytest.raises(TokenFileError):
        async with closed_server(tmp_path):
            pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
async def test_readable_token_file_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tokens.json"
    TokenStore(path).create("ana", Role.MEMBER, None)
    path.chmod(0o644)
    async with closed_server(tmp_path) as closed:
        closed.server.reload()
    [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"chmod 600 {path}" in line


async def test_new_token_claims_its_name_on_an_open_server(tmp_path: Path) -> None:
    async with (
        closed_server(tmp_path, needs_token=False) as closed,
        v1_client(closed.server.url, "ana") as squatter,
        v1_client(closed.server.url, "ben") as ben,
    ):
        token = closed.token("ana")
        code, reason = await squatter.closed()
        assert code == 4509
        assert "another" in reason
        async with v1_client(closed.server.url, token=token) as ana:
            assert ana.frames[0]["name"] == "ana"
        await ben.settle()


# -- what is not revealed


async def test_no_token_is_ever_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No library logs a token at any level: valid or invalid, in the handshake, in frames, or malformed."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="broadcast_tui.websockets")
    async with closed_server(tmp_path) as closed:
        closed.server._runner._debug = True
        token = closed.token("ana")
        async with silent_v1_client(closed.server.url) as ana:
            await ana.send("hello", token=token)
            await ana.next_of(type="welcome")
            await ana.send("hello", token=token)
            await ana.say(f"my token is {token}", nonce="n")
            await ana.next_of(type="ack")
            for unseen in ("\u200b", "\u00ad", "\\u200b", "\\udb40\\udc41"):
                await ana.send_raw(f'{{"type":"message","message":"{unseen.join(token)}","room":"lobby"}}')
                await ana.next_of(type="message")
        for text in (f'{{"type":"hello","token":"{token}"', json.dumps({"type": "hello", "token": [token]}),
                     f'{{"type":"\\u0068ello","\\u0074oken":"\\u0062t{token[2:]}"}}', token):  # fmt: skip
            async with silent_v1_client(closed.server.url) as broken:
                await broken.send_raw(text)
                await broken.next_frame()
        await refusal(closed.server, bearer(token[:-1]))
        async with v1_client(closed.server.url, token=token):
            pass
        await eventually(lambda: closed.server.connection_count == 0)
    logged = [record for record in caplog.records if not record.name.startswith("websockets")]
    assert any(record.levelno == logging.DEBUG and "a hello" in record.getMessage() for record in logged)
    assert any("my token is bt_…" in record.getMessage() for record in logged)
    everything = "\n".join(record.getMessage() + str(record.exc_info) for record in logged)
    everything = re.sub(r"\\x..|\\u....|\\U.{8}", "", everything)
    assert not any(token[start : start + 12] in everything for start in range(3, len(token) - 12))


# -- the gate by itself


def request(*headers: tuple[str, str]) -> Request:
    return Request("/", Headers(headers))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(tmp_path: Path, scheme: str) -> None:
    book = TokenStore(tmp_path / "tokens.json")
    token, _ = book.create("ana", Role.MEMBER, None)
    authenticator = TokenAuthenticator(book, needs_token=True)
    asked = request(("Authorization", f"{scheme}  {token} "))
    assert isinstance(authenticator.check_handshake(asked, "x", Instant(0.0, AT)), Identity)


def test_two_tokens_at_once_are_invalid(tmp_path: Path) -> None:
    book = TokenStore(tmp_path / "tokens.json")
    token, _ = book.create("ana", Role.MEMBER, None)
    authenticator = TokenAuthenticator(book, needs_token=True)
    twice = request(("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}"))
    found = authenticator.check_handshake(twice, "x", Instant(0.0, AT))
    assert isinstance(found, Response)
    assert found.status_code == 401
