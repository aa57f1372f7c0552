"""Checks of the terminal: size, colors, character widths, keys, clipboard, and tmux or screen around it."""

from __future__ import annotations

import codecs
import locale
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping

from rich.cells import cell_len
from rich.console import Console

from broadcast_tui.cli.diagnosis import Check, ok, skipped, warning
from broadcast_tui.core.text import log_safe
from broadcast_tui.tui.terminal.clipboard import clipboard_tools
from broadcast_tui.tui.terminal.notifications import is_in_tmux
from broadcast_tui.tui.terminal.query import (
    CLIPBOARD_ATTRIBUTE,
    FOCUS_EVENTS,
    SAFE_PASTE,
    SYNCHRONIZED_OUTPUT,
    TerminalAnswers,
)

SIZE_MIN = (40, 10)
"""Columns and rows below which parts of the chat are hidden."""
ESCAPE_MS_MAX = 50
TMUX_TIMEOUT_S = 2.0
SAMPLES = {
    "漢字": "Chinese characters",
    "e\u0301": "combining accents",
    "👍": "emoji",
    "❤\ufe0f": "emoji with a variation selector",
    "👩\u200d🚀": "joined emoji",
    "🇩🇪": "flags",
}
"""Texts whose width terminals disagree about."""

MODES = {
    SYNCHRONIZED_OUTPUT: ("sync", "synchronized output", "the screen can flicker"),
    FOCUS_EVENTS: ("focus", "focus events", "you are notified of what you are looking at"),
    SAFE_PASTE: ("paste", "bracketed paste", "each pasted line is sent by itself"),
}
"""Ids, names, and what is lost without them, of the modes that the chat uses."""

Tmux = Callable[[str], str]
"""Value of an option of tmux; empty if it has none."""


def check_environment(
    environment: Mapping[str, str], size: tuple[int, int] | None, encoding: str
) -> Iterator[Check]:
    """Checks that need no answers of the terminal.

    Args:
        size: Columns and rows; None without a terminal.
        encoding: Encoding of the locale.
    """
    term = log_safe(environment.get("TERM", ""), 40)
    if size is None:
        yield skipped("terminal", "Standard input, output and error are no terminal: nothing to check")
    elif term in ("", "dumb", "unknown"):
        advice = "Run this in a terminal that sets TERM, or use: broadcast-tui chat --plain"
        yield warning("terminal", f"TERM is {term or 'not set'}: the full-screen chat cannot draw", advice)
    else:
        yield ok("terminal", f"TERM is {term}")
    if size is not None:
        columns, rows = size
        text = f"{columns} columns, {rows} rows"
        if columns < SIZE_MIN[0] or rows < SIZE_MIN[1]:
            needed = f"Enlarge the window to at least {SIZE_MIN[0]} columns and {SIZE_MIN[1]} rows."
            yield warning("size", text, needed)
        else:
            yield ok("size", text)
        yield _colors(environment)
    if _is_utf8(encoding):
        yield ok("locale", f"The locale uses {encoding}")
    else:
        advice = "Set a UTF-8 locale: export LANG=C.UTF-8"
        yield warning("locale", f"The locale uses {log_safe(encoding, 40)}, not UTF-8", advice)


def _colors(environment: Mapping[str, str]) -> Check:
    if environment.get("NO_COLOR"):
        return skipped("colors", "NO_COLOR is set: the chat uses no colors", "For colors: unset NO_COLOR")
    system = Console(force_terminal=True, _environ=dict(environment)).color_system
    match system:
        case "truecolor":
            return ok("colors", "16 million colors")
        case "256":
            advice = "If your terminal has more (most do): export COLORTERM=truecolor"
            return warning("colors", "256 colors: themes and names look coarse", advice)
        case _:
            advice = "Set TERM to the terminal's real type, such as xterm-256color."
            return warning("colors", "At most 16 colors: some names look alike", advice)


def _is_utf8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False


def check_answers(answers: TerminalAnswers, environment: Mapping[str, str]) -> Iterator[Check]:
    """Checks of what the terminal has answered."""
    if not answers.answers:
        yield warning(
            "answers",
            "The terminal answers no questions: its abilities are unknown",
            "Try another terminal if keys, colors or columns are wrong.",
        )
        return
    yield _widths(answers)
    yield from _modes(answers)
    if answers.keyboard:
        yield ok("keyboard", "Keyboard protocol of kitty: all Alt and Shift keys arrive")
    else:
        yield skipped(
            "keyboard",
            "No keyboard protocol of kitty: Shift+Enter arrives as Enter; Alt keys must be enabled",
            "See what arrives: broadcast-tui doctor --keys",
        )
    yield _clipboard(answers, environment)


