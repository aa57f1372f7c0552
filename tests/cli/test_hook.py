"""`hook`: addresses at which programs post, created, listed and revoked."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadcast_tui.cli import hook, token
from broadcast_tui.cli.errors import UsageError, with_advice
from broadcast_tui.cli.security import hooks_path
from broadcast_tui.server.hook_store import HOOK_PREFIX, HookFileError
from broadcast_tui.server.secret_store import digest_of
from tests.support.redis_server import RedisServer, needs_redis, running


@pytest.fixture
def tokens(tmp_path: Path) -> str:
    return str(tmp_path / "tokens.json")


def created(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """The address that `create` has printed, and the note."""
    output = capsys.readouterr()
    return output.out.strip(), output.err


def test_a_hook_is_created_listed_and_revoked(tokens: str, capsys: pytest.CaptureFixture[str]) -> None:
    hook.create("ci", room="ops", tokens=tokens, url="https://chat.example.com/")
    address, note = created(capsys)
    base, _, secret = address.rpartition("/")
    assert base == "https://chat.example.com/hooks"
    assert secret.startswith(HOOK_PREFIX)
    assert "#ops" in note
    assert secret not in note
    assert secret not in hooks_path(tokens).read_text("utf-8")
    hook.create("ci", room="dev", tokens=tokens, expires="12h", port=8799)
    address, note = created(capsys)
    assert address.startswith("http://localhost:8799/hooks/")
    assert "until 20" in note
    hook.list_hooks(tokens=tokens)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-2:] for line in lines] == [["ops", "ci"], ["dev", "ci"]]
    hook.revoke(lines[0].split()[0], tokens=tokens)
    assert "of ci in #ops" in capsys.readouterr().out
    hook.revoke("ci", tokens=tokens)
    hook.list_hooks(tokens=tokens)
    assert "No hooks" in capsys.readouterr().err
    with pytest.raises(UsageError, match="No such hook"):
        hook.revoke("ci", tokens=tokens)


@pytest.mark.parametrize(
    "url",
    [
        *("chat.example.com", "ftp://a", "https://", "https://a?b", "https://u:p@a"),
        *("http://::1:8765", "http://a:b", "http://a:0", "http://a:99999"),
    ],
)
def test_an_invalid_url_is_reported(url: str, tokens: str) -> None:
    with pytest.raises(UsageError, match="--url"):
        hook.create("ci", room="ops", tokens=tokens, url=url)
    assert not hooks_path(tokens).exists()


def test_names_and_rooms_are_checked(tokens: str) -> None:
    token.create("Bob", tokens=tokens)
    for name in ("B0b", "system", "guest-1", ""):
        with pytest.raises(UsageError):
            hook.create(name, room="ops", tokens=tokens)
    with pytest.raises(UsageError, match="--room"):
        hook.create("ci", room="no room", tokens=tokens)
    with pytest.raises(UsageError, match="--tokens"):
        hook.list_hooks(history="history.db")


@needs_redis
def test_hooks_in_redis_are_created_listed_and_revoked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(server := RedisServer(tmp_path)):
        hook.create("ci", room="ops", history=server.url)
        secret = created(capsys)[0].rpartition("/")[2]
        stored = server.cli("HVALS", "{bt:ctl}:hooks")
        assert digest_of(secret) in stored
        assert secret not in stored
        hook.list_hooks(history=server.url)
        assert capsys.readouterr().out.split()[-2:] == ["ops", "ci"]
        hook.revoke("ci", history=server.url)
        assert server.cli("HLEN", "{bt:ctl}:hooks") == "0"
        url = server.url
    with pytest.raises(HookFileError, match="Cannot read or write the hooks") as raised:
        hook.list_hooks(history=url)
    assert with_advice(raised.value).endswith(". Check that it runs.")
