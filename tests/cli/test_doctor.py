"""`broadcast-tui doctor` as a command: text, JSON, exit status, and no secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broadcast_tui.cli.diagnosis.keys import describe
from broadcast_tui.cli.doctor import doctor
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.server.auth import TokenAuthenticator
from broadcast_tui.server.token_store import TokenStore
from tests.cli.program import run
from tests.support.ports import unused_port
from tests.support.running import running_server

AREAS = ("terminal", "server", "files", "installation")


async def test_all_is_well(tmp_path: Path) -> None:
    async with running_server() as server:
        outcome = await run("doctor", server.url, home=tmp_path)
    assert (outcome.status, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert [line.lower() for line in lines if not line.startswith(" ")][:-1] == list(AREAS)
    assert "  ✓ WebSocket with broadcast-tui.v1" in lines
    assert "no terminal" in lines[1]
    assert "\x1b" not in outcome.out
    assert not list(tmp_path.rglob("*.db"))


async def test_json_has_every_check(tmp_path: Path) -> None:
    url = f"ws://127.0.0.1:{unused_port()}"
    outcome = await run("doctor", url, "--json", home=tmp_path)
    result = json.loads(outcome.out)
    assert (outcome.status, outcome.err, result["ok"]) == (1, "", False)
    assert list(dict.fromkeys(check["area"] for check in result["checks"])) == list(AREAS)
    [failure] = [check for check in result["checks"] if check["status"] == "failed"]
    assert (failure["id"], set(failure)) == ("tcp", {"area", "id", "status", "text", "advice"})


def test_a_missing_server_is_no_failure_if_none_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadcast_tui.cli.doctor.DEFAULT_PORT", unused_port())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert doctor() == 0


async def test_secrets_are_not_printed(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "tokens.json")
    token, _ = store.create("mia", Role.MEMBER, None)
    async with running_server(authenticator=TokenAuthenticator(store, needs_token=True)) as server:
        good = await run("doctor", f"{server.url}#token={token}", "--json", home=tmp_path)
        bad = await run("doctor", f"{server.url}#token={token}x", home=tmp_path)
    assert (good.status, bad.status) == (0, 1)
    assert token not in good.out + good.err + bad.out + bad.err
    assert "accepted, as mia" in good.out
    assert "✗ " in bad.out


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("ftp://x",), "ws://"),
        (("--keys",), "--keys needs a terminal"),
        (("--token-file", "/nope"), "/nope"),
        (("--history", "redis://:s3cret@localhost"), "--history: doctor checks files only."),
    ],
)
async def test_wrong_usage(tmp_path: Path, options: tuple[str, ...], text: str) -> None:
    outcome = await run("doctor", *options, home=tmp_path)
    assert (outcome.status, outcome.out) == (2, "")
    assert text in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert "s3cret" not in outcome.err


@pytest.mark.parametrize("text", ['[chat]\nnmae = "ana"\n', "[chat\n"])
async def test_faults_of_files_are_failures(tmp_path: Path, text: str) -> None:
    (tmp_path / "broadcast-tui").mkdir()
    (tmp_path / "broadcast-tui" / "config.toml").write_text(text)
    (tmp_path / "old.db").write_bytes(bytes(range(256)) * 16)
    outcome = await run("doctor", "--history", str(tmp_path / "old.db"), "--json", home=tmp_path)
    assert (outcome.status, outcome.err) == (1, "")
    failures = {
        check["id"]: check for check in json.loads(outcome.out)["checks"] if check["status"] == "failed"
    }
    assert set(failures) == {"config", "history"}
    assert "config.toml" in failures["config"]["text"]


@pytest.mark.parametrize(
    ("key", "data", "parts"),
    [
        ("alt+k", "\x1bk", ("Alt+K", "Find a room", "(ESC k)")),
        ("ctrl+j", "\n", ("Ctrl+J", "New line", "(\\n)")),
        ("x", "x", ("x", "(x)")),
        ("f5", "\x1b[15~", ("F5", "Reconnect now", "(ESC [ 1 5 ~)")),
    ],
)
def test_keys_are_described(key: str, data: str, parts: tuple[str, ...]) -> None:
    line = describe(key, data)
    assert all(part in line for part in parts)
