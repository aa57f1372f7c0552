"""`token` with the tokens of servers that share a history in Redis."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadcast_tui.cli import token
from broadcast_tui.cli.errors import UsageError
from broadcast_tui.server.secret_store import digest_of
from broadcast_tui.server.token_store import TokenFileError
from tests.support.redis_server import RedisServer, needs_redis, running


@needs_redis
def test_tokens_in_redis_are_created_listed_and_revoked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(server := RedisServer(tmp_path, password="swordfish-4711")):
        token.create("ana", history=server.url)
        secret = capsys.readouterr().out.strip()
        stored = server.cli("HVALS", "{bt:ctl}:tokens")
        assert digest_of(secret) in stored
        assert secret not in stored
        token.list_tokens(history=server.url)
        assert "ana" in capsys.readouterr().out
        token.revoke("ana", history=server.url)
        assert "Revoked" in capsys.readouterr().out
        assert server.cli("HLEN", "{bt:ctl}:tokens") == "0"
        with pytest.raises(UsageError):
            token.revoke("ana", history=server.url)
        url = server.url
    with pytest.raises(TokenFileError) as caught:
        token.list_tokens(history=url)
    assert "swordfish" not in str(caught.value)


def test_a_file_is_no_shared_history() -> None:
    with pytest.raises(UsageError, match="--tokens"):
        token.list_tokens(history="history.db")
