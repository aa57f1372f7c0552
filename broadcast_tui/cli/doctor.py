"""`broadcast-tui doctor`: check terminal, server, files and installation, and say what to do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Annotated

from cyclopts import Parameter

from broadcast_tui.cli.connect_options import ConnectOptions
from broadcast_tui.cli.credentials import prompt_address
from broadcast_tui.cli.diagnosis import Check, Report, Status, skipped
from broadcast_tui.cli.diagnosis.files import (
    check_configuration,
    check_directory,
    check_histories,
    check_json,
    check_secrets,
)
from broadcast_tui.cli.diagnosis.installation import check_installation
from broadcast_tui.cli.diagnosis.server import check_server
from broadcast_tui.cli.diagnosis.terminal import (
    SAMPLES,
    check_answers,
    check_environment,
    check_multiplexer,
    locale_encoding,
    terminal_size,
    tmux_option,
)
from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.option_types import Connection
from broadcast_tui.cli.server_info import data_path
from broadcast_tui.cli.settings import USER_CONFIG
from broadcast_tui.client.address import DEFAULT_HOST, DEFAULT_PORT, Address, parse_address
from broadcast_tui.client.storage.preferences import state_dir
from broadcast_tui.core.text import visible_line
from broadcast_tui.redis_settings import is_redis
from broadcast_tui.tui.terminal.query import ask_terminal, raw_terminal

SIGNS = {Status.OK: "✓", Status.WARNING: "!", Status.FAILED: "✗", Status.SKIPPED: "-"}
ASCII_SIGNS = {Status.OK: "+", Status.WARNING: "!", Status.FAILED: "x", Status.SKIPPED: "-"}
INDENT = 4
COLORS = {Status.OK: 32, Status.WARNING: 33, Status.FAILED: 31, Status.SKIPPED: 2}


def doctor(
    url: str = "",
    /,
    *,
    history: str = "",
    keys: bool = False,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    connection: Connection = ConnectOptions(),  # noqa: B008
) -> int:
    """Check the terminal, a server, files and the installation, and say what to do.

    Parameters
    ----------
    url
        Server to check, such as ws://chat.example.org:8765 or an invite; - prompts for it
        [default: localhost:8765, if a server runs there].
    history
        Check this history file [default: those in your data directory].
    keys
        Show as what each key press arrives, instead of checking.
    as_json
        Print one JSON object.
    """
    if keys:
        from broadcast_tui.cli.diagnosis.keys import show_keys

        return show_keys()
    if is_redis(history):
        raise UsageError(
            "--history: doctor checks files only. For servers with Redis, use 'broadcast-tui cluster'."
        )
    url = prompt_address(url)
    address = parse_address(url) if url else Address(DEFAULT_HOST, DEFAULT_PORT)
    security = connection.security(address)
    printer = _Printer(as_json=as_json)
    printer.begin("terminal")
    _check_terminal(printer.report)
    printer.begin("server")
    asyncio.run(check_server(address, security, printer.report, is_wanted=bool(url)))
    printer.begin("files")
    for check in _check_files(Path(history).expanduser() if history else None):
        printer.report(check)
    printer.begin("installation")
    for check in check_installation():
        printer.report(check)
    printer.end()
    return ExitCode.FAILED if printer.counts[Status.FAILED] else ExitCode.OK


def _check_terminal(report: Report) -> None:
    size = terminal_size() if sys.stdout.isatty() or sys.stderr.isatty() else None
    for check in check_environment(os.environ, size, locale_encoding()):
        report(check)
    if size is None:
        return
    try:
        with raw_terminal() as exchange:
            answers = ask_terminal(exchange, tuple(SAMPLES))
    except OSError as error:
        report(
            skipped("answers", f"The terminal cannot be asked: {visible_line(error.strerror or str(error))}")
        )
        return
    for check in (*check_answers(answers, os.environ), *check_multiplexer(os.environ, tmux_option)):
        report(check)


def _check_files(history: Path | None) -> Iterator[Check]:
    from broadcast_tui.cli.config import check_user_config

    state, data = state_dir(), data_path()
    yield check_configuration(USER_CONFIG.file, check_user_config)
    yield from check_directory("state", "Saved state", state)
    yield from check_directory("data", "Data of servers", data)
    yield from check_secrets((state, data))
    yield from check_json((state, data))
    yield from check_histories(data, history)


class _Printer:
    """Prints each result at once, or all of them as JSON at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self.counts = dict.fromkeys(Status, 0)
        self._as_json = as_json
        self._area = ""
        self._checks: list[dict[str, str]] = []
        self._signs = SIGNS if _can_encode("".join(SIGNS.values())) else ASCII_SIGNS
        self._has_colors = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        with contextlib.suppress(AttributeError):
            sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]

    def begin(self, area: str) -> None:
        """Start the results about a subject."""
        self._area = area
        if not self._as_json:
            print(f"{area.capitalize()}", flush=True)

    def report(self, check: Check) -> None:
        """Print or record a result."""
        self.counts[check.status] += 1
        self._checks.append(
            {
                "area": self._area,
                "id": check.id,
                "status": check.status.value,
                "text": check.text,
                "advice": check.advice,
            }
        )
        if self._as_json:
            return
        sign = self._signs[check.status]
        if self._has_colors:
            sign = f"\x1b[{COLORS[check.status]}m{sign}\x1b[m"
        lines = [*self._wrapped(check.text), *self._wrapped(check.advice)]
        print(f"  {sign} " + "\n    ".join(lines), flush=True)

    def _wrapped(self, text: str) -> list[str]:
        """Lines that fit the terminal; a command that does not fit is not broken at hyphens."""
        size = terminal_size() if sys.stdout.isatty() else None
        width = max(20, size[0] - INDENT) if size is not None else sys.maxsize
        return wrap(text, width, break_long_words=False, break_on_hyphens=False)

    def end(self) -> None:
        """Print the summary, or the JSON."""
        failures, warnings = self.counts[Status.FAILED], self.counts[Status.WARNING]
        if self._as_json:
            print(json.dumps({"ok": not failures, "checks": self._checks}, indent=2))
        elif failures or warnings:
            print(f"{_count(failures, 'problem')}, {_count(warnings, 'warning')}")
        else:
            print("No problems found")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _can_encode(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
