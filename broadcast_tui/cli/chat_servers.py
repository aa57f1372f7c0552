"""Which servers a chat connects to: those of the command line, or those of the last chat with several."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from broadcast_tui.cli.credentials import prompt_address
from broadcast_tui.cli.errors import UsageError
from broadcast_tui.client.address import DEFAULT_HOST, DEFAULT_PORT, Address, parse_address
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.names import check_room


def chat_addresses(
    urls: tuple[str, ...], host: str | None, port: int | None, room: str | None, *, restore: bool
) -> list[Address]:
    """The addresses to connect to, at least one. The first one is displayed, with `room` if that is given.

    Args:
        urls: Addresses as typed; `-` prompts for one.
        restore: Whether to connect to the servers of the last chat with several if no URL is given. With a
            host or port, they must include that server.

    Raises:
        UsageError: The arguments contradict each other, or there is no address.
        BroadcastError: An address or the room is malformed.
    """
    if urls and (host is not None or port is not None):
        raise UsageError("Use either a URL or --host and --port, not both.")
    chosen_room = check_room(room) if room is not None else None
    if urls:
        addresses = [parse_address(prompt_address(url)) for url in urls]
    else:
        default = Address(host or DEFAULT_HOST, DEFAULT_PORT if port is None else port)
        saved = _saved_addresses() if restore else []
        is_chosen = host is not None or port is not None
        is_saved = any(address.url == default.url for address in saved)
        addresses = saved if saved and (is_saved or not is_chosen) else [default]
    if not all(address.port for address in addresses):
        raise UsageError("Cannot connect to port 0. Use the port that the server printed.")
    by_url: dict[str, Address] = {}
    for address in addresses:
        by_url.setdefault(address.url, address)
    addresses = list(by_url.values())
    return [replace(addresses[0], room=chosen_room or addresses[0].room), *addresses[1:]]


def _saved_addresses() -> list[Address]:
    """The servers of the last chat with several; unusable ones are skipped."""
    from broadcast_tui.client.storage.preferences import Preferences

    addresses = []
    for url in Preferences.load().servers:
        with suppress(BroadcastError):
            addresses.append(parse_address(url))
    return addresses
