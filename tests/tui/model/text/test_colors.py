from __future__ import annotations

from collections import Counter

import pytest
from rich.color import Color, ColorSystem
from textual.theme import BUILTIN_THEMES, Theme

from broadcast_tui.tui.model.text.colors import (
    MIN_CONTRAST,
    ON_DARK,
    ON_LIGHT,
    SIXTEEN_ON_DARK,
    SIXTEEN_ON_LIGHT,
    NameHues,
    Rgb,
    color_index,
    contrast,
    palette,
)


def rgb(color: str) -> Rgb:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


@pytest.mark.parametrize("theme", [theme for theme in BUILTIN_THEMES.values() if "ansi" not in theme.name])
@pytest.mark.parametrize("surface", ["background", "surface"])
def test_every_name_is_readable_in_every_theme(theme: Theme, surface: str) -> None:
    colors = theme.to_color_system().generate()
    background = rgb(colors[surface])
    assert min(contrast(rgb(color), background) for color in palette(background)) >= MIN_CONTRAST


def test_contrast_is_that_of_wcag() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)
    assert contrast((10, 20, 30), (10, 20, 30)) == 1


def test_a_name_has_the_same_index_in_both_palettes() -> None:
    assert len(ON_DARK) == len(ON_LIGHT) == len(set(ON_DARK)) == len(set(ON_LIGHT))
    assert palette((0, 0, 0)) is ON_DARK
    assert palette((255, 255, 255)) is ON_LIGHT
    assert len(SIXTEEN_ON_DARK) == len(SIXTEEN_ON_LIGHT) == len(ON_DARK)


@pytest.mark.parametrize(
    ("background", "numbers"), [((0, 0, 0), range(9, 15)), ((255, 255, 255), range(1, 7))]
)
def test_sixteen_color_terminals_get_six_distinct_colors(background: Rgb, numbers: range) -> None:
    colors = palette(background, sixteen=True)
    sent = {Color.parse(color).downgrade(ColorSystem.STANDARD).number for color in colors}
    assert sent == set(numbers)


def test_colors_are_the_same_in_every_session() -> None:
    assert [color_index(name) for name in ("ana", "bob", "Ein sehr langer Name")] == [1, 2, 2]


def test_names_of_one_key_share_a_color() -> None:
    assert color_index("Ana") == color_index("ana")


def test_names_spread_over_the_palette() -> None:
    counts = Counter(color_index(f"user{number}") for number in range(1300))
    assert len(counts) == len(ON_DARK)
    assert max(counts.values()) < 200


@pytest.mark.parametrize("name", ["", "\ud800", "漢字", "👍🏽", "\x1b[31m"])
def test_any_name_has_a_color(name: str) -> None:
    assert 0 <= color_index(name) < len(ON_DARK)


def test_names_in_a_room_have_different_hues_while_there_are_any() -> None:
    hues = NameHues()
    names = [f"user{number}" for number in range(len(ON_DARK))]
    given_hues = [hues.of(name) for name in names]
    assert sorted(given_hues) == list(range(len(ON_DARK)))
    assert [hues.of(name) for name in names] == given_hues, "they keep them"
    assert hues.of("one more") == color_index("one more")


def test_a_name_gets_the_free_hue_nearest_to_its_own() -> None:
    hues = NameHues()
    assert hues.of("ana") == color_index("ana")
    assert hues.of("Ana") == hues.of("ana")
    assert hues.of("bob") == color_index("bob")
    other = "Ein sehr langer Name"
    assert color_index(other) == color_index("bob")
    assert abs(hues.of(other) - color_index("bob")) == 1
    assert not hues.known("carl")
    assert hues.peek("carl") == color_index("carl")
    assert hues.known("ana")
