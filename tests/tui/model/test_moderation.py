"""What admins type, and what is said when it is done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from broadcast_tui.core.session.updates import Ban, BansListed, Moderated
from broadcast_tui.tui.commands.moderation import moderate
from broadcast_tui.tui.commands.parser import CommandInput, parse
from broadcast_tui.tui.commands.registry import Verb
from broadcast_tui.tui.model.moderation import Target, ban_lines, done_text, parse_target
from tests.support.fake_client import FakeClient

PEOPLE = ["mallory", "J. R. R. Tolkien", "mal", "10m"]
AT = datetime(2026, 1, 1, tzinfo=UTC)


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
    ],
)
def test_whom_how_long_and_why(argument: str, target: Target) -> None:
    assert parse_target(argument, PEOPLE, timed=True) == target


def test_a_kick_has_no_time() -> None:
    assert parse_target("mallory 1h of spam", PEOPLE, timed=False) == Target("mallory", 0, "1h of spam")


@pytest.mark.parametrize(
    ("typed", "call"),
    [
        ("/kick mallory spam", ("kick", "mallory", "spam")),
        ("/ban mallory 1h spam", ("ban", "mallory", "3600.0", "spam")),
        ("/unban mallory", ("unban", "mallory")),
        ("/mute-user mallory 10m", ("mute", "mallory", "600.0", "")),
        ("/unmute-user J. R. R. Tolkien", ("unmute", "J. R. R. Tolkien")),
    ],
)
def test_each_command_asks_the_server(typed: str, call: tuple[str, ...]) -> None:
    run = parse(typed)
    assert isinstance(run, CommandInput)
    client = FakeClient("ana")
    moderate(client, run.command.verb, run.argument, PEOPLE)
    assert client.calls[-1] == call


def test_other_commands_are_not_for_this() -> None:
    with pytest.raises(AssertionError):
        moderate(FakeClient("ana"), Verb.QUIT, "x", ())


def test_what_is_said_when_it_is_done() -> None:
    done = Moderated("r", "ban", "mal\x1bory", 2, ("192.0.2.7",), AT + timedelta(hours=3))
    assert done_text(done, AT) == "Banned mal\u241bory for 3 h (192.0.2.7)."
    assert done_text(Moderated("r", "unban", "mallory", 0, (), None), AT) == "Unbanned mallory."


@pytest.mark.parametrize(("action", "did"), [("ban", "Banned"), ("mute", "Muted")])
def test_what_is_about_nobody_here_says_so(action: str, did: str) -> None:
    done = Moderated("r", action, "nosuch", 0, (), None)
    assert done_text(done, AT) == f"{did} nosuch. Nobody who is here now is meant."


def test_each_ban_is_a_line() -> None:
    bans = (
        Ban("mute", "mal\x1bory", "ana", "spam", AT),
        Ban("ban", "192.0.2.0/24", "bob", "", None),
    )
    assert ban_lines(BansListed("r", bans, False)) == [
        f"mal\u241bory is muted until {AT.astimezone():%Y-%m-%d %H:%M}, by ana: spam",
        "192.0.2.0/24 is banned for good, by bob",
    ]
    assert ban_lines(BansListed("r", bans[1:], True))[0] == "\u2026 and older ones"
    assert ban_lines(BansListed("r", (), False)) == ["Nobody is banned or muted."]
