"""Formats transcript lines as plain text, for the chat without a screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo

from broadcast_tui.tui.model.post_lines import question_line, reply_prefix
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.settings import Settings
from broadcast_tui.tui.model.transcript.chunks import Line, LineKind
from broadcast_tui.tui.model.transcript.log_options import TimeFormat

_INDENT = "\n      "


class LineFormatter:
    """Formats transcript lines as plain text and returns each of them once.

    Args:
        zone: Time zone of the times; None is the local one.
        own: Whether to include our own posts.
        settings: How times are shown.
    """

    def __init__(
        self, zone: tzinfo | None = None, *, own: bool = True, settings: Settings | None = None
    ) -> None:
        self._settings = settings or Settings()
        self._zone = zone
        self._own = own
        self._progress: dict[str, tuple[int, int]] = {}
        """By room: the transcript's layout count, and the ID after the last line returned."""

    def new_lines(self, room: RoomModel, own_name: str = "", *, label: str = "") -> Iterator[str]:
        """Yield the new lines of `room`, each with `label` in front if that is not empty.

        Below a question that the user, `own_name`, was asked, a line says how to answer it.

        When the transcript was laid out again, because posts are hidden, shown or lost, only the lines added
        since are new. A summary of joins and leaves that can still change is yielded once another
        line follows it.
        """
        transcript = room.transcript
        end = transcript.next_id
        rebuild_count, start = self._progress.get(room.name, (transcript.rebuild_count, 0))
        is_rebuilt = rebuild_count != transcript.rebuild_count
        start = max(transcript.rebuilt_id if is_rebuilt else start, transcript.first_id)
        if transcript.growing_id is not None:
            end = max(start, end - 1)
        self._progress[room.name] = transcript.rebuild_count, end
        for line_id in range(start, end):
            line = transcript.line(line_id)
            if line is not None and line.text and (self._own or not line.own):
                yield self._format(line, f"{label} " if label else "", room, own_name)

    def _format(self, line: Line, prefix: str, room: RoomModel, own_name: str) -> str:
        text = line.text.replace("\n", _INDENT)
        match line.kind:
            case LineKind.SYSTEM | LineKind.PRESENCE | LineKind.DAY:
                return f"-- {prefix}{text}"
            case LineKind.ERROR:
                return f"!! {prefix}{text}"
        at = TimeFormat(self._settings["time"]).show(datetime.fromtimestamp(line.at, self._zone))
        time = f"{at} " if at else ""
        mark = "! " if line.mention else ""
        who = f"* {line.sender} " if line.kind is LineKind.ACTION else f"{line.sender}: "
        if line.details is None:
            return f"{time}{prefix}{mark}{who}{text}"
        reply = reply_prefix(line, room)
        question = question_line(line, room, own_name)
        return f"{time}{prefix}{mark}{who}{reply}{text}{f'{_INDENT}{question}' if question else ''}"
