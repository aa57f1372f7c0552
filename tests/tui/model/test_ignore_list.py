from __future__ import annotations

import pytest

from broadcast_tui.tui.model.ignore_list import IgnoreList, parse_ignore_duration


def test_users_are_ignored_until_unignored() -> None:
    ignored = IgnoreList()
    ignored.add("Bob", None)
    assert ignored.has("bob")
    assert not ignored.has("eve")
    assert ignored.remove("BOB")
    assert not ignored.remove("bob")
    assert not ignored


def test_a_temporary_ignore_ends() -> None:
    ignored = IgnoreList()
    ignored.add("bob", None)
    assert not ignored.is_timed
    ignored.add("eve", 160.0)
    assert ignored.is_timed
    assert ignored.lines(100.0) == ["bob", "eve (1 min left)"]
    assert ignored.expire(159.0) == []
    assert ignored.expire(160.0) == ["eve"]
    assert not ignored.has("eve")
    assert ignored.has("bob")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("10m", 600),
        ("2H", 7200),
        ("1d", 86_400),
        ("365d", 31_536_000),
        ("366d", None),
        ("0m", None),
        ("m", None),
        ("10", None),
        ("-5m", None),
        ("1.5h", None),
        ("٣m", None),
        ("9999999d", None),
    ],
)
def test_durations_are_a_number_and_a_unit(text: str, seconds: float | None) -> None:
    assert parse_ignore_duration(text) == seconds
