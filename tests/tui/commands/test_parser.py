from __future__ import annotations

from datetime import UTC, datetime

import pytest

from broadcast_tui.tui.commands.parser import (
    CommandInput,
    InputError,
    PostInput,
    find,
    help_lines,
    nearest,
    parse,
)
from broadcast_tui.tui.commands.registry import COMMANDS, Argument, Group
from broadcast_tui.tui.model.transcript.chunks import LineKind
from broadcast_tui.tui.model.transcript.transcript import Transcript


def test_names_and_aliases_do_not_clash() -> None:
    words = [word for command in COMMANDS for word in (command.name, *command.aliases)]
    assert len(words) == len(set(words))


def test_commands_with_an_argument_have_a_hint_and_an_example() -> None:
    for command in COMMANDS:
        assert bool(command.hint) == (command.argument is not Argument.NONE)
        assert bool(command.examples) == bool(command.hint)
        assert all(example.startswith(f"/{command.name}") for example in command.examples)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("hello", "hello"),
        ("//x", "/x"),
        (" /etc/hosts", "/etc/hosts"),
        ("//me waves", " /me waves"),
        (" /me waves", " /me waves"),
        ("//me", "/me"),
        ("either/or", "either/or"),
        ("  indented", "  indented"),
        ("two\n/lines", "two\n/lines"),
    ],
)
def test_text_is_sent(typed: str, sent: str) -> None:
    assert parse(typed) == PostInput(sent)


@pytest.mark.parametrize(
    ("typed", "name", "argument"),
    [
        ("/help", "help", ""),
        ("/HELP nick", "help", "nick"),
        ("/me  waves at\nall", "me", "waves at\nall"),
        ("/nick Ana B ", "nick", "Ana B"),
        ("/exit", "quit", ""),
        ("/who \n", "who", ""),
    ],
)
def test_commands_are_found_in_any_case_and_by_alias(typed: str, name: str, argument: str) -> None:
    parsed = parse(typed)
    assert isinstance(parsed, CommandInput)
    assert (parsed.command.name, parsed.argument) == (name, argument)


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [("/hlep", "/help"), ("/quti", "/quit"), ("/cl", "/clear"), ("/nickname x", "/nick")],
)
def test_an_unknown_command_is_not_sent_and_the_nearest_is_suggested(typed: str, suggested: str) -> None:
    parsed = parse(typed)
    assert isinstance(parsed, InputError)
    assert f"Did you mean {suggested}?" in parsed.text
    assert "To send it as text: /" in parsed.text


@pytest.mark.parametrize("typed", ["/", "/ x", "/zzzz", "/etc/passwd"])
def test_unknown_input_points_to_help(typed: str) -> None:
    parsed = parse(typed)
    assert isinstance(parsed, InputError)
    assert "/help" in parsed.text


def test_a_missing_argument_shows_the_usage() -> None:
    parsed = parse("/nick")
    assert isinstance(parsed, InputError)
    assert "/nick <name>" in parsed.text


def test_an_unexpected_argument_is_an_error() -> None:
    assert isinstance(parse("/clear everything"), InputError)


def test_find_accepts_an_optional_slash() -> None:
    assert find("/Names") is find("who")
    assert find("nothing") is None
    assert nearest("") is None


def test_help_lists_every_command_by_group() -> None:
    lines = help_lines(key="F1")
    assert [line.partition(":")[0] for line in lines[:-1]] == [group.value for group in Group]
    listed = [word for line in lines[:-1] for word in line.partition(": ")[2].split(", ")]
    assert sorted(listed) == sorted(["//text", *(f"/{command.name}" for command in COMMANDS)])
    assert "F1" in lines[-1]
    assert help_lines()[:-1] == lines[:-1]
    assert "F1" not in help_lines()[-1]


def test_help_of_one_command_has_usage_aliases_and_example() -> None:
    assert help_lines("nick") == [
        "/nick <name>  Change your name; the server confirms it",
        "Aliases: /name",
        "Example: /nick ana",
    ]
    assert help_lines("nikc") == ["No such command: /nikc. Did you mean /nick?"]
    assert help_lines("ban")[1:] == ["Example: /ban mallory 1h spam", "Example: /ban 192.0.2.7 7d"]


def test_text_sent_literally_is_shown_literally() -> None:
    transcript = Transcript(zone=UTC)
    for typed in ("//me waves", " /me waves"):
        parsed = parse(typed)
        assert isinstance(parsed, PostInput)
        line = transcript.line(transcript.add_post("ana", parsed.text, datetime(2025, 8, 30, tzinfo=UTC)))
        assert line is not None
        assert (line.kind, line.text) == (LineKind.POST, " /me waves")
