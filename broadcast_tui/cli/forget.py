"""`broadcast-tui forget`: delete the saved token and certificate fingerprint of a server."""

from __future__ import annotations

import sys

from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.client.address import parse_address
from broadcast_tui.client.storage.credentials import Credentials


def forget(url: str, /) -> int:
    """Delete the saved token and certificate fingerprint of a server.

    Parameters
    ----------
    url
        Address of the server, such as wss://chat.example.org:8765.
    """
    server = parse_address(url).url
    was_saved, problem = Credentials().forget(server)
    if problem:
        raise UsageError(problem)
    message = f"Deleted the credentials of {server}." if was_saved else f"No credentials saved for {server}."
    print(message, file=sys.stderr)
    return ExitCode.OK
