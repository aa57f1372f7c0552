"""The token file: digests only, private, written atomically, and reloaded after a change."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.server import secret_store
from broadcast_tui.server.token_store import TokenFileError, TokenStore

NOW = datetime.now(UTC)


@pytest.fixture
def book(tmp_path: Path) -> TokenStore:
    made = TokenStore(tmp_path / "data" / "tokens.json")
    made.load()
    return made


def reopened(book: TokenStore) -> TokenStore:
    again = TokenStore(book.path)
    again.load()
    return again


def test_token_has_256_random_bits_and_a_prefix(book: TokenStore) -> None:
    made = [book.create("ana", Role.MEMBER, None)[0] for _ in range(3)]
    assert len(set(made)) == 3
    for token in made:
        assert token.startswith("bt_")
        assert len(base64.urlsafe_b64decode(token[3:] + "=")) == 32


def test_only_the_digest_is_stored_in_a_private_file(book: TokenStore) -> None:
    token, entry = book.create("ana", Role.ADMIN, None)
    written = b"".join(path.read_bytes() for path in book.path.parent.iterdir())
    assert token.encode() not in written
    assert token[3:].encode() not in written
    assert hashlib.sha256(token.encode()).hexdigest() == entry.sha256
    assert entry.sha256.encode() in written
    if sys.platform != "win32":
        assert stat.S_IMODE(book.path.stat().st_mode) == 0o600


def test_a_token_is_found_until_it_is_revoked(book: TokenStore) -> None:
    token, entry = book.create("ana", Role.READER, None)
    found = reopened(book).find(token, NOW)
    assert found is not None
    assert (found.name, found.role, found.token_id) == ("ana", Role.READER, entry.id)
    assert book.revoke(entry.id) == (entry,)
    assert reopened(book).find(token, NOW) is None


@pytest.mark.parametrize("wrong", ["", "bt_", "é", "\ud800", "x" * 10_000, "bt_" + "A" * 43])
def test_unknown_token_is_not_found(book: TokenStore, wrong: str) -> None:
    book.create("ana", Role.MEMBER, None)
    assert book.find(wrong, NOW) is None


def test_digests_are_compared_in_constant_time(book: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    token, entry = book.create("ana", Role.MEMBER, None)
    compared: list[tuple[str, str]] = []

    def compare(a: str, b: str) -> bool:
        compared.append((a, b))
        return hmac.compare_digest(a, b)

    monkeypatch.setattr(secret_store, "hmac", type("Spy", (), {"compare_digest": staticmethod(compare)}))
    assert book.find(token, NOW) is not None
    assert book.find("bt_wrong", NOW) is None
    assert compared[0] == (entry.sha256, entry.sha256)
    assert compared[1] == (hashlib.sha256(b"bt_wrong").hexdigest(), "0" * 64)


def test_an_expired_token_is_not_found_but_its_name_stays_reserved(book: TokenStore) -> None:
    token, _ = book.create("ana", Role.MEMBER, NOW + timedelta(seconds=10))
    for seconds, valid in ((9.9, True), (10, False), (11, False)):
        at = NOW + timedelta(seconds=seconds)
        assert (book.find(token, at) is not None) is valid
    assert book.is_reserved("ana")


def test_several_tokens_of_one_name_are_valid_at_once_and_revoked_together(book: TokenStore) -> None:
    old, new = (book.create("ana", Role.MEMBER, None)[0] for _ in range(2))
    assert book.find(old, NOW)
    assert book.find(new, NOW)
    assert len(book.revoke("ana")) == 2
    assert not book.is_reserved("ana")
    assert book.revoke("ana") == ()


def test_names_that_look_alike_are_one_name(book: TokenStore) -> None:
    book.create("Bob", Role.MEMBER, None)
    with pytest.raises(InvalidNameError, match="looks like Bob"):
        book.create("B0b", Role.MEMBER, None)
    for nobodys in ("SYSTEM", "Guest-7", ""):
        with pytest.raises(InvalidNameError):
            book.create(nobodys, Role.MEMBER, None)
    assert len(reopened(book).entries) == 1


def test_many_writers_at_once_lose_nothing(book: TokenStore) -> None:
    def create(number: int) -> None:
        TokenStore(book.path).create(f"user {number}", Role.MEMBER, None)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(40)))
    assert {entry.name for entry in reopened(book).entries} == {f"user {number}" for number in range(40)}
    assert sorted(path.name for path in book.path.parent.iterdir()) == [".tokens.json.lock", "tokens.json"]


def test_change_within_one_clock_tick_is_detected(book: TokenStore) -> None:
    book.create("ana", Role.MEMBER, None)
    reader = reopened(book)
    assert not reader.has_changed()
    before = book.path.stat()
    book.create("ben", Role.MEMBER, None)
    os.utime(book.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert reader.has_changed()
    book.path.unlink()
    assert reader.has_changed()
    reader.load()
    assert reader.entries == ()


@pytest.mark.parametrize(
    "content", ["", "nonsense", "[]", '{"tokens":[{"id":1}]}', '{"tokens":' + "[" * 9000]
)
def test_invalid_token_file_is_rejected_and_unchanged(book: TokenStore, content: str) -> None:
    token, _ = book.create("ana", Role.MEMBER, None)
    book.path.write_text(content)
    with pytest.raises(TokenFileError, match=r"not a valid token file .*Move it away") as failed:
        book.load()
    assert "\n" not in str(failed.value)
    assert book.find(token, NOW) is not None, "what was known stays known"
    with pytest.raises(TokenFileError):
        book.create("ben", Role.MEMBER, None)
    assert book.path.read_text() == content, "nothing is lost"


@pytest.mark.parametrize("name", ["SYSTEM", "guest-1", "", "a\\nb"])
def test_manually_added_name_is_validated(book: TokenStore, name: str) -> None:
    book.create("ana", Role.MEMBER, None)
    book.path.write_text(book.path.read_text().replace('"ana"', f'"{name}"'))
    with pytest.raises(TokenFileError, match="Invalid name in"):
        book.load()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_readable_token_file_is_reported_once(book: TokenStore, mode: int, warned: bool) -> None:
    book.create("ana", Role.MEMBER, None)
    book.path.chmod(mode)
    warning = book.warning()
    assert ("chmod 600" in warning) is warned
    assert book.warning() == ""
