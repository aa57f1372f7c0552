"""Markers and order of tests: what a test starts is found in its code.

A test is marked `app` if it, its fixtures or the helpers it uses (in `tests`) run a Textual app, `process` if
they start a process or it is in a module full of busy servers, `soak` if its length is set by `--soak`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import pytest
from hypothesis import is_hypothesis_test

ATTRIBUTES = {
    "run_test": "app",
    "run_async": "app",
    "create_subprocess_exec": "process",
    "create_subprocess_shell": "process",
}
"""Attribute names and the markers of code that uses them."""
MODULES = {"subprocess": "process", "pexpect": "process"}
"""Modules and the markers of code that uses them."""
FIXTURES = {"soak_s": "soak"}
DIRECTORIES = {"tests/e2e/": "process", "tests/compat/": "process"}
BUSY = {
    "tests/server/test_admission.py",
    "tests/server/test_floods.py",
    "tests/server/test_leaks.py",
    "tests/server/test_slow_peers.py",
    "tests/server/test_threats.py",
    "tests/server/test_tls.py",
    "tests/server/test_tls_handshake.py",
    "tests/tui/terminal/test_clipboard.py",
}
"""Modules that are too slow for the inner loop, or whose tests start programs through the package."""
COVERED = ("tests/core/", "tests/engine/")
"""Directories whose tests count for the coverage, except for those with generated examples.

Measuring it makes a test take twice as long.
"""
STARTS_PROCESS = ((subprocess.Popen, "__init__"), (os, "fork"), (os, "forkpty"), (os, "posix_spawn"))
"""Functions that start a process, with where they are."""
SLOW_FIRST = (
    "tests/e2e/test_cluster_history.py",
    "tests/e2e/test_history.py",
    "tests/server/test_leaks.py",
    "tests/e2e/test_output.py",
    "tests/e2e/",
    "tests/cli/",
    "tests/compat/",
    "tests/server/test_floods.py",
    "tests/tui/terminal/test_renderer.py",
    "tests/tui/screens/",
    "tests/tui/",
)
"""Prefixes of paths, the slowest first: a long test that starts last leaves the other workers idle."""


# -- markers


def marks_of(item: pytest.Item) -> list[str]:
    """Markers that a test gets for what it starts, sorted."""
    path = _path(item)
    marks = {mark for beginning, mark in DIRECTORIES.items() if path.startswith(beginning)}
    if path in BUSY:
        marks.add("process")
    if isinstance(item, pytest.Function):
        marks |= {mark for name, mark in FIXTURES.items() if name in item.fixturenames}
        definitions = item._fixtureinfo.name2fixturedefs.values()
        used = [item.function, *(definition.func for several in definitions for definition in several)]
        if hasattr(item, "callspec"):
            used += [value for value in item.callspec.params.values() if inspect.isfunction(value)]
        marks.update(*(_marks_of_object(part) for part in used))
    return sorted(marks)


def counts_for_coverage(item: pytest.Item) -> bool:
    """Whether the coverage of core and engine is measured while a test runs."""
    return _path(item).startswith(COVERED) and not is_hypothesis_test(getattr(item, "obj", None))


def order(item: pytest.Item) -> int:
    """Sort key that puts the slow modules first and leaves the others in their order."""
    path = _path(item)
    return next((n for n, start in enumerate(SLOW_FIRST) if path.startswith(start)), len(SLOW_FIRST))


def _path(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


@cache
def _marks_of_object(start: object) -> frozenset[str]:
    marks: set[str] = set()
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        found = inspect.unwrap(part) if callable(part := waiting.pop()) else part
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, ModuleType):
            marks |= {MODULES[found.__name__]} if found.__name__ in MODULES else set()
        elif isinstance(found, type):
            waiting += [value for base in found.__mro__ if _is_ours(base) for value in vars(base).values()]
        elif isinstance(found, MethodType | staticmethod | classmethod):
            waiting.append(found.__func__)
        elif isinstance(found, property):
            waiting.append(found.fget)
        elif isinstance(found, FunctionType) and _is_ours(found):
            names = set(_names(found.__code__))
            marks |= {ATTRIBUTES[name] for name in names & ATTRIBUTES.keys()}
            waiting += [found.__globals__[name] for name in names if name in found.__globals__]
            waiting += [cell.cell_contents for cell in found.__closure__ or () if _is_filled(cell)]
    return frozenset(marks)


def _is_ours(found: Any) -> bool:
    return str(found.__module__).startswith("tests.")


def _is_filled(cell: Any) -> bool:
    with contextlib.suppress(ValueError):
        return cell.cell_contents is not None
    return False


def _names(code: CodeType) -> Iterator[str]:
    """Names that a function and those inside it use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


# -- guard

_forbidden = False
_is_installed = False


@contextlib.contextmanager
def guarded(marks: Iterable[str]) -> Iterator[None]:
    """Let the start of a process raise unless `process` is among `marks`.

    An audit hook would be called for each `id()` as well, tens of thousands of times in the start of an app.
    """
    global _forbidden, _is_installed
    if not _is_installed:
        for owner, name in STARTS_PROCESS:
            if hasattr(owner, name):
                setattr(owner, name, _refusing(name, getattr(owner, name)))
        _is_installed = True
    _forbidden = "process" not in marks
    try:
        yield
    finally:
        _forbidden = False


def _refusing(name: str, start: Callable[..., Any]) -> Callable[..., Any]:
    """`start`, which raises while tests must not start processes."""

    @functools.wraps(start)
    def guarded_start(*args: Any, **options: Any) -> Any:
        if _forbidden:
            raise AssertionError(f"a test without the marker 'process' starts one: {name} {args[:2]}")
        return start(*args, **options)

    return guarded_start
