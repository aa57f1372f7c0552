"""The command /at: goes to a time in a replay."""

from __future__ import annotations

from broadcast_tui.core.export.describe import moment
from broadcast_tui.tui.commands.context import CommandHandler
from broadcast_tui.tui.model.replay import position_of
from broadcast_tui.tui.replay.client import ReplayClient


class ReplayCommands(CommandHandler):
    """Commands about a replay."""

    def at(self, text: str) -> bool:
        client = self._client
        if not isinstance(client, ReplayClient):
            return self.fail("/at works in a replay only. To save one: /export lobby.jsonl")
        playback = client.playback
        position_s = position_of(playback, text)
        if position_s is None:
            return self.fail(f"Invalid time: '{text}'. Use 14:05 or 2025-08-30 14:05.")
        if not 0.0 <= position_s <= playback.recording.duration_s:
            start, end = playback.recording.start, playback.recording.end
            return self.fail(f"This replay is from {moment(start)} to {moment(end)}.")
        client.seek(position_s)
        return True
