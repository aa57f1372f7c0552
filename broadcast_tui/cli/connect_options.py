"""Options of `chat`, `send`, `tail` and `ask` that secure the connection to the server."""

from __future__ import annotations

from dataclasses import dataclass, field

from broadcast_tui.cli.credentials import security_for
from broadcast_tui.client import SecurityOptions
from broadcast_tui.client.address import Address


@dataclass(frozen=True, kw_only=True)
class ConnectOptions:
    """The token to send, and when to trust the server."""

    token_file: str = field(
        default="",
        metadata={
            "help": "File with your token, readable only by you "
            "[default: BROADCAST_TUI_TOKEN, or the saved token]."
        },
    )
    ca: str = field(
        default="",
        metadata={"help": "PEM file of certificate authorities to trust [default: those of the system]."},
    )
    insecure_token: bool = field(
        default=False,
        metadata={"help": "Allow sending the token to other machines over unencrypted connections."},
    )

    def security(self, address: Address, *, saved_token: bool = True) -> SecurityOptions:
        """Security options for a connection to `address`; see `security_for`. Raises UsageError."""
        return security_for(address, self.token_file, self.ca, self.insecure_token, saved_token=saved_token)
