"""`serve --config` and `config check`: options from a file, and errors in one line."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broadcast_tui.cli import main
from broadcast_tui.cli.option_tables import key_lines
from broadcast_tui.cli.parser import app
from broadcast_tui.cli.reload import read_options
from broadcast_tui.cli.serve_options import (
    AdmissionOptions,
    ConnectionOptions,
    ServerOptions,
    protocol_limits,
)
from broadcast_tui.cli.settings import ConfigMistakes
from tests.support.profile import by_profile


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("BROADCAST_TUI_"):
            monkeypatch.delenv(name)


def checked(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit status and output of `config check`."""
    with pytest.raises(SystemExit) as ended:
        main(["config", "check", str(path)])
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return int(ended.value.code), captured.out + captured.err


def test_command_line_and_environment_override_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "server.toml"
    path.write_text(
        'host = "192.0.2.1"\nport = 9000\nmax-rooms = 5\nmax_errors = 6\nmessage-rate = 2\n'
        'origin = ["https://a.example", "https://b.example"]\ntrusted-proxy = "10.0.0.0/8"\n'
    )
    monkeypatch.setenv("BROADCAST_TUI_SERVE_PORT", "9001")
    monkeypatch.setenv("BROADCAST_TUI_SERVE_HOST", "192.0.2.2")
    options = read_options(["serve", "--config", str(path), "--host", "192.0.2.3"])
    assert (options["host"], options["port"]) == ("192.0.2.3", 9001)
    connection, admission, totals = options["connection"], options["admission"], options["totals"]
    assert isinstance(connection, ConnectionOptions)
    assert isinstance(admission, AdmissionOptions)
    assert isinstance(totals, ServerOptions)
    limits, admitted = protocol_limits(connection, totals), admission.limits()
    assert (limits.max_rooms_per_peer, limits.max_errors, limits.message_rate) == (5, 6, 2.0)
    assert admitted.origins == ("https://a.example", "https://b.example")
    assert admitted.trusted_proxies == ("10.0.0.0/8",)
    assert admitted.max_new_per_minute == 60


def test_options_named_like_a_command_are_set_by_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, own = tmp_path / "server.toml", tmp_path / "config.toml"
    path.write_text('history = "memory"\n')
    assert read_options(["serve", "--config", str(path)])["history"] == "memory"
    assert read_options(["start", "--config", str(path)])["history"] == "memory"
    assert read_options(["serve", "--config", str(path), "--history", "off"])["history"] == "off"
    own.write_text('[serve]\nhistory = "off"\n[chat]\nserve = true\n')
    monkeypatch.setenv("BROADCAST_TUI_CONFIG", str(own))
    assert read_options(["serve"])["history"] == "off"
    assert read_options(["start"])["history"] == "off"
    assert read_options(["chat"])["serve"] is True


def test_environment_names_the_config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "server.toml"
    path.write_text("port = 9000\n")
    monkeypatch.setenv("BROADCAST_TUI_SERVE_CONFIG", str(path))
    assert read_options(["serve"])["port"] == 9000


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("max-conections = 3", "Unknown option max-conections. Did you mean max-connections?"),
        ("nothing-like-it-at-all = 3", "Unknown option nothing-like-it-at-all."),
        ('port = "x"', "port"),
        ("port = 1.5", "port"),
        ("port = 99999", "port"),
        ("message-rate = true", "message-rate"),
        ("message-rate = -1", "message-rate"),
        ("message-rate = nan", "message-rate"),
        ("message-rate = inf", "message-rate"),
        ("handshake-timeout = 1e999", "handshake-timeout"),
        ('tls = "self-signed"\ntls-cert = "x.pem"', "not both"),
        ('tls-key = "x.pem"', "--tls-cert"),
        ('tls-cert = "/nowhere/x.pem"', "Cannot read /nowhere/x.pem"),
        ('log-level = "loud"', "log-level"),
        ('host = ["a", "b"]', "host"),
        ("host = {a = 1}", "host"),
        ("[serve]\nport = 1", "Write the options without the table [serve]."),
        ('keep-days = "abc"', ": 'abc' is not a number. See 'broadcast-tui"),
        ('keep-posts = "abc"', ": 'abc' is not a whole number. See 'broadcast-tui"),
        ('config = "other.toml"', "config"),
        ('trusted-proxy = ["0.0.0.0/0"]', "0.0.0.0/0"),
        ('history = "redis://localhost?no=1"', "No such option in a Redis URL"),
        ('history = "mysql://u:pw@h/d"', ":1: Unknown kind of history: mysql://. "),
        ('origin = ["https://a.example", "b.example"]', ":1: Invalid origin: 'b.example'. "),
        ("port = 1\nport = 2", "is not valid TOML"),
        ("port =", "is not valid TOML"),
    ],
)
def test_invalid_option_in_the_file_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, named: str
) -> None:
    path = tmp_path / "server.toml"
    path.write_text(content)
    status, output = checked(path, capsys)
    assert status == 2
    assert re.fullmatch(r"broadcast-tui: [^\n]+\n", output)
    assert named in output


