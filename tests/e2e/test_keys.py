"""Every key of the help screen is pressed in a terminal test; each module lists the keys it covers."""

from __future__ import annotations

from broadcast_tui.tui.keymap import KEYS
from tests.e2e import (
    test_notices,
    test_posts,
    test_reading,
    test_replay,
    test_rooms,
    test_terminals,
    test_two_people,
    test_writing,
)

MODULES = (
    test_notices,
    test_posts,
    test_reading,
    test_replay,
    test_rooms,
    test_terminals,
    test_two_people,
    test_writing,
)


def test_every_key_is_covered_in_a_terminal() -> None:
    covered: frozenset[str] = frozenset().union(*(module.COVERED_KEYS for module in MODULES))
    assert {row.id for row in KEYS} == covered
