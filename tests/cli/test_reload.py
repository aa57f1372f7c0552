"""A reload applies everything or nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from broadcast_tui.cli.errors import UsageError
from broadcast_tui.cli.reload import Coalescer, Load, Options, Reloader
from broadcast_tui.cli.settings import ConfigMistakes
from tests.support.running import in_time


def test_one_invalid_part_prevents_the_whole_reload(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "broadcast_tui.server")
    in_force: list[str] = []
    is_bad = True

    def part(name: str, *, bad: bool = False) -> Load:
        def load(options: Options) -> Callable[[], str | None]:
            if bad and is_bad:
                raise UsageError(f"{name} is\nbad.")

            def apply() -> str | None:
                in_force.append(f"{name} {options['x']}")
                return "2 active" if bad else None

            return apply

        return load

    reloading = Reloader(lambda: {"x": 1}, {"x": 0}, {"x"})
    reloading.add("limits", part("limits"))
    reloading.add("bans", part("bans", bad=True))
    reloading.add("tokens", part("tokens", bad=True))
    reloading()
    assert in_force == []
    assert [record.getMessage() for record in caplog.records] == [
        "reload failed: bans is bad.",
        "reload failed: tokens is bad.",
    ]
    is_bad = False
    reloading()
    assert in_force == ["limits 1", "bans 1", "tokens 1"]
    assert caplog.records[-1].getMessage() == "reloaded: limits, bans (2 active), tokens (2 active)"


def test_every_mistake_in_a_file_is_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def read() -> Options:
        raise ConfigMistakes(["a.toml:1: Unknown\noption x.", "a.toml:2: Invalid value."])

    Reloader(read, {}, ())()
    assert [record.getMessage() for record in caplog.records] == [
        "reload failed: a.toml:1: Unknown option x.",
        "reload failed: a.toml:2: Invalid value.",
    ]


def test_options_that_need_a_restart_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "broadcast_tui.server")
    options: dict[str, object] = {"auth": "open", "metrics_port": None, "log_level": "info"}
    reloading = Reloader(lambda: options, dict(options), {"log_level"})
    reloading()
    options |= {"log_level": "debug"}
    reloading()
    assert caplog.records == []
    options |= {"auth": "token", "metrics_port": 9000}
    reloading()
    assert [record.getMessage() for record in caplog.records] == [
        "restart the server to apply changes of: auth, metrics-port"
    ]


async def test_hundreds_of_signals_cause_few_reloads() -> None:
    reloads = 0
    done = asyncio.Event()

    def reload() -> None:
        nonlocal reloads
        reloads += 1
        done.set()

    soon = Coalescer(reload, asyncio.get_running_loop(), interval_s=1_000.0)
    for _ in range(300):
        soon()
    await in_time(done.wait())
    for _ in range(300):
        soon()
        await asyncio.sleep(0)
    assert reloads == 1
    again = Coalescer(reload, asyncio.get_running_loop(), interval_s=0.0)
    for count in range(2, 5):
        done.clear()
        again()
        await in_time(done.wait())
        assert reloads == count
