"""Local clipboard and browser programs, and OSC 52.

Over SSH, only OSC 52 and tmux apply, because they reach the terminal on the other machine. A program gets
text from other users only on its standard input, or as one complete http address.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from shutil import which

import msgspec

from broadcast_tui.tui.model.transcript.selection import Excerpt

TOOL_TIMEOUT_S = 2.0
"""Limit for a clipboard program."""
OSC52_MAX_BYTES = 74_994
"""Longest text that terminals accept in one OSC 52 sequence: 100,000 bytes of base64 with 8 around it."""

Which = Callable[[str], str | None]


class Tool(msgspec.Struct, frozen=True):
    """A program to run."""

    name: str
    """Name to display."""
    command: tuple[str, ...]
    encoding: str = "utf-8"
    """Encoding of its standard input."""


def is_remote(environment: Mapping[str, str]) -> bool:
    """Whether the program runs on another machine than the terminal."""
    return any(environment.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"))


def clipboard_tools(
    environment: Mapping[str, str], *, find: Which = which, platform: str = sys.platform
) -> list[Tool]:
    """The programs that copy: tmux, if it runs, and the first of the desktop's that is installed."""
    tools: list[Tool] = []
    if environment.get("TMUX"):
        tools.append(Tool("tmux", ("tmux", "load-buffer", "-w", "-")))
    desktop: list[Tool] = []
    if not is_remote(environment):
        if platform == "darwin":
            desktop.append(Tool("pbcopy", ("pbcopy",)))
        if environment.get("WAYLAND_DISPLAY"):
            desktop.append(Tool("wl-copy", ("wl-copy", "--type", "text/plain;charset=utf-8")))
        if environment.get("DISPLAY"):
            desktop.append(Tool("xclip", ("xclip", "-selection", "clipboard")))
            desktop.append(Tool("xsel", ("xsel", "--clipboard", "--input")))
        if platform == "win32" or environment.get("WSL_DISTRO_NAME"):
            # UTF-16 with a byte order mark, for characters outside the code page.
            desktop.append(Tool("clip.exe", ("clip.exe",), "utf-16"))
    tools += [tool for tool in desktop if find(tool.command[0])][:1]
    return [tool for tool in tools if find(tool.command[0])]


def browser_tool(
    environment: Mapping[str, str], *, find: Which = which, platform: str = sys.platform
) -> Tool | None:
    """The program that opens an address in a browser, or None without a desktop."""
    if is_remote(environment):
        return None
    candidates: list[Tool] = []
    if platform == "darwin":
        candidates.append(Tool("open", ("open",)))
    elif platform == "win32":
        candidates.append(Tool("rundll32", ("rundll32", "url.dll,FileProtocolHandler")))
    else:
        if environment.get("WSL_DISTRO_NAME"):
            candidates.append(Tool("wslview", ("wslview",)))
        if environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"):
            candidates += [Tool("xdg-open", ("xdg-open",)), Tool("gio", ("gio", "open"))]
    return next((tool for tool in candidates if find(tool.command[0])), None)


async def run_with_input(tool: Tool, text: str, timeout_s: float = TOOL_TIMEOUT_S) -> bool:
    """Run `tool` with `text` as its input; returns whether it succeeded in time."""
    try:
        process = await _start(tool.command, reads=True)
    except OSError:
        return False
    try:
        await asyncio.wait_for(process.communicate(text.encode(tool.encoding)), timeout_s)
    except (TimeoutError, OSError):
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return False
    return process.returncode == 0


async def browse(tool: Tool, url: str) -> bool:
    """Open `url`, which must be http or https; returns whether the program started."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("only http and https addresses can be opened")
    try:
        process = await _start((*tool.command, url), reads=False)
    except OSError:
        return False
    # The first start of a browser can be this process itself, which then does not end.
    with suppress(TimeoutError):
        return await asyncio.wait_for(process.wait(), TOOL_TIMEOUT_S) == 0
    return True


async def _start(command: tuple[str, ...], *, reads: bool) -> asyncio.subprocess.Process:
    """Start a program without output, in a session of its own so that it gets no signals of the terminal."""
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE if reads else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


async def copy(
    excerpt: Excerpt,
    write: Callable[[str], None],
    environment: Mapping[str, str] = os.environ,
    *,
    programs: bool = True,
) -> str:
    """Copy `excerpt` in all available ways; returns a result such as `Copied 2 posts (OSC 52, xclip)`.

    Args:
        write: Sends a text to the terminal as OSC 52.
        programs: Whether to use programs of this machine too.
    """
    text, methods = excerpt.text, []
    fits = len(text.encode()) <= OSC52_MAX_BYTES
    if fits:
        write(text)
        methods.append("OSC 52")
    tools = clipboard_tools(environment) if programs else []
    methods += [tool.name for tool in tools if await run_with_input(tool, text)]
    if methods:
        return f"Copied {excerpt.amount} ({', '.join(methods)})"
    size = f"{len(text.encode()):,} bytes"
    return f"Not copied: {size} is more than the terminal's limit of {OSC52_MAX_BYTES:,}. Select less."
