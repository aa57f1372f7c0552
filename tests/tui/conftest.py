"""Screens look the same whatever terminal the tests run in, and apps share parsed CSS."""

from __future__ import annotations

from typing import NoReturn

import pytest
from textual.app import App

from tests.support import idle, stylesheets

stylesheets.install()
idle.install()


@pytest.fixture(autouse=True)
def all_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "truecolor")


@pytest.fixture(autouse=True)
def starts_no_app_unless_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test without the marker `app` starts no Textual app."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a test without the marker 'app' starts one")

    if request.node.get_closest_marker("app") is None:
        monkeypatch.setattr(App, "run_test", refuse)
        monkeypatch.setattr(App, "run_async", refuse)
