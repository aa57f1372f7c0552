"""The settings of the chat that can be changed while it runs: one table, and the values in effect.

A value comes from one of these places, the first one first: an option or the configuration file, which fix
it; the user's choice in the chat, which is saved; the default. A fixed setting can be changed in the chat
too, but only until the chat ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

import msgspec


class Setting(msgspec.Struct, frozen=True):
    """A row of the table. `values` is empty if only the app knows them; the first one is the default."""

    name: str
    label: str
    help: str
    values: tuple[str, ...] = ()
    in_plain: bool = True
    """Whether it has an effect without a screen."""
    in_file: bool = True
    """Whether the table [settings] of the configuration file can contain it."""


ON_OFF = ("on", "off")

SETTINGS: tuple[Setting, ...] = (
    Setting("theme", "Theme", "Colors of the screen", in_plain=False, in_file=False),
    Setting("time", "Time of posts", "How the time of a post is shown", ("24h", "12h", "seconds", "off")),
    Setting(
        "names",
        "Width of names",
        "Cells of the column with names",
        ("auto", "8", "12", "16", "20"),
        in_plain=False,
    ),
    Setting("people", "Member list", "auto: if there is room", ("auto", "on", "off"), in_plain=False),
    Setting(
        "rooms",
        "Room list",
        "auto: with several rooms, if there is room",
        ("auto", "on", "off"),
        in_plain=False,
    ),
    Setting(
        "notify",
        "Notifications",
        "Which posts notify you; /notify sets it for one room",
        ("mentions", "all", "off"),
        in_plain=False,
    ),
    Setting(
        "joins",
        "Joins and leaves",
        "auto: of everyone in small rooms, else of people who wrote recently",
        ("auto", "all", "none"),
        in_plain=False,
    ),
    Setting("reactions", "Reactions", "Whether reactions to posts are shown", ON_OFF, in_plain=False),
    Setting("folding", "Fold long posts", "Whether long posts are shortened", ON_OFF, in_plain=False),
    Setting("markdown", "Markdown", "Whether markup is shown as what it means", ON_OFF, in_plain=False),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


class SettingError(ValueError):
    """There is no such setting, or it does not have this value; the text says what to use."""


class Fixed(msgspec.Struct, frozen=True):
    """A value from outside of the chat, and where it is from, such as `config.toml`."""

    value: str
    source: str


def check_setting(name: str, value: str, themes: Sequence[str] = ()) -> tuple[str, str]:
    """A name and a value as spelled in the table. Raises SettingError."""
    name, value = name.casefold().replace("_", "-"), value.casefold()
    setting = BY_NAME.get(name)
    if setting is None:
        close = get_close_matches(name, BY_NAME, n=1)
        advice = f"Did you mean {close[0]}?" if close else f"Available: {', '.join(BY_NAME)}."
        raise SettingError(f"No such setting: {name}. {advice}")
    values = setting.values or tuple(themes)
    if value not in values:
        if not setting.values:
            close = get_close_matches(value, values, n=1)
            advice = f"Did you mean {close[0]}?" if close else "/theme lists the themes."
            raise SettingError(f"No such theme: {value}. {advice}")
        raise SettingError(f"Invalid value for {name}: '{value}'. Use {_listed(values)}.")
    return name, value


class Settings(msgspec.Struct):
    """The values in effect.

    Args:
        chosen: Saved choices of the user, by name.
        fixed: Values from outside, by name.
        themes: Names of the available themes; empty without a screen.
    """

    chosen: Mapping[str, str] = msgspec.field(default_factory=dict)
    fixed: Mapping[str, Fixed] = msgspec.field(default_factory=dict)
    themes: Sequence[str] = ()
    _values: dict[str, str] = msgspec.field(default_factory=dict)
    _watchers: list[Callable[[str], None]] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        for name, setting in BY_NAME.items():
            saved = self.chosen.get(name, "")
            if saved and saved in self.values_of(name):
                self._values[name] = saved
            elif setting.values:
                self._values[name] = setting.values[0]
        self._values |= {name: fixed.value for name, fixed in self.fixed.items()}

    def __getitem__(self, name: str) -> str:
        """The value of a setting; empty for a theme that is not known yet."""
        return self._values.get(name, "")

    def is_on(self, name: str) -> bool:
        return self[name] != "off"

    def values_of(self, name: str) -> Sequence[str]:
        return BY_NAME[name].values or self.themes

    def set(self, name: str, value: str) -> bool:
        """Change a setting; false if it has this value already. Raises SettingError."""
        name, value = check_setting(name, value, self.themes)
        if self[name] == value:
            return False
        self._values[name] = value
        for watcher in tuple(self._watchers):
            watcher(name)
        return True

    def step(self, name: str, step: int) -> None:
        """Change a setting to its next or previous value, cyclically."""
        values = list(self.values_of(name))
        if values:
            at = values.index(self[name]) if self[name] in values else -1
            self.set(name, values[(at + step) % len(values)])

    def watch(self, watcher: Callable[[str], None]) -> Callable[[], None]:
        """Call `watcher` with the name of each setting that has changed; returns how to stop that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher) if watcher in self._watchers else None

    def note(self, name: str) -> str:
        """Where the value of a setting is from, if that is not the chat; empty otherwise."""
        fixed = self.fixed.get(name)
        if fixed is None:
            return ""
        if fixed.value == self[name]:
            return f"Fixed by {fixed.source}. A change lasts until you quit."
        return f"{fixed.source} says {fixed.value}. This lasts until you quit."

    def lines(self, *, plain: bool) -> list[str]:
        """A description of all settings, one per line, for a screen or without one."""
        rows = [setting for setting in SETTINGS if setting.in_plain or not plain]
        return [f"{setting.name} = {self[setting.name]}  ({self._described(setting)})" for setting in rows]

    def _described(self, setting: Setting) -> str:
        fixed = self.fixed.get(setting.name)
        where = f"; fixed by {fixed.source}" if fixed is not None else ""
        return f"{_listed(setting.values) if setting.values else '/theme lists them'}{where}"


def _listed(values: Sequence[str]) -> str:
    return f"{', '.join(values[:-1])} or {values[-1]}" if len(values) > 1 else "".join(values)
