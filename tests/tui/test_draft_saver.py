from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from broadcast_tui.client.storage.drafts import DraftFile
from broadcast_tui.tui.draft_saver import DraftSaver

URL = "ws://localhost:8765"


class Clock:
    """Time, and the timers that were set."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def set_timer(self, delay_s: float, call: Callable[[], None]) -> None:
        self.timers.append((self.now + delay_s, call))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer[0] <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for _, call in due:
            call()


def make(directory: Path) -> tuple[DraftSaver, Clock]:
    clock = Clock()
    return DraftSaver(DraftFile(URL, directory), clock.set_timer, lambda: clock.now), clock


def saved(directory: Path) -> dict[str, str]:
    return DraftFile(URL, directory).load()


def test_texts_are_saved_after_a_second_without_a_key(tmp_path: Path) -> None:
    saver, clock = make(tmp_path)
    for length in range(1, 6):
        saver.save_soon(lambda length=length: {"lobby": "hello"[:length]})  # type: ignore[misc]
        clock.pass_time(0.4)
        assert saved(tmp_path) == {}
        assert len(clock.timers) == 1
    clock.pass_time(0.5)
    assert saved(tmp_path) == {}
    clock.pass_time(0.2)
    assert saved(tmp_path) == {"lobby": "hello"}
    assert clock.timers == []
    saver.save_soon(dict)
    clock.pass_time(1.0)
    assert saved(tmp_path) == {}


def test_nothing_is_collected_after_the_end(tmp_path: Path) -> None:
    saver, clock = make(tmp_path)
    saver.save_soon(dict)
    saver.close({"lobby": "unsent"})
    clock.pass_time(1.0)
    assert saved(tmp_path) == {"lobby": "unsent"}


def test_secrets_are_not_saved(tmp_path: Path) -> None:
    saver, clock = make(tmp_path)
    saver.save_soon(lambda: {"lobby": "/token secret", "dev": "a text"})
    clock.pass_time(1.0)
    assert saved(tmp_path) == {"dev": "a text"}
