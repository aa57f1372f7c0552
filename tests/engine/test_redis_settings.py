"""Locations of Redis: what they mean, errors, and secrets in no text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from broadcast_tui.redis_settings import (
    PASSWORD_VARIABLE,
    USER_VARIABLE,
    LocationError,
    RedisSettings,
    is_redis,
    parse_location,
    read_location,
)

SECRET = "s3cret/with@every?thing"
ENCODED = "s3cret%2Fwith%40every%3Fthing"
PLAIN = RedisSettings()


@pytest.mark.parametrize(
    ("location", "settings", "shown"),
    [
        ("redis://", PLAIN, "redis://localhost:6379"),
        ("REDIS://localhost", PLAIN, "redis://localhost:6379"),
        ("redis://db:7000/3", replace(PLAIN, hosts=(("db", 7000),), database=3), "redis://db:7000/3"),
        ("redis://[::1]:7000", replace(PLAIN, hosts=(("::1", 7000),)), "redis://[::1]:7000"),
        ("redis://:7000", replace(PLAIN, hosts=(("localhost", 7000),)), "redis://localhost:7000"),
        ("rediss://db", replace(PLAIN, hosts=(("db", 6379),), tls=True), "rediss://db:6379"),
        (
            "rediss://db?tls_ca=/ca&tls_cert=/c&tls_key=/k",
            replace(PLAIN, hosts=(("db", 6379),), tls=True, tls_ca="/ca", tls_cert="/c", tls_key="/k"),
            "rediss://db:6379",
        ),
        (
            "unix:///run/r.sock",
            replace(PLAIN, hosts=(), socket_path="/run/r.sock"),
            "redis+unix:///run/r.sock",
        ),
        (
            "redis+unix:///run/r.sock?db=2",
            replace(PLAIN, hosts=(), socket_path="/run/r.sock", database=2),
            "redis+unix:///run/r.sock?db=2",
        ),
        (
            f"unix://me:{ENCODED}@/run/r.sock",
            replace(
                PLAIN,
                hosts=(),
                socket_path="/run/r.sock",
                username="me",
                password=SECRET,
                has_inline_password=True,
            ),
            "redis+unix:///run/r.sock",
        ),
        (
            "redis+sentinel://a,b:7/chat/4",
            replace(PLAIN, kind="sentinel", hosts=(("a", 26379), ("b", 7)), master="chat", database=4),
            "redis+sentinel://a:26379,b:7/chat/4",
        ),
        (
            "rediss+sentinel://a/chat",
            replace(PLAIN, kind="sentinel", hosts=(("a", 26379),), master="chat", tls=True),
            "rediss+sentinel://a:26379/chat",
        ),
        (
            "redis://a,b:7?cluster=true",
            replace(PLAIN, kind="cluster", hosts=(("a", 6379), ("b", 7))),
            "redis://a:6379,b:7?cluster=true",
        ),
        ("redis://?cluster=false", PLAIN, "redis://localhost:6379"),
        (
            "redis://?replicas=2&prefix=chat&append_timeout=1.5",
            replace(PLAIN, replicas=2, prefix="chat", append_timeout_s=1.5),
            "redis://localhost:6379",
        ),
        (
            f"redis://me:{ENCODED}@db",
            replace(PLAIN, hosts=(("db", 6379),), username="me", password=SECRET, has_inline_password=True),
            "redis://db:6379",
        ),
        (
            "redis://:a/b@db",
            replace(PLAIN, hosts=(("db", 6379),), password="a/b", has_inline_password=True),
            "redis://db:6379",
        ),
        ("redis://me@db", replace(PLAIN, hosts=(("db", 6379),), username="me"), "redis://db:6379"),
    ],
)
def test_locations_are_parsed(location: str, settings: RedisSettings, shown: str) -> None:
    assert is_redis(location)
    parsed = parse_location(location)
    assert parsed == settings
    assert str(parsed) == shown
    for secret in (SECRET, ENCODED):
        assert secret not in repr(parsed)


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("http://db", "Use one that starts with redis://"),
        ("redis://db:0", "invalid host or port"),
        ("redis://db:99999", "invalid host or port"),
        ("redis://db/x", "Invalid database number"),
        ("redis://a,b", "redis+sentinel:// or ?cluster=true"),
        ("redis+sentinel://a", "name of the primary"),
        ("redis://db/1?cluster=true", "only database 0"),
        ("redis://db?cluster=maybe", "Use true or false"),
        ("unix:///run/r.sock?cluster=true", "by host names"),
        ("unix://run/r.sock", "absolute path"),
        ("redis://db?replcas=1", "No such option in a Redis URL: replcas. Use append_timeout, cluster"),
        ("redis://db?replicas=-1", "Invalid replicas"),
        ("redis://db?append_timeout=0", "Invalid append_timeout"),
        ("redis://db?append_timeout=nan", "Invalid append_timeout"),
        ("redis://db?prefix=a{b}", "Invalid prefix"),
        ("redis://db?tls_ca=/ca", "Use rediss://"),
        ("rediss://db?tls_key=/k", "tls_cert=FILE"),
        (f"redis://db?password={SECRET}", "?password_file=PATH"),
        (f"redis://me:{SECRET}@db", "Percent-encode"),
        (f"redis://:{ENCODED}@db?password_file=/x", "or remove password_file"),
        (f"redis://:{ENCODED}@db:port", "invalid host or port"),
    ],
)
def test_errors_say_what_to_do_in_one_line_without_the_password(location: str, problem: str) -> None:
    with pytest.raises(LocationError) as raised:
        parse_location(location)
    text = str(raised.value)
    assert problem in text
    assert "\n" not in text
    assert "s3cret" not in text
    assert "thing" not in text


def test_the_password_comes_from_the_location_or_the_environment() -> None:
    environment = {PASSWORD_VARIABLE: "other", USER_VARIABLE: "someone"}
    settings = parse_location("redis://db", environment)
    assert (settings.username, settings.password) == ("someone", "other")
    assert not settings.has_inline_password
    settings = parse_location(f"redis://me:{ENCODED}@db", environment)
    assert (settings.username, settings.password) == ("me", SECRET)


def test_the_password_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    settings = read_location(f"redis+sentinel://a/chat?password_file={file}&sentinel_password_file={file}")
    assert settings.password == settings.sentinel_password == SECRET
    assert SECRET not in repr(settings)
    assert settings.redacted(f"AUTH {SECRET}") == "AUTH …"


@pytest.mark.parametrize("content", ["", "two\nlines", None])
def test_an_unusable_password_file_is_an_error(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    with pytest.raises(LocationError, match=str(file)):
        read_location(f"redis://db?password_file={file}")


def test_a_missing_certificate_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LocationError, match="No such file"):
        read_location(f"rediss://db?tls_ca={tmp_path / 'ca.pem'}")


@pytest.mark.parametrize("location", ["memory", "off", "chat.db", "/redis/x.db", "redis.db", "redis:/x"])
def test_other_locations_are_not_redis(location: str) -> None:
    assert not is_redis(location)