MISTAKES = """\
hsot = "x"
port = "abc"
max-rooms = 3
message-rate = -5

trusted-proxy = [
  "10.0.0.0/99",
]
tls-cert = "/nowhere/x.pem"
log-format = "xml"
"""
PLACES = (
    (1, "Unknown option hsot. Did you mean host?"),
    (2, "Invalid value for [port]: 'abc' is not a whole number. See 'broadcast-tui serve --help'."),
    (4, "Invalid value \"-5.0\" for [message-rate]. Must be >= 0. See 'broadcast-tui serve --help'."),
    (6, "Invalid network: '10.0.0.0/99'. "),
    (9, "Cannot read /nowhere/x.pem: No such file or directory. "),
    (10, 'Invalid value "xml" for [log-format]. Choose from: '),
)


@pytest.mark.parametrize("words", [("config", "check"), ("serve", "--config")])
def test_all_mistakes_are_reported_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    path = tmp_path / "server.toml"
    path.write_text(MISTAKES)
    with pytest.raises(SystemExit, match="2"):
        main([*words, str(path)])
    out, err = capsys.readouterr()
    assert out == ""
    for found, (line, text) in zip(err.splitlines(), PLACES, strict=True):
        assert found.startswith(f"broadcast-tui: {path}:{line}: {text}")


def test_a_value_that_the_command_line_overrides_is_not_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text('port = "abc"\ntls-key = "x"\n')
    with pytest.raises(ConfigMistakes) as raised:
        read_options(["serve", "--config", str(path), "--port", "1"])
    assert raised.value.lines == (f"{path}:2: --tls-key requires --tls-cert.",)
    options = read_options(["serve", "--config", str(path), "--port", "1", "--tls-cert", "/nowhere"])
    assert (options["port"], options["tls_key"]) == (1, "x")


def test_lines_of_keys() -> None:
    text = """\
a = 1
"b-c" = [
  "[x]",
]
  'd'.e = 2
f = '''
a = 3
g = 4
'''
g = 5
[t]  # more
a = 6
[t.u]
h = 7
"""
    assert key_lines(text) == {"b-c": 2, "d": 5, "f": 6, "t": 11}
    assert key_lines(text, "t") == {"a": 12, "u": 13}
    assert key_lines(text.replace("\n", "\r\n"), "t.u") == {"h": 14}


@pytest.mark.parametrize("path", ["/nowhere/at/all.toml", "/"])
def test_unreadable_file_is_reported_in_one_line(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, output = checked(Path(path), capsys)
    assert status == 2
    assert re.fullmatch(
        rf"broadcast-tui: (Cannot read )?{re.escape(path)}( does not exist|: )[^\n]+\n", output
    )


def test_missing_file_is_reported_without_advice_for_other_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none.toml"
    assert checked(path, capsys) == (2, f"broadcast-tui: {path} does not exist.\n")


def test_valid_file_is_valid_in_any_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROADCAST_TUI_SERVE_PORT", "nonsense")
    path = tmp_path / "server.toml"
    path.write_text("port = 9000\nstop-on-eof = true\n")
    assert checked(path, capsys) == (0, f"{path} is valid\n")
    assert app.config is not None


names = st.sampled_from(("port", "host", "max-rooms", "message-rate", "origin", "log-level", "x", "config"))
values = st.sampled_from(
    (
        "0",
        "-1",
        "1e400",
        "nan",
        '"x"',
        '"\\u001b]0;x"',
        "[]",
        "[[]]",
        "{}",
        "true",
        "1979-05-27",
        "[1, 'a']",
        "",
    )
)


@settings(max_examples=by_profile(50, 2_000), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.text(max_size=60) | st.lists(st.tuples(names, values)).map(
    lambda pairs: "\n".join(f"{name} = {value}" for name, value in pairs)
))  # fmt: skip
@example(content="\x00")
@example(content="[" * 5_000)
@example(content="a=" + "[" * 5_000)
@example(content='"\\u001b" = 1')
def test_any_file_is_valid_or_reported_in_a_line_for_each_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    path = tmp_path / "server.toml"
    path.write_text(content, "utf-8", errors="surrogatepass")
    status, output = checked(path, capsys)
    assert status in (0, 2)
    assert re.fullmatch(r"([^\x00-\x1f\x7f-\x9f]+\n)+", output)
