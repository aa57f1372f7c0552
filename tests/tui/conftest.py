"""Screens look the same whatever the terminal is that the tests are started from."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def all_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "truecolor")
