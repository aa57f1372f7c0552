from __future__ import annotations

from broadcast_tui.tui.model.notifications import (
    Alert,
    NotificationLimiter,
    NotifyLevel,
    alert_text,
    levels_of,
)

HI = Alert("lobby", "bob", "hi ana", True)


def test_alert_text_has_sender_room_and_text() -> None:
    assert alert_text(HI) == "bob in #lobby: hi ana"
    assert alert_text(Alert("dev", "bob", "/me waves to ana", True)) == "* bob in #dev waves to ana"
    assert alert_text(Alert("dev", "bob", "one\n\ntwo", False)) == "bob in #dev: one two"
    assert len(alert_text(Alert("r" * 99, "b" * 99, "x" * 9999, False))) < 270


def test_at_most_one_notification_in_three_seconds_and_the_next_counts_skipped_alerts() -> None:
    limiter = NotificationLimiter()
    assert limiter.add([], 10.0) is None
    assert limiter.add([HI], 10.0) == "bob in #lobby: hi ana"
    assert limiter.add([HI, HI], 11.0) is None
    assert limiter.add([HI], 12.99) is None
    assert limiter.add([], 13.5) is None
    assert limiter.add([HI], 13.5) == "bob in #lobby: hi ana (+3 more)"
    assert limiter.add([HI], 17.0) == "bob in #lobby: hi ana"


def test_the_last_mention_among_several_alerts_is_shown() -> None:
    chatter = Alert("lobby", "carl", "whatever", False)
    assert NotificationLimiter().add([chatter, HI, chatter], 0.0) == "bob in #lobby: hi ana (+2 more)"
    assert NotificationLimiter().add([chatter, chatter], 0.0) == "carl in #lobby: whatever (+1 more)"


def test_levels_include_mentions_or_all_posts() -> None:
    assert [level.includes(mention=True) for level in NotifyLevel] == [False, True, True]
    assert [level.includes(mention=False) for level in NotifyLevel] == [False, False, True]
    assert levels_of({"lobby": "all", "dev": "loud", "ops": "off"}) == {
        "lobby": NotifyLevel.ALL,
        "ops": NotifyLevel.OFF,
    }
