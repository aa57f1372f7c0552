from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from broadcast_tui.tui.model.transcript.selection import Excerpt
from broadcast_tui.tui.terminal.clipboard import (
    OSC52_MAX_BYTES,
    Tool,
    browse,
    browser_tool,
    clipboard_tools,
    copy,
    is_remote,
    run_with_input,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="scripts")


def which_with(*programs: str) -> Callable[[str], str | None]:
    return lambda name: f"/bin/{name}" if name in programs else None


EVERYTHING = which_with("tmux", "wl-copy", "xclip", "xsel", "pbcopy", "clip.exe", "xdg-open", "open", "gio")


@pytest.mark.parametrize(
    ("environment", "platform", "names"),
    [
        ({}, "linux", []),
        ({"DISPLAY": ":0"}, "linux", ["xclip"]),
        ({"DISPLAY": ":0", "WAYLAND_DISPLAY": "w"}, "linux", ["wl-copy"]),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "1"}, "linux", []),
        ({"SSH_TTY": "1", "TMUX": "1"}, "linux", ["tmux"]),
        ({"TMUX": "1", "DISPLAY": ":0"}, "linux", ["tmux", "xclip"]),
        ({}, "darwin", ["pbcopy"]),
        ({}, "win32", ["clip.exe"]),
        ({"WSL_DISTRO_NAME": "x"}, "linux", ["clip.exe"]),
    ],
)
def test_clipboard_tools_match_the_desktop(
    environment: dict[str, str], platform: str, names: list[str]
) -> None:
    tools = clipboard_tools(environment, find=EVERYTHING, platform=platform)
    assert [tool.name for tool in tools] == names


def test_missing_tools_are_not_used() -> None:
    environment = {"DISPLAY": ":0", "WAYLAND_DISPLAY": "w", "TMUX": "1"}
    tools = clipboard_tools(environment, find=which_with("xsel"), platform="linux")
    assert [tool.name for tool in tools] == ["xsel"]
    assert clipboard_tools(environment, find=which_with(), platform="linux") == []


@pytest.mark.parametrize(
    ("environment", "platform", "name"),
    [
        ({}, "linux", None),
        ({"DISPLAY": ":0"}, "linux", "xdg-open"),
        ({"DISPLAY": ":0", "SSH_CLIENT": "1"}, "linux", None),
        ({}, "darwin", "open"),
        ({"SSH_CLIENT": "1"}, "darwin", None),
    ],
)
def test_browser_tool_matches_the_desktop(
    environment: dict[str, str], platform: str, name: str | None
) -> None:
    tool = browser_tool(environment, find=EVERYTHING, platform=platform)
    assert (tool and tool.name) == name


def test_ssh_variables_mean_remote() -> None:
    assert is_remote({"SSH_TTY": "/dev/pts/1"})
    assert not is_remote({"SSH_TTY": ""})


def script(path: Path, text: str) -> Tool:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return Tool(path.name, (str(path),))


@posix
async def test_a_tool_gets_the_text_and_its_failure_is_reported(tmp_path: Path) -> None:
    assert await run_with_input(script(tmp_path / "good", f"cat > {tmp_path}/got"), "two\nrows 漢字")
    assert (tmp_path / "got").read_text() == "two\nrows 漢字"
    assert not await run_with_input(script(tmp_path / "bad", "exit 1"), "x")
    assert not await run_with_input(script(tmp_path / "deaf", "exec <&-; exit 1"), "x" * 1_000_000)
    assert not await run_with_input(Tool("none", (str(tmp_path / "none"),)), "x")


@posix
async def test_a_hanging_tool_is_killed(tmp_path: Path) -> None:
    assert not await run_with_input(script(tmp_path / "slow", "exec sleep 600"), "x", timeout_s=0.05)


@posix
async def test_a_browser_gets_one_complete_http_address(tmp_path: Path) -> None:
    tool = script(tmp_path / "browser", f'printf "%s\\n" "$#" "$1" > {tmp_path}/got')
    url = "https://example.org/a b;touch x?$(id)"
    assert await browse(tool, url)
    assert (tmp_path / "got").read_text() == f"1\n{url}\n"
    assert not await browse(script(tmp_path / "bad", "exit 3"), url)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:x", "--help", "ftp://x", ""])
async def test_only_http_addresses_are_opened(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        await browse(Tool("true", ("true",)), url)


# Copying


async def test_copying_with_osc_52_reports_the_method() -> None:
    written: list[str] = []
    message = await copy(Excerpt("a\nb", 2, True), written.append, {})
    assert (written, message) == (["a\nb"], "Copied 2 posts (OSC 52)")


@posix
async def test_copying_also_uses_a_desktop_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "xclip", f"cat > {tmp_path}/got")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    message = await copy(Excerpt("hello", 1, False), lambda text: None, {"DISPLAY": ":0"})
    assert message == "Copied 5 characters (OSC 52, xclip)"
    assert (tmp_path / "got").read_text() == "hello"


@pytest.mark.parametrize(("size", "fits"), [(OSC52_MAX_BYTES, True), (OSC52_MAX_BYTES + 1, False)])
async def test_text_over_the_osc_52_limit_is_not_written(size: int, fits: bool) -> None:
    written: list[str] = []
    message = await copy(Excerpt("é" * (size // 2) + "x" * (size % 2), 1, False), written.append, {})
    assert bool(written) is fits
    assert message.startswith(
        "Copied" if fits else "Not copied: 74,995 bytes is more than the terminal's limit"
    )
