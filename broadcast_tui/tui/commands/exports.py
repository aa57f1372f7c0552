"""The command /export: saves the whole history of a room, as `broadcast-tui export` does."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from broadcast_tui.client.export_file import ExportFileError, check_target, write_lines
from broadcast_tui.client.page_requests import PageRequests
from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.export.describe import Source
from broadcast_tui.core.export.formats import Format, exported_lines, format_of
from broadcast_tui.core.export.moments import EXAMPLES, parse_moment
from broadcast_tui.core.export.pages import HistoryPages
from broadcast_tui.core.lazy_pattern import lazy_pattern
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.commands.context import CommandContext, CommandHandler
from broadcast_tui.tui.model.state import AppState

_FORMATS = {
    "text": Format.TEXT,
    "md": Format.MARKDOWN,
    "jsonl": Format.JSON_LINES,
    "html": Format.HTML,
}
_TIME = lazy_pattern(r"(?:^|(?<=\s))--(since|until)(?:=|\s+)(\"[^\"]*\"|'[^']*'|\S+)")
_FLAG = lazy_pattern(r"(?:^|(?<=\s))--([a-z]+)(?=\s|$)")


class ExportRequest(NamedTuple):
    """The argument of /export."""

    path: Path
    wanted: Format
    force: bool
    since: datetime | None = None
    until: datetime | None = None


class Export(NamedTuple):
    """An export that is being read."""

    request: ExportRequest
    pages: HistoryPages
    requests: PageRequests
    source: Source


class ExportCommands(CommandHandler):
    """Saves one room at a time."""

    def __init__(self, client: ClientRequests, state: AppState, context: CommandContext) -> None:
        super().__init__(client, state, context)
        self._export: Export | None = None

    def export(self, argument: str) -> bool:
        now = datetime.now(UTC)
        try:
            request = parse_request(argument, now)
            check_target(request.path, force=request.force)
        except ValueError as error:
            return self.fail(str(error))
        except ExportFileError as error:
            advice = " Choose another name, or add --force." if error.exists else ""
            return self.fail(f"{error}.{advice}")
        if not self._state.is_online:
            return self.fail("You are offline. Try again when you are connected.")
        if self._export is not None:
            return self.fail("Another export is not finished yet.")
        room = self._state.rooms.shown
        pages = HistoryPages(room.name, request.since, request.until)
        source = Source(room.name, self._client.url, now, request.since, request.until)
        self._export = Export(request, pages, PageRequests(self._client, pages), source)
        self._state.export = pages
        self.print(f"Reading the history of {room.label}…")
        self._export.requests.follow()
        return True

    def follow(self) -> None:
        export = self._export
        if export is None:
            return
        export.requests.follow()
        if export.pages.is_finished:
            self._export = self._state.export = None
            export.requests.stop()
            if export.pages.error:
                self.fail(f"The history cannot be exported: {visible_line(export.pages.error)}")
            else:
                self._context.run_in_thread(partial(write_export, export))


def write_export(export: Export) -> str:
    """Write an export that has been read; returns the result as a line of text."""
    request, posts = export.request, export.pages.posts()
    lines = exported_lines(request.wanted, export.source, posts, export.pages.notes())
    try:
        write_lines(request.path, lines, force=request.force)
    except ExportFileError as error:
        return str(error)
    return f"Exported {len(posts):,} message{'s' * (len(posts) != 1)} to {request.path}"


def parse_request(argument: str, now: datetime) -> ExportRequest:
    """Parse `file [--since 14:00] [--until 15:00] [--md] [--force]`, in any order.

    Raises:
        ValueError: Something is wrong; the text says what.
    """
    times: dict[str, datetime] = {}
    for found in _TIME.finditer(argument):
        text = found[2].strip("\"'")
        if (at := parse_moment(text, now)) is None:
            raise ValueError(f"--{found[1]}: Invalid time: '{text}'. {EXAMPLES}.")
        times[found[1]] = at
    rest = _TIME.sub(" ", argument)
    flags = [found[1] for found in _FLAG.finditer(rest)]
    if unknown := [flag for flag in flags if flag not in (*_FORMATS, "force")]:
        raise ValueError(f"No such option: --{unknown[0]}. /help export lists the options.")
    formats = [_FORMATS[flag] for flag in flags if flag in _FORMATS]
    if len(formats) > 1:
        raise ValueError("Use only one of --text, --md, --jsonl and --html.")
    name = _FLAG.sub(" ", rest).strip()
    if not name:
        raise ValueError("Specify a file: /export lobby.md")
    since, until = times.get("since"), times.get("until")
    if since and until and since >= until:
        raise ValueError("--until is not after --since.")
    path = Path(os.path.expanduser(name))
    wanted = formats[0] if formats else format_of(path.suffix)
    return ExportRequest(path, wanted, "force" in flags, since, until)
