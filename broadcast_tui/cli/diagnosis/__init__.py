"""The checks of `broadcast-tui doctor`, one module per subject, and their results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Result of a check."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as well as it could."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not checked, or not applicable; the text says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One result: a stable id, a sentence without a final period, and what to do about it.

    `advice` is empty if there is nothing to do. Neither text contains a secret.
    """

    id: str
    status: Status
    text: str
    advice: str = ""


Report = Callable[[Check], None]
"""Receives each result as soon as there is one."""


def ok(id: str, text: str) -> Check:
    """A check without a finding."""
    return Check(id, Status.OK, text)


def warning(id: str, text: str, advice: str) -> Check:
    """A finding that limits what the program can do."""
    return Check(id, Status.WARNING, text, advice)


def failed(id: str, text: str, advice: str) -> Check:
    """A finding that keeps the program from working."""
    return Check(id, Status.FAILED, text, advice)


def skipped(id: str, text: str, advice: str = "") -> Check:
    """A check that was not made."""
    return Check(id, Status.SKIPPED, text, advice)
