"""The root's names are there, are what they claim, and the version is the changelog's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import broadcast_tui


def test_every_exported_name_can_be_had() -> None:
    for name in broadcast_tui.__all__:
        assert getattr(broadcast_tui, name) is not None
    assert set(broadcast_tui._LAZY) == set(broadcast_tui.__all__) - {"__version__"}
    assert dir(broadcast_tui) == sorted(broadcast_tui.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = broadcast_tui.nonsense


def test_the_version_heads_the_changelog() -> None:
    changelog = (Path(__file__).parent.parent / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)
    assert versions[0] == broadcast_tui.__version__
