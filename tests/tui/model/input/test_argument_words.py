from __future__ import annotations

from broadcast_tui.tui.commands.parser import find
from broadcast_tui.tui.model.input.completion import CompletionContext, candidates, command_before

KNOWN = CompletionContext(
    speakers=("bob",),
    here=("ana", "bob", "zoe"),
    own="ana",
    rooms=("lobby", "dev", "docs"),
    themes=("nord", "sol"),
    files=lambda typed: tuple(path for path in ("docs/", "dump.md") if path.startswith(typed)),
)


def texts(text: str) -> tuple[str, ...]:
    found = candidates(text, len(text), KNOWN)
    return found.texts if found else ()


def test_the_argument_of_a_command_is_completed() -> None:
    assert texts("/join ") == ("#lobby ", "#dev ", "#docs ")
    assert texts("/J #D") == ("#dev ", "#docs ")
    assert texts("/buffer do") == ("#docs ",)
    assert texts("/ignore ") == ("bob ", "zoe ", "ana ")
    assert texts("/whois @z") == ("@zoe ",)
    assert texts("/theme n") == ("nord ",)
    assert texts("/help cl") == ("clear ",)
    assert texts("/notify ") == ("off ", "mentions ", "all ", "test ")
    assert texts("/notify M") == ("mentions ",)
    assert texts("/export d") == ("docs/", "dump.md ")
    assert texts("/export x") == ()


def test_names_complete_after_other_commands_and_words() -> None:
    assert texts("/me zo") == ("zoe ",)
    assert texts("/ignore bob zo") == ("zoe ",)
    assert texts("//join lo") == ()


def test_the_command_before_a_word_is_found() -> None:
    command = command_before("/Join ")
    assert command is not None
    assert command.name == "join"
    assert command is find("j")
    assert command_before("/join x ") is None
    assert command_before("join ") is None
