"""The config file: its settings, their precedence, and errors in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from broadcast_tui.cli.config import config
from broadcast_tui.cli.parser import app
from broadcast_tui.cli.reload import read_options
from broadcast_tui.cli.serve_options import ServerOptions, protocol_limits
from broadcast_tui.cli.settings import SECTIONS, USER_CONFIG, ConfigError, UserConfig
from broadcast_tui.core.limits import Limits
from broadcast_tui.tui.keymap import KEYS
from tests.cli.program import ROOT, run


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty file, used as the user's config file."""
    path = tmp_path / "config.toml"
    path.touch()
    monkeypatch.setattr(USER_CONFIG, "path", path)
    monkeypatch.setattr(USER_CONFIG, "_tables", None)
    return path


def shown(capsys: pytest.CaptureFixture[str], section: str = "") -> dict[str, tuple[str, str]]:
    """The output of `config`: value and source by name."""
    USER_CONFIG._tables = None
    assert config(section) == 0
    rows = {}
    for line in capsys.readouterr().out.splitlines()[1:]:
        setting, _, source = line.rpartition("  # ")
        name, _, value = setting.partition(" = ")
        rows[name] = (value.strip(), source)
    return rows


def test_every_option_and_key_is_shown(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = shown(capsys)
    assert {name.partition(".")[0] for name in rows} == set(SECTIONS)
    assert rows["serve.port"] == ("8765", "default")
    for row in KEYS:
        assert f'keys."{row.id}"' in rows


def test_environment_overrides_the_file(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('[chat]\nname = "ana"\nroom = "dev"\nport = 9000\n')
    monkeypatch.setenv("BROADCAST_TUI_CHAT_ROOM", "ops")
    rows = shown(capsys, "chat")
    assert rows["chat.name"] == ('"ana"', str(file))
    assert rows["chat.room"] == ('"ops"', "BROADCAST_TUI_CHAT_ROOM")
    assert rows["chat.port"] == ("9000", str(file))
    assert rows["chat.host"] == ('"localhost"', "default")


def test_shown_defaults_are_those_that_apply(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = shown(capsys)
    assert rows["chat.port"] == ("8765", "default")
    assert rows["send.url"] == ('"localhost:8765"', "default")
    assert rows["chat.room"] == ('""', "default: the rooms of the last run, or lobby")
    assert rows["serve.history"] == ('""', "default: a file in your data directory")
    assert rows["chat.plain"] == ("false", "default")


def test_mention_words_are_a_list(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('[chat]\nmention = ["deploy", "outage"]\n')
    assert shown(capsys, "chat")["chat.mention"] == ('["deploy", "outage"]', str(file))


def test_command_line_overrides_the_file(file: Path) -> None:
    file.write_text("[serve]\nport = 9000\nmessage_burst = 7\nkeep-posts = 5\n")
    _, bound, _ = app.parse_args(["serve", "--port", "1"], print_error=False, exit_on_error=False)
    assert (bound.arguments["port"], bound.arguments["keep_posts"]) == (1, 5)
    assert protocol_limits(bound.arguments["connection"], ServerOptions()) == Limits(message_burst=7)
    _, bound, _ = app.parse_args(["start"], print_error=False, exit_on_error=False)
    assert bound.arguments["port"] == 9000


def test_serve_config_file_replaces_the_table(file: Path, tmp_path: Path) -> None:
    file.write_text("[serve]\nport = 9000\nkeep-posts = 5\n")
    other = tmp_path / "server.toml"
    other.write_text("port = 9001\n")
    assert read_options(["serve", "--config", str(other)])["port"] == 9001
    assert read_options(["serve", "--config", str(other)])["keep_posts"] is None
    assert read_options(["serve", "--config", ""])["port"] == 9000


def test_table_cannot_name_another_config_file(file: Path) -> None:
    file.write_text('[serve]\nconfig = "server.toml"\n')
    with pytest.raises(ConfigError, match="has no option 'config'"):
        app.parse_args(["serve"], print_error=False, exit_on_error=False)


def test_file_is_read_again_on_reload(file: Path) -> None:
    file.write_text("[serve]\nport = 9000\n")
    assert read_options(["serve"])["port"] == 9000
    file.write_text("[serve]\nport = 9001\n")
    assert read_options(["serve"])["port"] == 9001


def test_address_on_the_command_line_replaces_host_and_port(file: Path) -> None:
    file.write_text('[chat]\nhost = "example.org"\nport = 9000\nroom = "dev"\n')
    _, bound, _ = app.parse_args(["chat", "ws://localhost:1"], print_error=False, exit_on_error=False)
    assert bound.arguments == {"url": ("ws://localhost:1",), "room": "dev"}
    USER_CONFIG._tables = None
    _, bound, _ = app.parse_args(["chat"], print_error=False, exit_on_error=False)
    assert bound.arguments == {"host": "example.org", "port": 9000, "room": "dev"}


def test_keys_may_be_dotted_quoted_or_lists(file: Path) -> None:
    file.write_text('[keys]\nlog.page-up = "f3"\n"log.page-down" = ["f4", "ctrl+o"]\n')
    assert USER_CONFIG.keys() == {"log.page-up": "f3", "log.page-down": "f4,ctrl+o"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[chat]\nnam = 1", "has no option 'nam'. Did you mean name?"),
        ("[chat]\nzzzz = 1", "Available: ask-name, ca, host, "),
        ("[cat]", "Unknown table [cat]. Did you mean chat?"),
        ("chat = 1", "chat must be a table"),
        ("[chat", "is not valid TOML"),
        ("[chat]\nport = 'many'", "'many' is not a whole number"),
        ("[chat.name]\nfirst = 'ana'", "config.toml:1: name must be a string, a number"),
        ("[serve]\n\nprot = 1", "config.toml:3: [serve] has no option 'prot'. Did you mean port?"),
        ('[keys]\n"app.quit-chat" = 7', '"app.quit-chat" must be text'),
        ('[keys]\n"app.quit" = "f4"', "Did you mean app.quit-chat?"),
        (
            '[chat]\ntheme = "broadcast-lite"',
            "No such theme: 'broadcast-lite'. Did you",
        ),
        ('[keys]\n"app.quit-chat" = "x"', "Add ctrl+ or alt+"),
        ('[settings]\ntim = "12h"', "[settings] No such setting: tim. Did you mean time?"),
        ('[settings]\ntime = "13h"', "Invalid value for time: '13h'. Use 24h, 12h, seconds or off."),
        ('[settings]\ntheme = "nord"', "Write theme into the table [chat]."),
        ("\x00", "is not valid TOML"),
    ],
)
async def test_config_error_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    directory = tmp_path / "broadcast-tui"
    directory.mkdir()
    (directory / "config.toml").write_text(content)
    outcome = await run("config", home=tmp_path)
    assert outcome.status == 2
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


async def test_mistakes_of_all_sections_are_reported_at_once(tmp_path: Path) -> None:
    directory = tmp_path / "broadcast-tui"
    directory.mkdir()
    file = directory / "config.toml"
    file.write_text('[chat]\nnam = "ana"\n[serve]\nport = "many"\nprot = 1\n[settings]\ntime = "13h"\n')
    outcome = await run("config", home=tmp_path)
    places = (
        ":2: [chat] has no option 'nam'. ",
        ":4: Invalid value for [port]: 'many' is not a whole number. ",
        ":5: [serve] has no option 'prot'. ",
        ": [settings] Invalid value for time: '13h'. ",
    )
    assert (outcome.status, outcome.out) == (2, "")
    for line, place in zip(outcome.err.splitlines(), places, strict=True):
        assert line.startswith(f"broadcast-tui: {file}{place}")


def test_settings_of_the_chat_are_read_and_printed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text('[settings]\ntime = "12h"\nfolding = false\nnames = 20\n')
    assert USER_CONFIG.chat_settings() == {"time": "12h", "folding": "off", "names": "20"}
    assert config("settings") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith('settings.time = "12h"') and str(file) in line for line in lines)
    assert any(line.startswith('settings.rooms = "auto"') and "default" in line for line in lines)


@pytest.mark.parametrize("section", ["", "keys", "chat"])
def test_key_conflict_is_reported_on_standard_error(
    file: Path, capsys: pytest.CaptureFixture[str], section: str
) -> None:
    file.write_text('[keys]\n"log.page-up" = "f3"\n"log.page-down" = "f3"\n')
    assert config(section) == 0
    captured = capsys.readouterr()
    assert "clash" not in captured.out
    conflict = f"broadcast-tui: {file}: [keys] F3 is bound to both log.page-"
    assert [line.startswith(conflict) for line in captured.err.splitlines()] == [True] * (section != "chat")


async def test_unknown_key_binding_is_reported_after_the_list(tmp_path: Path) -> None:
    file = tmp_path / "broadcast-tui" / "config.toml"
    file.parent.mkdir()
    file.write_text('[keys]\nzzzz = "f4"\n')
    outcome = await run("config", "keys", home=tmp_path)
    assert outcome.status == 2
    assert 'keys."log.page-up" = ' in outcome.out
    assert outcome.err == (
        f"broadcast-tui: {file}: [keys] Unknown key binding: 'zzzz'."
        " To list them, run: broadcast-tui config keys\n"
    )


def test_named_config_file_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADCAST_TUI_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="does not exist"):
        _ = UserConfig().tables
    monkeypatch.delenv("BROADCAST_TUI_CONFIG")
    assert UserConfig(None).tables == {}


def test_binary_config_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="Cannot read"):
        _ = UserConfig(path).tables


async def test_unknown_section_is_rejected(tmp_path: Path) -> None:
    outcome = await run("config", "cht", home=tmp_path)
    assert (outcome.status, outcome.out) == (2, "")
    assert "Did you mean chat?" in outcome.err


def test_closed_pipe_is_not_an_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m broadcast_tui config | head -n 1"
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert result.stdout.startswith("# ")
    assert result.stderr == ""


def test_settings_are_printed_without_the_password_of_redis(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text('[serve]\nhistory = "redis://me:s3cret@db"\n')
    assert config("serve") == 0
    out = capsys.readouterr().out
    assert "redis://…@db" in out
    assert "s3cret" not in out