def _widths(answers: TerminalAnswers) -> Check:
    differing = [SAMPLES[text] for text, width in answers.widths.items() if width != cell_len(text)]
    if not answers.widths:
        return skipped("widths", "The terminal does not report the cursor: widths of characters are unknown")
    if differing:
        advice = "Columns can be misaligned in such lines. Update the terminal, or tmux and screen in it."
        return warning("widths", f"The terminal draws with another width: {', '.join(differing)}", advice)
    return ok("widths", "Chinese characters, emoji and accents have the expected width")


def _modes(answers: TerminalAnswers) -> Iterator[Check]:
    for mode, (id, meaning, loss) in MODES.items():
        if answers.modes.get(mode):
            yield ok(id, f"It has {meaning}")
        elif mode in answers.modes:
            yield warning(id, f"It has no {meaning}: {loss}", "Use another terminal if this disturbs you.")
    if unknown := [meaning for mode, (_, meaning, _) in MODES.items() if mode not in answers.modes]:
        yield skipped("modes", f"The terminal does not say whether it has {', '.join(unknown)}")


def _clipboard(answers: TerminalAnswers, environment: Mapping[str, str]) -> Check:
    tools = [tool.name for tool in clipboard_tools(environment)]
    if CLIPBOARD_ATTRIBUTE in answers.attributes:
        return ok("clipboard", "Copying uses " + " and ".join(["OSC 52", *tools]))
    if tools:
        return ok("clipboard", f"Copying uses {' and '.join(tools)}, and OSC 52 if the terminal allows it")
    return skipped(
        "clipboard",
        "Copying uses OSC 52, and the terminal does not say whether it allows that",
        "Try it with Alt+Up, y. If nothing is copied, allow OSC 52 in the terminal's settings.",
    )


def check_multiplexer(environment: Mapping[str, str], tmux: Tmux) -> Iterator[Check]:
    """Checks of tmux or screen around the chat; none without them."""
    if environment.get("STY"):
        advice = "Use tmux, or the terminal directly, if you miss them."
        yield warning("screen", "GNU screen passes on no focus events and few colors", advice)
    if not environment.get("TMUX"):
        if is_in_tmux(environment):
            yield skipped("tmux", "tmux runs on another machine: check its settings there")
        return
    delay = tmux("escape-time")
    if delay.isdecimal() and int(delay) > ESCAPE_MS_MAX:
        text = f"tmux delays Esc by {delay} ms, and takes Esc and a quick key for Alt"
        yield warning("tmux-escape", text, "Run: tmux set -s escape-time 10")
    elif delay:
        yield ok("tmux-escape", f"tmux delays Esc by {delay} ms")
    settings = (
        ("focus-events", ("on", "1"), "set -g focus-events on", "passes on no focus events"),
        ("set-clipboard", ("on", "external", "1", "2"), "set -s set-clipboard on", "does not copy (OSC 52)"),
        (
            "allow-passthrough",
            ("on", "all", "1", "2"),
            "set -g allow-passthrough on",
            "blocks desktop notifications",
        ),
    )
    for name, good, command, effect in settings:
        value = tmux(name)
        if value in good:
            yield ok(f"tmux-{name}", f"tmux: {name} is {value}")
        elif value:
            yield warning(
                f"tmux-{name}", f"tmux {effect}: {name} is {log_safe(value, 40)}", f"Run: tmux {command}"
            )
    features = tmux("")
    if features and "RGB" not in features.split(","):
        advice = "In tmux.conf: set -as terminal-features ',*:RGB', then restart tmux"
        yield warning("tmux-colors", "tmux reduces 16 million colors to 256", advice)


def tmux_option(name: str) -> str:
    """Value of an option of the surrounding tmux; with an empty name, the features of its terminal."""
    words = ("show-options", "-Aqv", name) if name else ("display-message", "-p", "#{client_termfeatures}")
    try:
        done = subprocess.run(
            ["tmux", *words], capture_output=True, text=True, timeout=TMUX_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def locale_encoding() -> str:
    """Encoding of the user's locale, without Python's own preference for UTF-8."""
    return locale.getencoding()


def terminal_size() -> tuple[int, int] | None:
    """Columns and rows of the terminal of the standard streams; None if they are not one."""
    for stream in (2, 0, 1):
        try:
            return tuple(os.get_terminal_size(stream))  # type: ignore[return-value]
        except OSError:
            continue
    return None
