"""Invites to rooms: links for browsers and terminals, and the interface that makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from broadcast_tui.client.address import parse_address
from broadcast_tui.client.storage.credentials import Credentials
from broadcast_tui.core.errors import BroadcastError


class InviteError(BroadcastError):
    """There is no such invite; the text says who can make it."""


class Invite(msgspec.Struct, frozen=True):
    """A link, and a note for the person who shows it to others, which may be empty."""

    link: str
    note: str = ""


InviteMaker = Callable[[str, str, str], Invite]
"""Makes an invite to a server, by its WebSocket URL, and a room, with a new token for a name or without one.

It may block. Raises BroadcastError.
"""


LOCAL_ONLY = "Only this machine can join."
"""Note for a server that other machines cannot reach."""


def link_to(url: str, room: str, name: str = "") -> Invite:
    """An invite by the address that this client uses itself. Raises InviteError if it needs a token."""
    if name:
        raise InviteError("This chat cannot create tokens. Ask the operator of the server.")
    address = replace(parse_address(url), room=room, pin=Credentials().pin(url))
    return Invite(address.link, LOCAL_ONLY if address.is_local else "")


def join_command(invite: Invite) -> str:
    """The shell command that joins by an invite; empty if it has no link."""
    return parse_address(invite.link).command if invite.link else ""


def invite_lines(make: InviteMaker, url: str, room: str, name: str) -> str:
    """An invite as lines of text, or why there is none."""
    try:
        invite = make(url, room, name)
    except BroadcastError as error:
        return str(error)
    return "\n".join(filter(None, (invite.link, invite.note)))
