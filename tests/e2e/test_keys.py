"""Every key of the help screen was pressed in a terminal: those tried are named beside the stories."""

from __future__ import annotations

from broadcast_tui.tui.keymap import KEYS
from tests.e2e import (
    test_notices,
    test_reading,
    test_rooms,
    test_terminals,
    test_two_people,
    test_writing,
)

STORIES = (test_notices, test_reading, test_rooms, test_terminals, test_two_people, test_writing)


def test_every_key_is_covered_in_a_terminal() -> None:
    tried: frozenset[str] = frozenset().union(*(stories.KEYS_TRIED for stories in STORIES))
    assert {row.id for row in KEYS} == tried
