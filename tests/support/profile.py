"""How long the long tests take: a short profile by default, the long one with `--soak`."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")

SHORT_SOAK_S = 4.0
LONG_SOAK_S = 60.0

_soak_s: float | None = None


def choose_long(soak_s: float) -> None:
    """Choose the long profile, before test modules are imported."""
    global _soak_s
    _soak_s = soak_s


def is_long() -> bool:
    return _soak_s is not None


def soak_s() -> float:
    """Seconds that the chaos test lasts."""
    return SHORT_SOAK_S if _soak_s is None else _soak_s


def by_profile(short: T, long: T) -> T:
    """`short` by default, `long` with `--soak`."""
    return long if is_long() else short
