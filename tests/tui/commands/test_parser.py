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
from broadcast_tui.tui.commands.registry import COMMANDS, Argument, Group, Verb
from broadcast_tui.tui.model.transcript.chunks import LineKind
from broadcast_tui.tui.model.transcript.transcript import Transcript


def test_every_verb_has_exactly_one_row() -> None:
    assert [command.verb for command in COMMANDS] == list(Verb)


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
    ("typed", "verb", "argument"),
    [
        ("/help", Verb.HELP, ""),
        ("/HELP nick", Verb.HELP, "nick"),
        ("/me  waves at\nall", Verb.ME, "waves at\nall"),
        ("/nick Ana B ", Verb.NICK, "Ana B"),
        ("/exit", Verb.QUIT, ""),
        ("/who \n", Verb.WHO, ""),
    ],
)
def test_commands_are_found_in_any_case_and_by_alias(typed: str, verb: Verb, argument: str) -> None:
    parsed = parse(typed)
    assert isinstance(parsed, CommandInput)
    assert (parsed.command.verb, parsed.argument) == (verb, argument)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("/hlep", "/help"), ("/quti", "/quit"), ("/cl", "/clear"), ("/nickname x", "/nick")],
)
def test_an_unknown_command_is_never_sent_and_the_nearest_is_offered(typed: str, offered: str) -> None:
    parsed = parse(typed)
    assert isinstance(parsed, InputError)
    assert f"Did you mean {offered}?" in parsed.text
    assert "nothing was sent" in parsed.text


@pytest.mark.parametrize("typed", ["/", "/ x", "/zzzz", "/etc/passwd"])
def test_nonsense_points_to_help(typed: str) -> None:
    parsed = parse(typed)
    assert isinstance(parsed, InputError)
    assert "/help" in parsed.text


def test_a_missing_argument_shows_the_usage() -> None:
    parsed = parse("/nick")
    assert isinstance(parsed, InputError)
    assert "/nick <name>" in parsed.text


def test_an_argument_too_many_is_not_swallowed() -> None:
    assert isinstance(parse("/clear everything"), InputError)


def test_find_takes_the_slash_or_not() -> None:
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
        "/nick <name>  Take another name; it is yours once the server agrees",
        "Also: /name",
        "Example: /nick ana",
    ]
    assert help_lines("nikc") == ["There is no command /nikc. Did you mean /nick?"]
    assert help_lines("ban")[1:] == ["Example: /ban mallory 1h spam", "Example: /ban 192.0.2.7 7d"]


@pytest.mark.parametrize("typed", ["/msg bob hi", "/query bob", "/MSG"])
def test_private_messages_are_said_not_to_be_there_yet(typed: str) -> None:
    parsed = parse(typed)
    assert isinstance(parsed, InputError)
    word = typed.split()[0]
    assert parsed.text == (
        f"There is no command {word}, nothing was sent: private messages are not there yet. "
        f"To send it as text: /{word}"
    )


def test_what_is_sent_as_text_is_read_as_text() -> None:
    transcript = Transcript(zone=UTC)
    for typed in ("//me waves", " /me waves"):
        said = parse(typed)
        assert isinstance(said, PostInput)
        line = transcript.line(transcript.add_post("ana", said.text, datetime(2025, 8, 30, tzinfo=UTC)))
        assert line is not None
        assert (line.kind, line.text) == (LineKind.POST, " /me waves")
