"""Measure the coverage of core and engine in the tests that count for it, and nowhere else.

Without this, pytest-cov would measure all the time. The collection of the tests and each start of an app, a
server or a fixture would take up to twice as long, without any effect on the result.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import kinds

MEASURED = ("broadcast_tui.core", "broadcast_tui.engine")


class CoverageScope:
    """Pauses the coverage that pytest-cov measures in this process, except in tests that count for it."""

    def __init__(self, cov_plugin: Any, *, is_worker: bool) -> None:
        self._cov_plugin = cov_plugin
        if is_worker:
            # In each worker of xdist, pytest-cov first starts a measurement as if it were the main process.
            # Nobody reads its data, but it would go on whenever that of the worker is paused.
            cov_plugin.cov_controller.cov.stop()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Measure the imports, which run the statements outside of functions, and pause."""
        for package_name in MEASURED:
            package = importlib.import_module(package_name)
            for module in pkgutil.walk_packages(package.__path__, f"{package_name}."):
                importlib.import_module(module.name)
        self._cov_plugin.cov_controller.pause()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if not kinds.counts_for_coverage(item):
            return (yield)
        self._cov_plugin.cov_controller.resume()
        try:
            return (yield)
        finally:
            self._cov_plugin.cov_controller.pause()


def install(config: pytest.Config) -> None:
    """Limit the coverage of this run, if it measures any."""
    cov_plugin: Any = config.pluginmanager.get_plugin("_cov")
    if cov_plugin is not None and cov_plugin.cov_controller is not None:
        config.pluginmanager.register(CoverageScope(cov_plugin, is_worker=hasattr(config, "workerinput")))
