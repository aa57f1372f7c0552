"""Answers and notices of the server that a session hands on as they are."""

from __future__ import annotations

from typing import assert_never

from broadcast_tui.core import events
from broadcast_tui.core import updates as up
from broadcast_tui.core.instant import Instant
from broadcast_tui.core.message import parse_time, post_of

Answer = (
    events.Presence
    | events.Found
    | events.RoomList
    | events.Topic
    | events.Away
    | events.Typing
    | events.Moderated
    | events.BanList
)


def answer_of(event: Answer, when: Instant) -> up.Update:
    """The update that says what `event` says."""
    match event:
        case events.Presence():
            names = tuple(member.name for member in event.members)
            away = tuple((member.name, member.away) for member in event.members if member.away is not None)
            return up.MembersListed(event.room, event.ref, event.online, names, event.truncated, away)
        case events.Found():
            posts = tuple(post_of(item, when) for item in event.items)
            return up.SearchFound(event.room, event.ref, posts, event.more)
        case events.RoomList():
            rooms = tuple((view.room, view.online, view.topic) for view in event.rooms)
            return up.RoomsListed(event.ref, rooms, event.truncated)
        case events.Topic():
            return up.TopicChanged(event.room, event.topic, event.name)
        case events.Away():
            return up.AwayChanged(event.name, event.away, event.text)
        case events.Typing():
            return up.TypingSeen(event.room, event.name)
        case events.Moderated():
            ends = parse_time(event.until, when) if event.until else None
            return up.Moderated(event.ref, event.action, event.who, event.connections, event.addresses, ends)
        case events.BanList():
            bans = tuple(
                up.Ban(
                    view.action,
                    view.who,
                    view.by,
                    view.reason,
                    parse_time(view.until, when) if view.until else None,
                )
                for view in event.items
            )
            return up.BansListed(event.ref, bans, event.truncated)
        case _:
            assert_never(event)


def told_by(event: events.System, when: Instant) -> up.Update:
    """The update that says what a notice says: who came or went, or its text."""
    if event.event not in ("join", "leave", "rename", "online") or event.online is None:
        return up.Noticed(event.message, event.event == "error", event.code)
    names = event.names or ((event.name,) if event.name else ())
    at = parse_time(event.timestamp, when)
    return up.PresenceChanged(event.room, event.event, names, event.online, event.message, at, event.reason)
