"""Commands about users: members, names, away status and the ignore list."""

from __future__ import annotations

from datetime import datetime
from time import monotonic

from broadcast_tui.core.clock import format_duration, is_mistyped_duration
from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.names import check_name, name_key
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.commands.context import CommandHandler
from broadcast_tui.tui.model.ignore_list import parse_ignore_duration
from broadcast_tui.tui.model.transcript.navigation import posts_by
from broadcast_tui.tui.model.transcript.presence_summary import joined_names


class PeopleCommands(CommandHandler):
    """Handlers of commands about users."""

    def who(self, _argument: str) -> bool:
        room = self._state.rooms.shown
        room.who_ref = self._client.list_members(room.name)
        return True

    def nick(self, name: str) -> bool:
        try:
            name = check_name(name)
        except InvalidNameError as error:
            return self.fail(error.text)
        self._client.rename(name)
        if not self._state.is_online:
            return self.print(f"Your name will change to {name} when you are back online.")
        return True

    def whois(self, argument: str) -> bool:
        state = self._state
        typed = _clean_name(argument)
        name = self._known_name(typed)
        if name is None:
            return self.print(f"No such user in your rooms: {visible_line(typed)}")
        facts = ["this is you"] if name == state.name else []
        rooms = [room.label for room in state.rooms.with_member(name) if not room.is_direct]
        facts.append(f"in {joined_names(rooms, len(rooms))}" if rooms else "not in any of your rooms now")
        if (reason := state.away.reason(name)) is not None:
            facts.append(f"away: {reason}" if reason else "away")
        count, last = posts_by(state.rooms.shown.transcript, name)
        if last is not None:
            at = datetime.fromtimestamp(last)
            facts.append(f"{count:,} loaded post{'s' * (count != 1)} here, the last on {at:%d %B at %H:%M}")
        if state.rooms.ignored.has(name):
            facts.append("ignored")
        return self.print(f"{name}: {', '.join(facts)}")

    def away(self, reason: str) -> bool:
        if not reason and self._state.own_away is not None:
            return self.back("")
        self._client.set_away(True, reason)
        return True

    def back(self, _argument: str) -> bool:
        if self._state.own_away is None:
            return self.print("You are not away.")
        self._client.set_away(False)
        return True

    def ignore(self, argument: str) -> bool:
        state, now = self._state, monotonic()
        if not argument:
            lines = state.rooms.ignored.lines(now)
            if not lines:
                return self.print("Your ignore list is empty.")
            return self.print("Ignored users:", *(f"  {line}" for line in lines))
        *before, last = argument.split()
        duration_s = parse_ignore_duration(last) if before else None
        name = _clean_name(" ".join(before) if duration_s is not None else argument)
        if not name_key(name):
            return self.fail("Specify a name: /ignore bob, or /ignore bob 10m")
        if name_key(name) == name_key(state.name):
            return self.fail("You cannot ignore yourself.")
        known = self._known_name(name)
        is_other = known is None and before and self._known_name(_clean_name(" ".join(before))) is not None
        if is_other or (known is None and before and is_mistyped_duration(last)):
            return self.fail(f"Invalid duration: '{visible_line(last)}'. Use 30s, 10m, 2h or 1d.")
        state.rooms.ignore(name, None if duration_s is None else now + duration_s)
        self._context.save_ignore_list()
        duration = "" if duration_s is None else f" for {format_duration(duration_s)}"
        unknown = " (no such user seen yet)" if known is None else ""
        return self.print(f"Ignoring {name}{duration}{unknown}. Undo with /unignore {name}")

    def unignore(self, argument: str) -> bool:
        name = _clean_name(argument)
        if not self._state.rooms.unignore(name):
            return self.fail(f"{name} is not ignored. /ignore lists ignored users.")
        self._context.save_ignore_list()
        return self.print(f"No longer ignoring {name}.")

    def _known_name(self, typed: str) -> str | None:
        """The name, in its original case, of a user who is or was in one of our rooms."""
        rooms = self._state.rooms.joined.values()
        known = {name for room in rooms for name in (*room.members, *room.transcript.senders)}
        return next((name for name in sorted(known) if name_key(name) == name_key(typed)), None)


def _clean_name(typed: str) -> str:
    """A name without what completion adds (`@` before, `:` after), safe to draw."""
    return visible_line(typed.strip().removeprefix("@").rstrip(":,")).strip()
