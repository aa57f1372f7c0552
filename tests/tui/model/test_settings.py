"""Settings: where a value comes from, what is rejected, and who is notified of changes."""

from __future__ import annotations

import pytest

from broadcast_tui.tui.model.settings import SETTINGS, Fixed, SettingError, Settings, check_setting
from broadcast_tui.tui.model.state import AppState


def test_a_fixed_value_wins_over_a_choice_and_a_choice_over_the_default() -> None:
    settings = Settings(
        {"time": "12h", "people": "off", "rooms": "nonsense"}, {"time": Fixed("off", "config.toml")}
    )
    assert [settings[name] for name in ("time", "people", "rooms", "markdown")] == [
        "off",
        "off",
        "auto",
        "on",
    ]
    assert settings.note("time") == "Fixed by config.toml. A change lasts until you quit."
    assert settings.note("people") == ""
    settings.set("time", "24h")
    assert settings.note("time") == "config.toml says off. This lasts until you quit."


def test_changes_are_reported_until_the_watcher_leaves() -> None:
    settings, seen = Settings(), list[str]()
    stop = settings.watch(seen.append)
    assert settings.set("Time", "12H")
    assert not settings.set("time", "12h")
    settings.step("people", 1)
    settings.step("people", -2)
    stop()
    stop()
    settings.set("time", "off")
    assert seen == ["time", "people", "people"]
    assert settings["people"] == "off"


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("tim", "12h", "No such setting: tim. Did you mean time?"),
        ("xyz", "1", "No such setting: xyz. Available: theme, time,"),
        ("time", "13h", "Invalid value for time: '13h'. Use 24h, 12h, seconds or off."),
        ("theme", "nrod", "No such theme: nrod. Did you mean nord?"),
        ("theme", "zzz", "No such theme: zzz. /theme lists the themes."),
    ],
)
def test_an_error_says_what_to_use(name: str, value: str, error: str) -> None:
    with pytest.raises(SettingError) as raised:
        check_setting(name, value, ("nord", "dracula"))
    assert str(raised.value).startswith(error)


def test_the_default_is_the_first_value() -> None:
    settings = Settings()
    assert all(settings[row.name] == row.values[0] for row in SETTINGS if row.values)
    assert len(settings.lines(plain=True)) < len(settings.lines(plain=False)) == len(SETTINGS)


def test_the_notification_level_is_that_of_all_rooms_without_one_of_their_own() -> None:
    state = AppState()
    state.rooms.enter("ops")
    state.rooms.enter("dev")
    state.rooms.set_level("dev", type(state.rooms.get("dev").level)("off"))
    state.settings.set("notify", "all")
    state.rooms.enter("new")
    assert [state.rooms.get(name).level for name in ("ops", "dev", "new")] == ["all", "off", "all"]
