"""The user's own keys: validated, checked for conflicts and shown in help."""

from __future__ import annotations

import pytest
from textual.theme import Theme

from broadcast_tui.tui import themes
from broadcast_tui.tui.keymap import KEYS, key_help, shown_key
from broadcast_tui.tui.keymap_config import KeyBindingError, checked_keys, clashes
from broadcast_tui.tui.model.text.colors import MIN_CONTRAST, contrast, palette
from tests.tui.model.text.test_colors import rgb


def test_common_key_notation_is_accepted() -> None:
    wanted = {"log.page-up": " PgUp , Ctrl+Alt+V", "app.quit-chat": "ctrl+/", "app.show-help": "Esc"}
    assert checked_keys(wanted) == {
        "log.page-up": "pageup,alt+ctrl+v",
        "app.quit-chat": "ctrl+slash",
        "app.show-help": "escape",
    }


def test_a_letter_alone_is_a_valid_key_for_a_selected_post() -> None:
    assert checked_keys({"pick.copy-text": "c, C"}) == {"pick.copy-text": "c,C"}


def test_the_default_keys_are_valid() -> None:
    defaults = {row.id: row.keys for row in KEYS}
    assert checked_keys(defaults) == {
        id: ",".join("+".join([*sorted(key.split("+")[:-1]), key.split("+")[-1]]) for key in keys.split(","))
        for id, keys in defaults.items()
    }


@pytest.mark.parametrize(
    ("id", "keys", "error"),
    [
        ("log.pageup", "f3", "Did you mean log.page-up"),
        ("zzz", "f3", "run: broadcast-tui config keys"),
        ("log.page-up", "", "is empty"),
        ("log.page-up", ", ,", "is empty"),
        ("log.page-up", "a", "Add ctrl+"),
        ("log.page-up", "shift+a", "Add ctrl+"),
        ("log.page-up", "ctrl+", "Invalid key"),
        ("log.page-up", "control+f", "Invalid key"),
        ("log.page-up", "pageupp", "Did you mean pageup"),
        ("log.page-up", "ctrl+frob", "Invalid key"),
    ],
)
def test_invalid_keys_are_rejected(id: str, keys: str, error: str) -> None:
    with pytest.raises(KeyBindingError, match=error.replace("+", r"\+")):
        checked_keys({id: keys})


def test_a_key_bound_twice_is_reported_once() -> None:
    assert clashes({"log.page-up": "f3", "log.page-down": "f3"}) == [
        "F3 is bound to both log.page-up and log.page-down"
    ]
    assert clashes({"log.page-up": "f1"}) == ["F1 is bound to both log.page-up and app.show-help"]


@pytest.mark.parametrize(
    ("id", "key", "other"),
    [
        ("room.next", "ctrl+f", "log.find-text"),
        ("log.page-up", "f8", "people.toggle-list"),
        ("room.switch", "f8", "people.toggle-list"),
        ("people.toggle-list", "f7", "room.toggle-list"),
        ("log.go-unread", "alt+k", "room.switch"),
        ("room.next", "ctrl+w", "composer.cut-blank-word"),
        ("people.toggle-list", "ctrl+y", "composer.paste-cut"),
        ("app.reconnect-now", "alt+u", "log.go-unread"),
        ("pick.copy-text", "ctrl+q", "app.quit-chat"),
        ("find.step-newer", "ctrl+l", "app.redraw-screen"),
        ("search.find-newer", "f5", "app.reconnect-now"),
        ("composer.paste-cut", "ctrl+t", "composer.swap-characters"),
    ],
)
def test_a_key_bound_twice_in_areas_active_together_is_reported(id: str, key: str, other: str) -> None:
    assert clashes({id: key}) == [f"{shown_key(key)} is bound to both {id} and {other}"]


@pytest.mark.parametrize(
    ("id", "key"),
    [("pick.copy-text", "ctrl+k"), ("find.step-newer", "ctrl+n"), ("search.clear-query", "ctrl+k")],
)
def test_a_key_can_be_reused_in_an_area_not_active_together(id: str, key: str) -> None:
    assert clashes({id: key}) == []


def test_swapped_keys_do_not_conflict() -> None:
    assert clashes({"log.page-up": "pagedown", "log.page-down": "pageup"}) == []


def test_the_default_keys_do_not_conflict() -> None:
    assert clashes() == []


def test_help_shows_the_keys_in_effect() -> None:
    rows = [row for heading, rows in key_help({"log.page-up": "f3"}) if heading == "Reading" for row in rows]
    assert ("F3", "Page up") in rows
    assert "PgUp" not in dict(rows)


def test_a_letter_is_a_valid_key_without_text_input() -> None:
    assert checked_keys({"pick.copy-text": "c, ?", "pick.go-last": "G"}) == {
        "pick.copy-text": "c,question_mark",
        "pick.go-last": "G",
    }


@pytest.mark.parametrize("theme", themes.OWN_THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("surface", ["background", "surface", "panel"])
def test_text_and_names_have_enough_contrast_in_our_themes(theme: Theme, surface: str) -> None:
    colors = theme.to_color_system().generate()
    background = rgb(colors[surface])
    parts = ["primary", "accent", "success", "warning", "error", "foreground"]
    drawn = [colors[part] for part in parts]
    drawn += palette(background) if surface != "panel" else ()
    assert [color for color in drawn if contrast(rgb(color), background) < MIN_CONTRAST] == []


@pytest.mark.parametrize(
    ("colorfgbg", "name"),
    [("0;15", "broadcast-light"), ("15;0", "broadcast-dark"), ("0;default;7", "broadcast-light"),
     ("", "broadcast-dark"), ("nonsense", "broadcast-dark")],
)  # fmt: skip
def test_the_default_theme_matches_the_terminal_background(colorfgbg: str, name: str) -> None:
    assert themes.default_theme({"COLORFGBG": colorfgbg}) == name
