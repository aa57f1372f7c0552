"""Name colors: different ones for the people in a room, and mostly the same in every session.

The color of a name is an index into a palette: the hash of its key (so `Ana` and `ana` share it), or the
nearest index that no other name in the room has. There are palettes for dark and light backgrounds with the
same hues; each color has a contrast of at least 4.5 : 1 (WCAG 2.2, 1.4.3) on the backgrounds of all themes
included in Textual.
"""

from __future__ import annotations

from zlib import crc32

from broadcast_tui.core.names import name_key

MIN_CONTRAST = 4.5

Rgb = tuple[int, int, int]

ON_DARK = (
    "#fea09f",
    "#fca67f",
    "#edb067",
    "#d5bd62",
    "#a5cd7c",
    "#7ed49d",
    "#5ad6c0",
    "#50d2e6",
    "#77c7fe",
    "#9fbdfe",
    "#c3affe",
    "#e3a4e7",
    "#f69fc8",
)
"""Thirteen hues of one lightness (0.80 in OKLCH)."""

ON_LIGHT = (
    "#8f2f36",
    "#8c3701",
    "#774a03",
    "#655401",
    "#3e6102",
    "#036639",
    "#066357",
    "#07606c",
    "#035b88",
    "#31509d",
    "#5c4295",
    "#78377c",
    "#87305f",
)
"""The same hues, darker (0.45 in OKLCH)."""


def _by_hue(red: str, yellow: str, green: str, cyan: str, blue: str, magenta: str) -> tuple[str, ...]:
    """Six colors spread over the thirteen hues."""
    return (*(red,) * 2, *(yellow,) * 2, *(green,) * 2, *(cyan,) * 2, *(blue,) * 2, *(magenta,) * 3)


SIXTEEN_ON_DARK = _by_hue("#ff5555", "#ffff55", "#55ff55", "#55ffff", "#5555ff", "#ff55ff")
SIXTEEN_ON_LIGHT = _by_hue("#aa0000", "#aa5500", "#00aa00", "#00aaaa", "#0000aa", "#aa00aa")
"""For terminals with 16 colors: exactly the bright and the normal ones as defined in Rich.

Their appearance depends on the terminal. Other colors would be mapped to the nearest of the 16, mostly white
or grey.
"""


HUES_KEPT = 1_024
"""Names whose hues are kept by `NameHues`."""


def color_index(name: str) -> int:
    """Index of the color of `name` in a palette, before others take it; see `NameHues`."""
    return crc32(name_key(name).encode("utf-8", "replace")) % len(ON_DARK)


class NameHues:
    """The hues of the names in one room: different ones, as long as there are any left.

    A name gets the free hue nearest to that of its hash, and keeps it in this session.
    """

    def __init__(self) -> None:
        self._hues: dict[str, int] = {}
        """Hues by the names as written; several spellings of a name share one."""
        self._taken: dict[int, str] = {}
        """Keys of names by their hue."""

    @property
    def count(self) -> int:
        """The number of names as written that have been given a hue."""
        return len(self._hues)

    def of(self, name: str) -> int:
        """Index of the color of `name` in a palette."""
        hue = self._hues.get(name)
        if hue is None:
            hue = self._choose(name)
            if len(self._hues) < HUES_KEPT:
                self._hues[name] = hue
        return hue

    def peek(self, name: str) -> int:
        """The hue of `name`, or the one of its hash if it has none yet."""
        hue = self._hues.get(name)
        return color_index(name) if hue is None else hue

    def known(self, name: str) -> bool:
        """Whether `name` has been given a hue."""
        return name in self._hues

    def _choose(self, name: str) -> int:
        key, count, wanted = name_key(name), len(ON_DARK), color_index(name)
        nearest = sorted(range(count), key=lambda hue: min((hue - wanted) % count, (wanted - hue) % count))
        for hue in nearest:
            if self._taken.setdefault(hue, key) == key:
                return hue
        return next((hue for hue, taken in self._taken.items() if taken == key), wanted)


def palette(background: Rgb, *, sixteen: bool = False) -> tuple[str, ...]:
    """The palette for a background (red, green, blue from 0 to 255); `sixteen`: for 16 colors."""
    black, white = contrast(background, (0, 0, 0)), contrast(background, (255, 255, 255))
    if sixteen:
        return SIXTEEN_ON_DARK if white > black else SIXTEEN_ON_LIGHT
    return ON_DARK if white > black else ON_LIGHT


def contrast(one: Rgb, other: Rgb) -> float:
    """Contrast ratio of two colors, 1 to 21, as defined in WCAG 2.2; symmetric."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: Rgb) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in color)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
