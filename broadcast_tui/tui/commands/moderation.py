"""Carry out the commands of admins; whether one is an admin, the server decides."""

from __future__ import annotations

from collections.abc import Iterable

from broadcast_tui.client.requests import ChatClient
from broadcast_tui.tui.commands.registry import Verb
from broadcast_tui.tui.model.moderation import parse_target


def moderate(client: ChatClient, verb: Verb, argument: str, people: Iterable[str]) -> None:
    """Ask the server for what `/verb argument` means; the answer comes as Moderated or Noticed."""
    timed = verb in (Verb.BAN, Verb.MUTE_USER)
    target = parse_target(argument, people, timed=timed)
    match verb:
        case Verb.KICK:
            client.kick(target.who, target.reason)
        case Verb.BAN:
            client.ban(target.who, target.seconds, target.reason)
        case Verb.UNBAN:
            client.unban(target.who)
        case Verb.MUTE_USER:
            client.mute(target.who, target.seconds, target.reason)
        case Verb.UNMUTE_USER:
            client.unmute(target.who)
        case _:
            raise AssertionError(f"{verb} is no command of admins")
