"""Patterns that are compiled on first use."""

from __future__ import annotations

import re

import pytest

from broadcast_tui.core.lazy_pattern import lazy_pattern


def test_pattern_is_compiled_on_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_pattern = re.compile

    def record(source: str, flags: int) -> re.Pattern[str]:
        compiled.append(source)
        return compile_pattern(source, flags)

    monkeypatch.setattr(re, "compile", record)
    pattern = lazy_pattern("[a-c]+", re.IGNORECASE)
    assert compiled == []
    assert [pattern.sub("-", text) for text in ("xAbcx", "a")] == ["x-x", "-"]
    assert compiled == ["[a-c]+"]
    assert pattern.fullmatch("CAB") is not None
    assert pattern.pattern == "[a-c]+"


def test_unknown_attribute_is_an_error() -> None:
    with pytest.raises(AttributeError):
        lazy_pattern("a").nosuch  # type: ignore[attr-defined]  # noqa: B018
