"""`broadcast-tui forget`: drop the token and the fingerprint that are kept for a server."""

from __future__ import annotations

import sys

from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.client.address import parse_address
from broadcast_tui.client.storage.credentials import Credentials


def forget(url: str, /) -> int:
    """Forget the token and the fingerprint of the certificate that are kept for a server.

    Parameters
    ----------
    url
        The server, such as wss://chat.example.org:8765.
    """
    server = parse_address(url).url
    was_kept, problem = Credentials().forget(server)
    if problem:
        raise UsageError(problem)
    said = f"Nothing is kept for {server} any more." if was_kept else f"Nothing was kept for {server}."
    print(said, file=sys.stderr)
    return ExitCode.OK
