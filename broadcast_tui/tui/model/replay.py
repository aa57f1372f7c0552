"""Playback of a recording: position, speed, pauses, and the row that shows them.

Pure: the time is an argument.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from rich.cells import cell_len, set_cell_size

from broadcast_tui.core.export.moments import on_day, time_of_day
from broadcast_tui.core.export.recording import Recording
from broadcast_tui.core.notes import Entry

SPEED_MIN, SPEED_MAX = 0.25, 1024.0
_STEPS_S = (1, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 21_600, 86_400)
"""Lengths of a step, of which one is chosen by the duration of the recording."""
_STEPS_PER_RECORDING = 40
_BAR_MIN, _BAR_MAX = 8, 40
"""Cells of the progress bar."""
GAP = "  "


class Playback:
    """The position in a recording, in seconds after its first entry.

    Args:
        speed: Recorded seconds per second.
        max_pause_s: Longest wait for the next entry; the rest of a longer silence is skipped. 0: no limit.
    """

    def __init__(self, recording: Recording, speed: float = 1.0, max_pause_s: float = 0.0) -> None:
        self.recording = recording
        self.speed = speed
        self.is_paused = False
        self.position_s = 0.0
        self.count = 0
        """Number of entries up to the position that have been shown."""
        self._max_pause_s = max_pause_s
        self._updated_at: float | None = None

    @property
    def is_at_end(self) -> bool:
        return self.count == len(self.recording.entries)

    @property
    def at(self) -> datetime:
        """UTC time of the position."""
        return self.recording.start + timedelta(seconds=self.position_s)

    @property
    def step_s(self) -> int:
        """Length of a step back or on, in recorded seconds."""
        wanted = self.recording.duration_s / _STEPS_PER_RECORDING
        return next((step for step in _STEPS_S if step >= wanted), _STEPS_S[-1])

    def tick(self, now: float) -> None:
        """Move the position to the time `now`, in monotonic seconds."""
        elapsed_s = 0.0 if self._updated_at is None else now - self._updated_at
        self._updated_at = now
        if self.is_paused or self.is_at_end:
            return
        times_s = self.recording.times_s
        if self._max_pause_s:
            self.position_s = max(self.position_s, times_s[self.count] - self._max_pause_s * self.speed)
        self.position_s = min(self.position_s + elapsed_s * self.speed, times_s[-1])

    def advance(self, now: float) -> Sequence[Entry]:
        """Move the position to the time `now`; returns the entries that are due."""
        self.tick(now)
        if self.is_paused:
            return ()
        first, self.count = self.count, bisect_right(self.recording.times_s, self.position_s)
        return self.recording.entries[first : self.count]

    def restart_clock(self, now: float) -> None:
        """Do not count the time before `now`, at which the position was changed."""
        self._updated_at = now

    def delay_s(self) -> float | None:
        """Seconds until the next entry is due; None while paused and at the end."""
        if self.is_paused or self.is_at_end:
            return None
        left_s = max(0.0, self.recording.times_s[self.count] - self.position_s) / self.speed
        return min(left_s, self._max_pause_s) if self._max_pause_s else left_s

    def seek(self, position_s: float) -> None:
        """Go to a position; the entries up to it count as shown."""
        self.position_s = min(max(0.0, position_s), self.recording.duration_s)
        self.count = bisect_right(self.recording.times_s, self.position_s)

    def step(self, direction: int) -> None:
        """Go a step back (-1) or on (1), at least to the previous or next entry."""
        times_s = self.recording.times_s
        target_s = self.position_s + direction * self.step_s
        if direction > 0 and not self.is_at_end:
            target_s = max(target_s, times_s[self.count])
        elif direction < 0:
            # The entry at the position itself is the one that the step leaves.
            before = bisect_left(times_s, times_s[self.count - 1]) - 1 if self.count else -1
            target_s = min(target_s, times_s[before] if before >= 0 else 0.0)
        self.seek(target_s)

    def change_speed(self, factor: float) -> None:
        self.speed = min(max(SPEED_MIN, self.speed * factor), SPEED_MAX)

    def toggle(self) -> None:
        """Pause or go on; at the end, begin again."""
        if self.is_at_end:
            self.is_paused = False
            self.seek(0.0)
        else:
            self.is_paused = not self.is_paused


def position_of(playback: Playback, text: str, zone: tzinfo | None = None) -> float | None:
    """The position of a time that a user typed: a time of day, or a date with or without a time.

    A time of day is on the day of the current position, or else on the first day on which it is recorded.
    Returns None if `text` is not a time.
    """
    start = playback.recording.start
    end_s = playback.recording.duration_s

    def seconds(at: datetime) -> float:
        return (at - start).total_seconds()

    if (clock := time_of_day(text)) is not None:
        same_day_s = seconds(on_day(playback.at.astimezone(zone), clock, zone))
        if 0.0 <= same_day_s <= end_s:
            return same_day_s
        first = start.astimezone(zone)
        days = (seconds(on_day(first + timedelta(days=number), clock, zone)) for number in range(2))
        return next((each for each in days if 0.0 <= each <= end_s), same_day_s)
    try:
        at = datetime.fromisoformat(text.strip())
        return seconds(at if at.tzinfo else at.replace(tzinfo=zone) if zone else at.astimezone())
    except (ValueError, OverflowError):
        return None


def bar_text(playback: Playback, width: int, zone: tzinfo | None = None) -> str:
    """The row about a playback, at most `width` cells wide; what matters least is left out first."""
    state = "■ End" if playback.is_at_end else "‖ Paused" if playback.is_paused else "▶ Playing"
    local, utc = playback.at.astimezone(zone), playback.at.astimezone(UTC)
    number = f"{playback.count:,}/{len(playback.recording.entries):,}"
    speed = f"{playback.speed:g}×"
    clock, date = f"{local:%H:%M:%S}", f"{local:%Y-%m-%d} "
    utc_clock = f" ({utc:%H:%M:%S} UTC)"
    hint = f"Space · ← → {step_text(playback.step_s)} · + − · /at 14:05"
    candidates: tuple[tuple[list[str], list[str]], ...] = (
        ([state, speed, f"{date}{clock}{utc_clock}"], [number, hint]),
        ([state, speed, f"{date}{clock}"], [number, hint]),
        ([state, speed, f"{date}{clock}{utc_clock}"], [number]),
        ([state, speed, clock], [number]),
        ([state[:1], speed, clock], [number]),
        ([state[:1], clock], []),
    )
    for left, right in candidates:
        used = sum(map(cell_len, (*left, *right))) + len(GAP) * (len(left) + len(right))
        if (cells := min(width - used, _BAR_MAX)) >= _BAR_MIN:
            return GAP.join((*left, _progress(playback, cells), *right))
    return set_cell_size(GAP.join(candidates[-1][0]), max(0, width)).rstrip()


def _progress(playback: Playback, cells: int) -> str:
    duration_s = playback.recording.duration_s
    share = 1.0 if playback.is_at_end or not duration_s else playback.position_s / duration_s
    done = int(share * cells)
    return "━" * done + "─" * (cells - done)


def step_text(seconds: int) -> str:
    """A step length: `30 s`, `5 min`, `6 h`, `1 day`."""
    for unit, length in (("day", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
