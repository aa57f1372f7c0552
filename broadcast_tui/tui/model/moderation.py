"""What an admin types about others, and what is said of it when it is done."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from broadcast_tui.core.clock import format_duration, parse_duration
from broadcast_tui.core.session.updates import Ban, BansListed, Moderated
from broadcast_tui.core.text import visible_line

_DONE = {"kick": "Kicked", "ban": "Banned", "mute": "Muted", "unban": "Unbanned", "unmute": "Unmuted"}


class Target(msgspec.Struct, frozen=True):
    """Whom it is about, for how many seconds (0: for good), and why."""

    who: str
    seconds: float
    reason: str


def parse_target(argument: str, people: Iterable[str], *, timed: bool) -> Target:
    """`nick [1h] [why]` apart.

    Args:
        argument: What was typed, not empty. A name with blanks in it is found among `people`, or stands in
            double quotes.
        timed: Whether a length of time may follow: `30s`, `10m`, `1h`, `7d`, `2w`.
    """
    who, rest = _name_first(argument.strip(), people)
    seconds = 0.0
    if timed:
        word, _, after = rest.partition(" ")
        if (duration_s := parse_duration(word)) is not None:
            seconds, rest = duration_s, after
    return Target(who.removeprefix("@"), seconds, rest.strip())


def _name_first(text: str, people: Iterable[str]) -> tuple[str, str]:
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


def done_text(done: Moderated, at: datetime) -> str:
    """The line about what was done."""
    how_long = (
        f" for {format_duration((done.until - at).total_seconds(), round_up=True)}"
        if done.until is not None
        else ""
    )
    where = f" ({', '.join(done.addresses)})" if done.addresses else ""
    nobody = done.action in ("ban", "mute") and not done.connections
    hint = " Nobody who is here now is meant." if nobody else ""
    return visible_line(f"{_DONE.get(done.action, done.action)} {done.who}{how_long}{where}.{hint}")


def ban_lines(listed: BansListed) -> list[str]:
    """A line for each ban and mute, in local time."""
    if not listed.bans:
        return ["Nobody is banned or muted."]
    lines = [visible_line(_ban_text(ban)) for ban in listed.bans]
    return ["\u2026 and older ones", *lines] if listed.truncated else lines


def _ban_text(ban: Ban) -> str:
    did = "muted" if ban.action == "mute" else "banned"
    ends = f"until {ban.until.astimezone():%Y-%m-%d %H:%M}" if ban.until is not None else "for good"
    return f"{ban.who} is {did} {ends}, by {ban.by}{': ' + ban.reason if ban.reason else ''}"
