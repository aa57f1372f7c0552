"""Errors in the command line: one line each, in words that say what to change."""

from __future__ import annotations

import os

import pytest

from broadcast_tui.cli import main
from broadcast_tui.cli.reload import read_options
from broadcast_tui.cli.server_info import check_host
from broadcast_tui.server.admission import check_origins


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("BROADCAST_TUI_")]:
        monkeypatch.delenv(name)


def error_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command with wrong usage prints."""
    with pytest.raises(SystemExit, match="2"):
        main(words)
    out, err = capsys.readouterr()
    assert out == ""
    return err


UNIT = "Write only the number, in the unit that the help names."
EXAMPLES = "Use 90s, 5m or 2h."


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("serve extra", "Unexpected argument: 'extra'."),
        ("serve extra more", "Unexpected arguments: 'extra', 'more'."),
        ("serve --port", "--port needs a value."),
        ("token create", "Missing argument: NAME."),
        ("history copy a", "Missing argument: TARGET."),
        ("replay ", "The name of the file is empty."),
        ("config check ", "The name of the file is empty."),
        ("hook create bob", "Missing option: --room."),
        ("hook create bob --rom ops", "Missing option: --room. Did you mean --room instead of --rom?"),
        ("serve --keep-days 3d", f"Invalid value for --keep-days: '3d' is not a number. {UNIT}"),
        ("serve --keep-bytes 64MB", f"Invalid value for --keep-bytes: '64MB' is not a whole number. {UNIT}"),
        ("serve --port 0x50", "Invalid value for --port: '0x50' is not a whole number."),
        ("serve --drain-delay x", f"Invalid value for --drain-delay: 'x' is not a duration. {EXAMPLES}"),
        (
            f"serve --max-rooms {2**53 + 1}",
            f'Invalid value "{2**53 + 1}" for --max-rooms. Must be <= {2**53}.',
        ),
        ("tail --timeout 5x", "Invalid value for --timeout: '5x' is not a duration. " + EXAMPLES),
    ],
)
def test_errors_are_one_sentence(capsys: pytest.CaptureFixture[str], words: str, text: str) -> None:
    err = error_of(capsys, *words.split(" "))
    command = " ".join(words.split()[: 2 if words.startswith(("token", "history", "hook", "config")) else 1])
    assert err == f"broadcast-tui: {text} See 'broadcast-tui {command} --help'.\n"


@pytest.mark.parametrize(
    "option", ["--host", "--history", "--tokens", "--tls-cert", "--tls-key", "--metrics-host"]
)
def test_an_empty_value_on_the_command_line_is_an_error(
    capsys: pytest.CaptureFixture[str], option: str
) -> None:
    text = f"Invalid value for {option}: it is empty. See 'broadcast-tui serve --help'."
    assert error_of(capsys, "serve", option, "") == f"broadcast-tui: {text}\n"


def test_an_empty_variable_is_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BROADCAST_TUI_SERVE_TLS_CERT", "")
    assert read_options(["serve"])["tls_cert"] == ""
    monkeypatch.setenv("BROADCAST_TUI_SERVE_HOST", "")
    text = "--host: The value is empty. Use localhost, or 0.0.0.0 for all networks."
    assert error_of(capsys, "serve") == f"broadcast-tui: {text}\n"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ("--host", "localhost:80"),
            "--host: Invalid host name or address: 'localhost:80'. Write the port with --port.",
        ),
        (("--host", "a b"), "--host: Invalid host name or address: 'a b'."),
        (
            ("--metrics-host", "::1:"),
            "--metrics-host: Invalid host name or address: '::1:'. Write the port with --metrics-port.",
        ),
        (
            ("--origin", "chat.example.org"),
            "Invalid origin: 'chat.example.org'. Use one like https://chat.example.org. Check --origin.",
        ),
        (
            ("--history", "mysql://me:s3cret@db/chat"),
            "--history: Unknown kind of history: mysql://. Use the path of a file, or redis://HOST:PORT.",
        ),
    ],
)
def test_values_that_can_never_work_are_errors(
    capsys: pytest.CaptureFixture[str], words: tuple[str, str], text: str
) -> None:
    assert error_of(capsys, "serve", *words) == f"broadcast-tui: {text}\n"


def test_hosts_may_be_written_as_in_addresses() -> None:
    assert [check_host(host) for host in ("[::1]", "::1", "fe80::1%eth0", "chat.example.org", "")] == [
        *("::1", "::1", "fe80::1%eth0", "chat.example.org", "")
    ]


def test_origins_of_any_scheme_are_valid() -> None:
    check_origins(("*", "null", "https://a.example", "http://[::1]:8080/", "chrome-extension://abc"))
