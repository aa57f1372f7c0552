"""SIGHUP: all of it or nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from broadcast_tui.cli import UsageError
from broadcast_tui.cli.reloading import Options, Reloading


def test_one_bad_part_leaves_every_part_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "broadcast_tui.server")
    in_force: list[str] = []
    is_bad = True

    def part(name: str, *, bad: bool = False) -> Callable[[Options], Callable[[], None]]:
        def load(options: Options) -> Callable[[], None]:
            if bad and is_bad:
                raise UsageError(f"{name} is\nbad.")
            return lambda: in_force.append(f"{name} {options['x']}")

        return load

    reloading = Reloading(lambda: {"x": 1})
    reloading.add("limits", part("limits"))
    reloading.add("bans", part("bans", bad=True))
    reloading()
    assert in_force == []
    assert [record.getMessage() for record in caplog.records] == ["nothing was reloaded: bans is bad."]
    is_bad = False
    reloading()
    assert in_force == ["limits 1", "bans 1"]
    assert caplog.records[-1].getMessage() == "reloaded: limits, bans"
