"""Checks of the installation: versions of Python and of the packages that the program uses."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from broadcast_tui import __version__
from broadcast_tui.cli.diagnosis import Check, failed, ok, skipped
from broadcast_tui.server.batch_send import IS_COMPILED
from broadcast_tui.tui import PROGRAM

OPTIONAL = {
    "uvloop": "Servers are faster with it: pip install uvloop",
    "cryptography": "serve --tls self-signed needs it: pip install 'broadcast-tui[tls]'",
    "keyring": "It saves tokens in the system's keyring: pip install 'broadcast-tui[keyring]'",
    "redis": "Servers that share rooms need it: pip install 'broadcast-tui[redis]'",
}
"""Packages that the program can do without."""
NOT_COMPILED = "Servers are faster with it: install a C compiler and Python's headers, then install again"

Version = Callable[[str], str]
"""Version of an installed package. Raises PackageNotFoundError."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package and its versions that work, such as `>=8.2,<8.3`."""

    package: str
    versions: str

    def accepts(self, found: str) -> bool:
        """Whether a version works, judged by the numbers that it starts with."""
        limits = re.findall(r"(>=|<)\s*([\d.]+)", self.versions)
        numbers = _numbers(found)
        return all(
            numbers >= _numbers(limit) if operator == ">=" else numbers < _numbers(limit)
            for operator, limit in limits
        )


def read_requirements(lines: Iterable[str]) -> Iterator[Requirement]:
    """The requirements of the program from those of its distribution, without tests and tools."""
    for line in lines:
        found = re.match(r"([\w-]+)(?:\[[^]]*\])?\s*([^;]*)(?:;(.*))?", line)
        if found is None:
            continue
        package, versions, condition = found[1].lower(), found[2].strip(" ()"), found[3] or ""
        if package in OPTIONAL or not condition.strip():
            yield Requirement(package, versions)


def check_installation(lines: Iterable[str] | None = None, installed: Version = version) -> Iterator[Check]:
    """Check the versions of Python and packages; `lines` are the requirements of the distribution."""
    yield ok("version", f"{PROGRAM} {__version__}, Python {platform.python_version()} on {sys.platform}")
    if IS_COMPILED:
        yield ok("compiled", "The compiled part of the server is installed")
    else:
        yield skipped("compiled", "The compiled part of the server is not installed", NOT_COMPILED)
    try:
        lines = (requires(PROGRAM) or ()) if lines is None else lines
    except PackageNotFoundError:
        yield skipped("packages", "The program is not installed as a package: versions are not checked")
        return
    for requirement in dict.fromkeys(read_requirements(lines)):
        package = requirement.package
        advice = f"Run: pip install '{package}{requirement.versions}'"
        try:
            found = installed(package)
        except PackageNotFoundError:
            if package in OPTIONAL:
                yield skipped(package, f"{package} is not installed", OPTIONAL[package])
            else:
                yield failed(package, f"{package} is not installed", advice)
            continue
        if requirement.accepts(found):
            yield ok(package, f"{package} {found}")
        else:
            yield failed(package, f"{package} {found} does not work with this version", advice)


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers that a version starts with."""
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(map(int, found[0].split("."))) if found else ()
