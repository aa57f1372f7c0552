"""`broadcast-tui replay`: watch an exported history in the full-screen client."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from broadcast_tui.cli.chat import check_theme, has_terminal
from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.option_types import FilePath
from broadcast_tui.cli.settings import USER_CONFIG
from broadcast_tui.core.export.recording import Recording, RecordingError, read_recording
from broadcast_tui.core.text import visible_line


def replay(
    file: FilePath,
    /,
    *,
    speed: Annotated[float, Parameter(validator=Number(gte=0.25, lte=1024))] = 1.0,
    at: str = "",
    max_pause: Annotated[float, Parameter(validator=Number(gte=0, lt=math.inf))] = 5.0,
    theme: str = "",
) -> int:
    """Watch an exported history in the chat, as it happened.

    Space pauses, Left and Right step, Home and End go to the start and the end, + and - change the speed, and
    /at 14:05 goes to a time.

    Parameters
    ----------
    file
        File that `export --jsonl` has written, or the output of `tail --json`.
    speed
        How many times as fast as it happened, from 0.25 to 1024.
    at
        Time to begin at, such as 14:05 or '2025-08-30 14:05' [default: the first message].
    max_pause
        Longest wait for the next message in seconds; longer silences are skipped. 0: no limit.
    theme
        Color theme for this run [default: that of the chat].
    """
    recording = _read(file)
    check_theme(theme)
    if not has_terminal():
        raise UsageError("A replay needs a terminal for standard input and standard error.")
    return _run(recording, file.name, speed, at, max_pause, theme)


def _read(path: Path) -> Recording:
    try:
        with path.open("rb") as lines:
            return read_recording(lines)
    except RecordingError as error:
        advice = ". Replay a file of: broadcast-tui export --jsonl" if error.line == 1 else ""
        raise UsageError(f"{path}: {error}{advice}") from error
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from error


def _run(recording: Recording, title: str, speed: float, at: str, max_pause_s: float, theme: str) -> int:
    from broadcast_tui.client.storage.preferences import Preferences
    from broadcast_tui.tui.app import ChatApp
    from broadcast_tui.tui.model.replay import Playback, position_of
    from broadcast_tui.tui.replay.client import ReplayClient

    playback = Playback(recording, speed, max_pause_s)
    if at:
        position_s = position_of(playback, at)
        if position_s is None or not 0.0 <= position_s <= recording.duration_s:
            raise UsageError(f"--at: {at!r} is not a time of this recording.")
        playback.seek(position_s)
    keys = USER_CONFIG.checked_keys()
    saved = Preferences.load()
    # A replay has no server: what the chat would save about its rooms is dropped.
    directory = Path(tempfile.mkdtemp(prefix="broadcast-tui-"))
    preferences = Preferences.load(directory)
    preferences.theme, preferences.presence = saved.theme, saved.presence
    preferences.reactions = saved.reactions
    client = ReplayClient(playback, f"replay of {visible_line(title)}")
    app = ChatApp(
        lambda _name: client,
        room=recording.room,
        server=client.url,
        preferences=preferences,
        theme=theme,
        keys=keys,
        has_token=True,  # the app need not ask for a name
    )
    app.run()
    status = app.return_code if app.return_code is not None else ExitCode.OK
    if status != ExitCode.FAILED:  # otherwise the directory has the crash report
        shutil.rmtree(directory, ignore_errors=True)
    return status
