"""Lines about moderation: completed actions and the ban list."""

from __future__ import annotations

from datetime import datetime

from broadcast_tui.core.clock import format_duration
from broadcast_tui.core.session.updates import Ban, BansListed, Moderated
from broadcast_tui.core.text import visible_line

_ACTIONS = {"kick": "Kicked", "ban": "Banned", "mute": "Muted", "unban": "Unbanned", "unmute": "Unmuted"}


def action_line(update: Moderated, at: datetime) -> str:
    """The line about a completed action, such as `Banned bob for 10 minutes (not connected now).`"""
    left_s = None if update.until is None else (update.until - at).total_seconds()
    duration = "" if left_s is None else f" for {format_duration(left_s, round_up=True)}"
    notes = list(update.addresses)
    if update.action in ("ban", "mute") and not update.connections:
        notes.append("not connected now")
    note = f" ({', '.join(notes)})" if notes else ""
    return visible_line(f"{_ACTIONS.get(update.action, update.action)} {update.who}{duration}{note}.")


def ban_lines(update: BansListed) -> list[str]:
    """One line for each ban and mute, in the server's order; times are local."""
    if not update.bans:
        return ["No bans or mutes."]
    lines = [visible_line(_ban_line(ban)) for ban in update.bans]
    return ["… and older ones", *lines] if update.truncated else lines


def _ban_line(ban: Ban) -> str:
    action = "muted" if ban.action == "mute" else "banned"
    end = f"until {ban.until.astimezone():%Y-%m-%d %H:%M}" if ban.until is not None else "permanently"
    return f"{ban.who}: {action} {end} by {ban.by}{': ' + ban.reason if ban.reason else ''}"
