"""Parsing of moderation commands and the requests they send."""

from __future__ import annotations

import pytest

from broadcast_tui.tui.commands.moderation import Target, parse_target
from tests.support.fake_client import member_list
from tests.support.fake_context import FakeContext

PEOPLE = ["mallory", "J. R. R. Tolkien", "mal", "10m"]


@pytest.mark.parametrize(
    ("argument", "target"),
    [
        ("mallory", Target("mallory", 0, "")),
        ("mallory 1h spam and more", Target("mallory", 3600, "spam and more")),
        ("mal 90s", Target("mal", 90, "")),
        ("mallory 2W", Target("mallory", 1_209_600, "")),
        ("mallory hours of spam", Target("mallory", 0, "hours of spam")),
        ("j. r. r. tolkien 10m off topic", Target("J. R. R. Tolkien", 600, "off topic")),
        ('"some one" 10m why', Target("some one", 600, "why")),
        ("@mallory 10min", Target("mallory", 600, "")),
        ("192.0.2.0/24 7d flood", Target("192.0.2.0/24", 604_800, "flood")),
        ("10m 10m", Target("10m", 600, "")),
        ("nobody", Target("nobody", 0, "")),
        ("mallory 3rd warning", Target("mallory", 0, "3rd warning")),
        ("mallory 12th 1x", Target("mallory", 0, "12th 1x")),
    ],
)
def test_argument_is_split_into_name_duration_and_reason(argument: str, target: Target) -> None:
    assert parse_target(argument, PEOPLE, timed=True) == target


@pytest.mark.parametrize("word", ["1x", "10", "5hrs", "1H2"])
def test_a_mistyped_duration_makes_no_permanent_ban(word: str) -> None:
    target = parse_target(f"mallory {word} spam", PEOPLE, timed=True)
    assert target.fault == ("" if word == "1H2" else f"Invalid duration: '{word}'. Use 30s, 10m, 2h or 1d.")


def test_kick_does_not_take_a_duration() -> None:
    assert parse_target("mallory 1h of spam", PEOPLE, timed=False) == Target("mallory", 0, "1h of spam")


@pytest.mark.parametrize(
    ("typed", "call"),
    [
        ("/kick mallory spam", ("kick", "mallory", "spam")),
        ("/ban mallory 1h spam", ("ban", "mallory", "3600.0", "spam")),
        ("/unban mallory", ("unban", "mallory")),
        ("/mute-user mallory 10m", ("mute", "mallory", "600.0", "")),
        ("/unmute-user J. R. R. Tolkien", ("unmute", "J. R. R. Tolkien")),
        ("/bans", ("bans",)),
    ],
)
def test_each_command_sends_its_request(typed: str, call: tuple[str, ...]) -> None:
    context = FakeContext("ana")
    context.receive(member_list("lobby", "", 5, ("ana", *PEOPLE), False))
    assert context.execute(typed)
    assert context.client.calls[-1] == call
