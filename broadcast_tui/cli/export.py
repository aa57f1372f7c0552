"""`broadcast-tui export`: save the history of a room as text, Markdown, HTML or JSON lines."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from broadcast_tui.cli.connect_options import ConnectOptions
from broadcast_tui.cli.credentials import add_advice
from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.option_types import Connection, Duration
from broadcast_tui.cli.pipes import configure_stdout, connect, print_error, server_address
from broadcast_tui.client import BroadcastClient, ConnectError
from broadcast_tui.client.export_file import ExportFileError, check_target, write_lines
from broadcast_tui.client.page_requests import PageRequests
from broadcast_tui.core.export.describe import Source
from broadcast_tui.core.export.formats import Format, exported_lines, format_of
from broadcast_tui.core.export.moments import EXAMPLES, parse_moment
from broadcast_tui.core.export.pages import HistoryPages
from broadcast_tui.core.names import DEFAULT_ROOM
from broadcast_tui.core.session.updates import ConnectionChanged, ConnectionState


def export(
    room: str | None = None,
    /,
    *,
    url: str = "",
    since: str = "",
    until: str = "",
    text: bool = False,
    md: bool = False,
    jsonl: bool = False,
    html: bool = False,
    output: Annotated[str, Parameter(alias="-o")] = "",
    force: bool = False,
    connection: Connection = ConnectOptions(),  # noqa: B008
    timeout: Duration = 10.0,
) -> int:
    """Save the history of a room, with edits, deletions, reactions and answers as they are now.

    Parameters
    ----------
    room
        Room to export [default: that of the URL, or lobby].
    url
        Server, such as ws://host:8765, or an invite; - prompts [default: localhost:8765].
    since
        First time to export: 14:00, 2025-08-30, '2025-08-30 14:00' or 2h [default: all of the history].
    until
        Time before which to stop, written in the same way.
    text
        Write plain text. This is the default if the name of the output does not end in .md, .jsonl or .html.
    md
        Write Markdown.
    jsonl
        Write JSON lines, which `broadcast-tui replay` reads.
    html
        Write one HTML file without scripts.
    output
        File to write, readable only by you [default: standard output].
    force
        Replace the output if it exists.
    timeout
        Time to keep trying to connect, also after a lost connection: seconds, or such as 2m.
    """
    address = server_address(url, room)
    path = Path(output).expanduser() if output not in ("", "-") else None
    wanted = _format(path, text=text, md=md, jsonl=jsonl, html=html)
    now = datetime.now(UTC)
    pages = HistoryPages(address.room, _moment("--since", since, now), _moment("--until", until, now))
    if pages.since and pages.until and pages.since >= pages.until:
        raise UsageError("--until is not after --since.")
    if path is not None:
        _check(path, force)
    security = connection.security(address)
    client = BroadcastClient(address.url, rooms=[address.room], last=0, presence=False, security=security)
    if status := asyncio.run(_read(client, pages, timeout)):
        return status
    source = Source(address.room, client.url, now, pages.since, pages.until)
    lines = exported_lines(wanted, source, pages.posts(), pages.notes())
    if path is None:
        _print(lines, wanted)
        return ExitCode.OK
    try:
        write_lines(path, lines, force=force)
    except ExportFileError as error:
        return print_error(str(error), ExitCode.FAILED)
    count = f"{pages.count:,} message{'s' * (pages.count != 1)}"
    print(f"Exported {count} to {path}", file=sys.stderr)
    return ExitCode.OK


def _format(path: Path | None, *, text: bool, md: bool, jsonl: bool, html: bool) -> Format:
    flags = {Format.TEXT: text, Format.MARKDOWN: md, Format.JSON_LINES: jsonl, Format.HTML: html}
    chosen = [each for each, is_set in flags.items() if is_set]
    if len(chosen) > 1:
        raise UsageError("Use only one of --text, --md, --jsonl and --html.")
    return chosen[0] if chosen else format_of(path.suffix if path is not None else "")


def _moment(option: str, text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    if (at := parse_moment(text, now)) is None:
        raise UsageError(f"{option}: Invalid time: {text!r}. {EXAMPLES}.")
    return at


def _check(path: Path, force: bool) -> None:
    try:
        check_target(path, force=force)
    except ExportFileError as error:
        advice = " Use --force to replace it." if error.exists else ""
        raise UsageError(f"--output: {str(error).rstrip('.')}.{advice}") from error


def _print(lines: Iterable[str], wanted: Format) -> None:
    """Print lines; other formats than text are always UTF-8."""
    configure_stdout(as_json=wanted is not Format.TEXT)
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _read(client: BroadcastClient, pages: HistoryPages, timeout_s: float) -> int:
    """Read all pages; returns the exit status."""
    try:
        await connect(client, timeout_s)
    except ConnectError as error:
        return print_error(str(error), ExitCode.UNREACHABLE)
    requests = PageRequests(client, pages)
    try:
        return await _follow(client, pages, requests, timeout_s)
    finally:
        requests.stop()
        await client.close()


async def _follow(
    client: BroadcastClient, pages: HistoryPages, requests: PageRequests, timeout_s: float
) -> int:
    updates = client.batches()
    lost: float | None = None
    loop = asyncio.get_running_loop()
    while not pages.is_finished:
        requests.follow()
        try:
            async with asyncio.timeout_at(None if lost is None else lost + timeout_s):
                batch = await anext(updates)
        except TimeoutError:
            return print_error(f"connection lost; no server at {client.url}", ExitCode.UNREACHABLE)
        for update in batch:
            pages.apply(update)
            if not isinstance(update, ConnectionChanged):
                continue
            if update.state is ConnectionState.ONLINE:
                lost = None
            elif update.state is ConnectionState.REFUSED:
                return print_error(add_advice(update.reason, update.cause), ExitCode.UNREACHABLE)
            elif lost is None:
                lost = loop.time()
    if pages.error:
        return print_error(f"the history cannot be read: {pages.error}", ExitCode.FAILED)
    if pages.is_unknown_room and pages.room != DEFAULT_ROOM:
        text = f"No such room: {pages.room}. It has no people, messages or topic."
        return print_error(text, ExitCode.FAILED)
    return ExitCode.OK
