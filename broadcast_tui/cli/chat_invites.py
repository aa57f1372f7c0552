"""Invites that a chat makes, to servers that this user has started on this machine or to others."""

from __future__ import annotations

from broadcast_tui.cli.errors import UsageError
from broadcast_tui.cli.server_info import ServerInfo, data_path
from broadcast_tui.client.address import DEFAULT_PORT, parse_address
from broadcast_tui.core.network import is_loopback_host
from broadcast_tui.tui.invites import LOCAL_ONLY, Invite, link_to


def make_invite(url: str, room: str, name: str) -> Invite:
    """An invite to a room of the server at `url`, with a new token for `name` unless that is empty.

    Tokens are created for a server that this user has started on this machine.

    Raises:
        UsageError, BroadcastError: The token cannot be created.
    """
    address = parse_address(url)
    info = ServerInfo.load(data_path(), address.port)
    if info is None or not (address.is_local or address.host == info.host):
        if name:
            raise UsageError("Create tokens on the server's machine: broadcast-tui invite --token NAME --qr")
        return link_to(url, room)
    secret, note = "", "A token is required to join. /invite NAME creates one." if info.needs_token else ""
    if name:
        # These modules load the whole server, and most invites have no token.
        from broadcast_tui.cli.token import create_token, open_token_store

        store = open_token_store(info.tokens, report=_ignore)
        secret, entry = create_token(store, name, None, "", report=_ignore)
        note = f"This link contains the token of {entry.name}. Show it to nobody else."
    if is_loopback_host(info.host):
        port_option = "" if info.port == DEFAULT_PORT else f" --port {info.port}"
        others = f"For others, restart it with: broadcast-tui serve --host 0.0.0.0{port_option}"
        note = f"{note} {LOCAL_ONLY} {others}".strip()
    return Invite(info.address(room=room, token=secret).link, note)


def _ignore(_text: str) -> None:
    """Do not print: the terminal belongs to the chat."""
