"""Commands about people: who is here, what is known of them, being away, and not reading somebody."""

from __future__ import annotations

from datetime import datetime
from time import monotonic
from typing import Literal, assert_never

from broadcast_tui.core.clock import format_duration
from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.names import check_name, name_key
from broadcast_tui.core.session.updates import ConnectionState
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.commands.context import CommandHandler
from broadcast_tui.tui.commands.registry import Verb
from broadcast_tui.tui.model.ignore_list import parse_ignore_duration
from broadcast_tui.tui.model.transcript.presence_summary import joined_names

PeopleVerb = Literal[Verb.WHO, Verb.WHOIS, Verb.NICK, Verb.AWAY, Verb.BACK, Verb.IGNORE, Verb.UNIGNORE]


class PeopleCommands(CommandHandler):
    def carry_out(self, verb: PeopleVerb, argument: str) -> bool:
        match verb:
            case Verb.WHO:
                return self._who()
            case Verb.WHOIS:
                return self._whois(_name_of(argument))
            case Verb.NICK:
                return self._nick(argument)
            case Verb.AWAY:
                return self._away(argument)
            case Verb.BACK:
                return self._back()
            case Verb.IGNORE:
                return self._ignore(argument)
            case Verb.UNIGNORE:
                return self._unignore(_name_of(argument))
            case _:
                assert_never(verb)

    def _who(self) -> bool:
        view = self._state.shown
        view.who_ref = self._client.list_members(view.name)
        return True

    def _nick(self, name: str) -> bool:
        try:
            name = check_name(name)
        except InvalidNameError as refused:
            return self.refuse(refused.text)
        self._client.rename(name)
        if self._state.connection.state is not ConnectionState.ONLINE:
            return self.tell(f"You will be {name} when you are back")
        return True

    def _whois(self, typed: str) -> bool:
        state = self._state
        name = self._known(typed)
        if name is None:
            return self.tell(f"Nobody called {visible_line(typed)} is in your rooms, as far as is known.")
        facts = ["that is you"] if name == state.name else []
        rooms = [f"#{view.name}" for view in state.here(name)]
        facts.append(f"is in {joined_names(rooms, len(rooms))}" if rooms else "is in none of your rooms now")
        if (why := state.absence.why(name)) is not None:
            facts.append(f"is away: {why}" if why else "is away")
        count, last = state.shown.transcript.spoken(name)
        if last is not None:
            at = datetime.fromtimestamp(last)
            facts.append(f"wrote {count:,} of the posts held here, the last on {at:%d %B at %H:%M}")
        if state.ignored.has(name):
            facts.append("is ignored")
        return self.tell(f"{name}: {', '.join(facts)}")

    def _known(self, typed: str) -> str | None:
        """The name, as its holder writes it, of somebody who is or was in our rooms."""
        views = self._state.rooms.values()
        known = {name for view in views for name in (*view.members, *view.transcript.senders)}
        return next((name for name in sorted(known) if name_key(name) == name_key(typed)), None)

    def _away(self, reason: str) -> bool:
        if not reason and self._state.own_away is not None:
            return self._back()
        self._client.set_away(True, reason)
        return True

    def _back(self) -> bool:
        if self._state.own_away is None:
            return self.tell("You are not away")
        self._client.set_away(False)
        return True

    def _ignore(self, argument: str) -> bool:
        state, now = self._state, monotonic()
        if not argument:
            lines = state.ignored.lines(now)
            return (
                self.tell("You ignore:", *(f"  {line}" for line in lines))
                if lines
                else self.tell("You ignore nobody")
            )
        *before, last = argument.split()
        duration_s = parse_ignore_duration(last) if before else None
        name = _name_of(" ".join(before) if duration_s is not None else argument)
        if not name_key(name):
            return self.refuse("Say whom: /ignore bob, or /ignore bob 10m for ten minutes.")
        if name_key(name) == name_key(state.name):
            return self.refuse("You cannot ignore yourself.")
        known = self._known(name)
        if known is None and before and (meant := self._known(_name_of(" ".join(before)))) is not None:
            return self.refuse(f"{visible_line(last)} is no time: /ignore {meant} 10m, with s, m, h or d.")
        state.ignore(name, None if duration_s is None else now + duration_s)
        self._desk.keep_ignored()
        how_long = "" if duration_s is None else f" for {format_duration(duration_s)}"
        nobody = " Nobody called so has been here." if known is None else ""
        return self.tell(f"You ignore {name}{how_long}.{nobody} /unignore {name} shows everything again.")

    def _unignore(self, name: str) -> bool:
        if not self._state.unignore(name):
            return self.refuse(f"You do not ignore {name}; /ignore lists whom you do.")
        self._desk.keep_ignored()
        return self.tell(f"You no longer ignore {name}")


def _name_of(typed: str) -> str:
    """A name as it may have been completed: without `@` before it or `:` after it; safe to draw."""
    return visible_line(typed.strip().removeprefix("@").rstrip(":,")).strip()
