"""Lines about moderation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from broadcast_tui.core.session.updates import Ban, BansListed, Moderated
from broadcast_tui.tui.model.moderation import action_line, ban_lines

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_line_about_a_completed_action() -> None:
    update = Moderated("r", "ban", "mal\x1bory", 2, ("192.0.2.7",), AT + timedelta(hours=3))
    assert action_line(update, AT) == "Banned mal\u241bory for 3 h (192.0.2.7)."
    assert action_line(Moderated("r", "unban", "mallory", 0, (), None), AT) == "Unbanned mallory."


@pytest.mark.parametrize(("action", "verb"), [("ban", "Banned"), ("mute", "Muted")])
def test_target_that_is_not_connected_is_noted(action: str, verb: str) -> None:
    update = Moderated("r", action, "nosuch", 0, (), None)
    assert action_line(update, AT) == f"{verb} nosuch (not connected now)."


def test_each_ban_has_one_line() -> None:
    bans = (
        Ban("mute", "mal\x1bory", "ana", "spam", AT),
        Ban("ban", "192.0.2.0/24", "bob", "", None),
    )
    assert ban_lines(BansListed("r", bans, False)) == [
        f"mal\u241bory: muted until {AT.astimezone():%Y-%m-%d %H:%M} by ana: spam",
        "192.0.2.0/24: banned permanently by bob",
    ]
    assert ban_lines(BansListed("r", bans[1:], True))[0] == "\u2026 and older ones"
    assert ban_lines(BansListed("r", (), False)) == ["No bans or mutes."]
