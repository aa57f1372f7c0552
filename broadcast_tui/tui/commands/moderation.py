"""Commands for admins: kick, ban, mute. The server checks permissions."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from broadcast_tui.core.clock import is_mistyped_duration, parse_duration
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.commands.context import CommandHandler


class Target(msgspec.Struct, frozen=True):
    """The argument of a moderation command: a name or address, a duration (0: permanent) and a reason."""

    who: str
    seconds: float
    reason: str
    fault: str = ""
    """Why it must not be used; empty if it is valid."""


class ModerationCommands(CommandHandler):
    """Handlers of moderation commands. The server's reply arrives as a protocol event."""

    def kick(self, argument: str) -> bool:
        target = self._target(argument)
        self._client.kick(target.who, target.reason)
        return True

    def ban(self, argument: str) -> bool:
        target = self._target(argument, timed=True)
        if target.fault:
            return self.fail(target.fault)
        self._client.ban(target.who, target.seconds, target.reason)
        return True

    def unban(self, argument: str) -> bool:
        self._client.unban(self._target(argument).who)
        return True

    def mute_user(self, argument: str) -> bool:
        target = self._target(argument, timed=True)
        if target.fault:
            return self.fail(target.fault)
        self._client.mute(target.who, target.seconds, target.reason)
        return True

    def unmute_user(self, argument: str) -> bool:
        self._client.unmute(self._target(argument).who)
        return True

    def bans(self, _argument: str) -> bool:
        self._client.bans()
        return True

    def _target(self, argument: str, *, timed: bool = False) -> Target:
        return parse_target(argument, self._state.rooms.shown.people() or (), timed=timed)


def parse_target(argument: str, people: Iterable[str], *, timed: bool) -> Target:
    """Split `name [1h] [reason]` into its parts.

    Args:
        argument: The argument as typed, not empty. A name that contains spaces must be one of `people` or be
            in double quotes.
        people: The names of the room's members.
        timed: Whether a duration may follow the name: `30s`, `10m`, `1h`, `7d`, `2w`.
    """
    who, rest = _split_name(argument.strip(), people)
    seconds = 0.0
    if timed:
        word, _, after = rest.partition(" ")
        if (duration_s := parse_duration(word)) is not None:
            seconds, rest = duration_s, after
        elif is_mistyped_duration(word):
            # As a reason, it would make the action permanent.
            fault = f"Invalid duration: '{visible_line(word)}'. Use 30s, 10m, 2h or 1d."
            return Target(who.removeprefix("@"), 0.0, "", fault)
    return Target(who.removeprefix("@"), seconds, rest.strip())


def _split_name(text: str, people: Iterable[str]) -> tuple[str, str]:
    if text.startswith('"') and (end := text.find('"', 1)) > 0:
        return text[1:end], text[end + 1 :].strip()
    folded = text.removeprefix("@").casefold()
    start = len(text) - len(folded)
    for name in sorted(people, key=len, reverse=True):
        rest = folded[len(name) :]
        if folded.startswith(name.casefold()) and (not rest or rest[0] == " "):
            return name, text[start + len(name) :].strip()
    first, _, rest = text.partition(" ")
    return first, rest.strip()
