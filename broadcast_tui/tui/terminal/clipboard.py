"""The desktop that the terminal stands on, if it is this machine's: its clipboard and its browser.

Over SSH nothing here applies but tmux, which hands things on to the terminal wherever that is. A program
that is started never sees text of others but on its standard input, or as one whole http address.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from shutil import which

from broadcast_tui.tui.model.transcript.selection import Excerpt

TOOL_LIMIT_S = 2.0
"""How long a clipboard's program may take."""


Which = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Tool:
    """A program to run: `name` for people, `words` of its command line, `encoding` of what it reads."""

    name: str
    words: tuple[str, ...]
    encoding: str = "utf-8"


def is_remote(environment: Mapping[str, str]) -> bool:
    """Whether we run on another machine than the terminal."""
    return any(environment.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"))


def clipboard_tools(
    environment: Mapping[str, str], *, find: Which = which, platform: str = sys.platform
) -> list[Tool]:
    """The programs that copy: tmux, if we are in it, and the desktop's, if we are on it."""
    wanted: list[Tool] = []
    if environment.get("TMUX"):
        wanted.append(Tool("tmux", ("tmux", "load-buffer", "-w", "-")))
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
            # With its byte order mark it takes any character.
            desktop.append(Tool("clip.exe", ("clip.exe",), "utf-16"))
    wanted += [tool for tool in desktop if find(tool.words[0])][:1]
    return [tool for tool in wanted if find(tool.words[0])]


def browser_tool(
    environment: Mapping[str, str], *, find: Which = which, platform: str = sys.platform
) -> Tool | None:
    """The program that opens an address in a browser, or None where there is no desktop."""
    if is_remote(environment):
        return None
    wanted: list[Tool] = []
    if platform == "darwin":
        wanted.append(Tool("open", ("open",)))
    elif platform == "win32":
        wanted.append(Tool("rundll32", ("rundll32", "url.dll,FileProtocolHandler")))
    else:
        if environment.get("WSL_DISTRO_NAME"):
            wanted.append(Tool("wslview", ("wslview",)))
        if environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"):
            wanted += [Tool("xdg-open", ("xdg-open",)), Tool("gio", ("gio", "open"))]
    return next((tool for tool in wanted if find(tool.words[0])), None)


async def feed(tool: Tool, text: str, limit_s: float = TOOL_LIMIT_S) -> bool:
    """Run `tool` with `text` as its input; whether it took it, in time."""
    try:
        process = await _started(tool.words, reads=True)
    except OSError:
        return False
    try:
        await asyncio.wait_for(process.communicate(text.encode(tool.encoding)), limit_s)
    except (TimeoutError, OSError):
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return False
    return process.returncode == 0


async def browse(tool: Tool, url: str) -> bool:
    """Open `url`, which must be http or https; whether the program could be started."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("only http and https addresses are opened")
    try:
        process = await _started((*tool.words, url), reads=False)
    except OSError:
        return False
    # A browser that was not running yet may be this very program, and stay.
    with suppress(TimeoutError):
        return await asyncio.wait_for(process.wait(), TOOL_LIMIT_S) == 0
    return True


async def _started(words: tuple[str, ...], *, reads: bool) -> asyncio.subprocess.Process:
    """The program, started with its output going nowhere and out of reach of the terminal's signals."""
    return await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE if reads else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


OSC52_MAX_BYTES = 74_994
"""Most text that terminals take in one OSC 52 sequence: 100,000 bytes in all, in base64, with 8 around it."""


async def copy(
    excerpt: Excerpt, write: Callable[[str], None], environment: Mapping[str, str] = os.environ
) -> str:
    """Copy and return what to tell of it: `Copied 2 posts (OSC 52, xclip)`.

    `write` hands a text to the terminal as OSC 52.
    """
    text, ways = excerpt.text, []
    fits = len(text.encode()) <= OSC52_MAX_BYTES
    if fits:
        write(text)
        ways.append("OSC 52")
    tools = clipboard_tools(environment)
    ways += [tool.name for tool in tools if await feed(tool, text)]
    if ways:
        return f"Copied {excerpt.amount} ({', '.join(ways)})"
    size = f"{len(text.encode()):,} bytes"
    return f"Not copied: {size} are more than a terminal takes ({OSC52_MAX_BYTES:,}). Select less."
