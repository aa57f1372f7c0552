"""`doctor` and the installation: versions of packages."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from broadcast_tui.cli.diagnosis import Status
from broadcast_tui.cli.diagnosis.installation import Requirement, check_installation
from broadcast_tui.server.batch_send import IS_COMPILED

LINES = (
    "textual<8.3,>=8.2",
    "websockets<18,>=17",
    "uvloop>=0.21; sys_platform != 'win32'",
    "keyring>=25; extra == 'keyring'",
    "redis[hiredis]<9,>=8; extra == 'redis'",
    "pytest>=8; extra == 'test'",
)


def version(package: str) -> str:
    found = {"textual": "8.3.0", "uvloop": "0.22.1", "redis": "8.0.0b1"}.get(package)
    if found is None:
        raise PackageNotFoundError(package)
    return found


def test_versions() -> None:
    found = {check.id: check for check in check_installation(LINES, version)}
    assert {id: check.status for id, check in found.items()} == {
        "version": Status.OK,
        "compiled": Status.OK if IS_COMPILED else Status.SKIPPED,
        "textual": Status.FAILED,
        "websockets": Status.FAILED,
        "uvloop": Status.OK,
        "keyring": Status.SKIPPED,
        "redis": Status.OK,
    }
    assert found["textual"].advice == "Run: pip install 'textual<8.3,>=8.2'"
    assert "broadcast-tui[keyring]" in found["keyring"].advice


def test_this_installation_fits() -> None:
    assert {check.status for check in check_installation()} <= {Status.OK, Status.SKIPPED}


def test_a_program_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise PackageNotFoundError

    monkeypatch.setattr("broadcast_tui.cli.diagnosis.installation.requires", fail)
    assert [check.id for check in check_installation()] == ["version", "compiled", "packages"]


@pytest.mark.parametrize(
    ("versions", "found", "fits"),
    [
        (">=8.2,<8.3", "8.2", True),
        (">=8.2,<8.3", "8.2.8", True),
        (">=8.2,<8.3", "8.10", False),
        (">=8.2,<8.3", "8.1.9", False),
        ("", "1.0", True),
        (">=0.20", "0.3", False),
    ],
)
def test_versions_are_compared_by_number(versions: str, found: str, fits: bool) -> None:
    assert Requirement("p", versions).accepts(found) is fits
