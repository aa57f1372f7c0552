"""`broadcast-tui token`: create, list and revoke tokens. A token is shown only once, when created."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import App, Parameter

from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.option_types import ServerPort
from broadcast_tui.cli.security import tokens_path
from broadcast_tui.cli.server_info import ServerInfo, check_host, data_path, find_server
from broadcast_tui.client.address import Address
from broadcast_tui.core.clock import parse_duration
from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.names import name_key
from broadcast_tui.redis_settings import is_redis, read_location
from broadcast_tui.server.secret_store import SecretEntry
from broadcast_tui.server.token_store import TokenEntry, Tokens, TokenStore

app = App(name="token", help="Create, list and revoke access tokens.")

TokensFile = Annotated[str, Parameter(name="--tokens")]


@app.command
def create(
    name: str,
    /,
    *,
    role: Role | None = None,
    expires: str = "",
    host: str = "",
    port: ServerPort | None = None,
    tokens: TokensFile = "",
    history: str = "",
) -> int:
    """Create a token for a name, which is then reserved for its holder. The token is shown only once.

    Parameters
    ----------
    name
        Name of the token holder.
    role
        Permissions: read (reader), also post (member), also moderate (admin) [default: member].
    expires
        Validity, such as 12h, 30d or 8w [default: until it is revoked].
    host
        Host name or address at which the holder reaches this machine [default: where the server listens].
    port
        Port of a server on this machine, to create the token for it [default: use --tokens].
    tokens
        File that stores the tokens [default: one in your data directory].
    history
        Use the tokens of the servers with this --history, such as redis://HOST:PORT, instead of the file.
    """
    host = check_host(host)
    tokens = _tokens_of(port, tokens, history)
    addresses = _addresses(host, port, tokens, history)
    store = open_token_store(tokens, history)
    token, entry = create_token(store, name, role, expires)
    print(token)
    _print_note(f"Token of {entry.name} ({entry.role}, {validity(entry)}). It is not shown again.")
    for address in addresses:
        # Without the token: notes on standard error end up in logs.
        _print_note(f"{entry.name} enters it when asked by: {address.command}")
    return ExitCode.OK


def _tokens_of(port: int | None, tokens: str, history: str) -> str:
    """Where the tokens are: as given, or those of the server on the given port; empty for the default."""
    if tokens or history or port is None:
        return tokens
    return find_server(data_path(), port).tokens


def _addresses(host: str, port: int | None, tokens: str, history: str) -> list[Address]:
    """The address of the server on the given port, or of those with these tokens, at the given host.

    The latter are those that run, or the one last started. Of several that run, those that ask for a token,
    if there are any.

    Raises UsageError if a host or port is given, and no such server has these tokens.
    """
    place = "" if history or is_redis(tokens) else str(tokens_path(tokens))
    if port is not None:
        info = find_server(data_path(), port)
        if place and info.tokens != place:
            raise UsageError(f"--tokens: The server on port {port} has its tokens in {info.tokens}.")
        return [info.address(host=host)]
    infos = [info for info in ServerInfo.known(data_path()) if info.tokens == place]
    if host and not infos:
        raise UsageError("--host: No server with these tokens was started on this machine. Use --port.")
    running = [info for info in infos if info.is_running()] or infos[:1]
    asking = [info for info in running if info.needs_token] or running
    return [info.address(host=host) for info in asking]


@app.command(name="list")
def list_tokens(*, port: ServerPort | None = None, tokens: TokensFile = "", history: str = "") -> int:
    """List the tokens: id, role, validity, name.

    Parameters
    ----------
    port
        Port of a server on this machine, to use its tokens [default: use --tokens].
    tokens
        File that stores the tokens [default: one in your data directory].
    history
        Use the tokens of the servers with this --history, such as redis://HOST:PORT, instead of the file.
    """
    store = open_token_store(_tokens_of(port, tokens, history), history)
    if store.entries:
        _print_note(f"{'ID':<8}  {'ROLE':<6}  {'VALID':<26}  NAME")
    for entry in store.entries:
        print(f"{entry.id}  {entry.role:<6}  {validity(entry):<26}  {entry.name}")
    if not store.entries:
        _print_note("No tokens. Create one with 'broadcast-tui token create NAME'.")
    return ExitCode.OK


@app.command
def revoke(
    name: str, /, *, port: ServerPort | None = None, tokens: TokensFile = "", history: str = ""
) -> int:
    """Revoke a token. Its connections are closed within 5 seconds.

    Parameters
    ----------
    name
        Id of a token, or a name to revoke all of its tokens.
    port
        Port of a server on this machine, to use its tokens [default: use --tokens].
    tokens
        File that stores the tokens [default: one in your data directory].
    history
        Use the tokens of the servers with this --history, such as redis://HOST:PORT, instead of the file.
    """
    revoked = open_token_store(_tokens_of(port, tokens, history), history).revoke(name)
    if not revoked:
        raise UsageError(f"No token has the id or name {name!r}. List them with 'broadcast-tui token list'.")
    for entry in revoked:
        print(f"Revoked {entry.id} of {entry.name}.")
    return ExitCode.OK


def open_token_store(
    tokens: str, history: str = "", *, report: Callable[[str], None] | None = None
) -> Tokens:
    """Load the tokens in the file given by `--tokens`, or those of the servers with a shared history.

    Warnings go to `report`, by default to standard error.

    Raises UsageError, LocationError and TokenFileError.
    """
    if is_redis(tokens):
        history = history or tokens
    store = _open_shared(history) if history else TokenStore(tokens_path(tokens))
    store.load()
    if warning := store.warning():
        (report or _print_note)(f"Warning: {warning}")
    return store


def _open_shared(history: str) -> Tokens:
    if not is_redis(history):
        raise UsageError("--history: Only servers with redis:// share tokens. Use --tokens for a file.")
    from broadcast_tui.server.cluster.tokens import RedisTokenStore

    return RedisTokenStore(read_location(history))


def create_token(
    store: Tokens,
    name: str,
    role: Role | None,
    expires: str,
    *,
    report: Callable[[str], None] | None = None,
) -> tuple[str, TokenEntry]:
    """Create a token, by default for a member; report, by default print, a note if the name has others.

    Raises:
        UsageError: The name or validity is invalid, or the role is missing and ambiguous.
        TokenFileError: The file cannot be written.
    """
    others = [entry for entry in store.entries if name_key(entry.name) == name_key(name)]
    if role is None:
        role = Role.MEMBER
        if others and all(entry.role is not role for entry in others):
            existing = others[-1].role
            raise UsageError(f"{name} has a token as {existing}. Use --role {existing} or --role {role}.")
    try:
        created = store.create(name, role, expiry(expires, datetime.now(UTC)))
    except InvalidNameError as error:
        raise UsageError(error.text) from error
    if others:
        (report or _print_note)(
            f"{name} now has {len(others) + 1} tokens. List them with 'broadcast-tui token list', "
            "revoke one with 'broadcast-tui token revoke ID'."
        )
    return created


def expiry(text: str, now: datetime) -> datetime | None:
    """The expiry time of a token created `now`; None if it does not expire. Raises UsageError."""
    if not text:
        return None
    seconds = parse_duration(text)
    if not seconds:
        raise UsageError(f"--expires: {text!r} is not a duration. Use 90m, 12h, 30d or 8w.")
    try:
        return (now + timedelta(seconds=seconds)).replace(microsecond=0)
    except OverflowError:
        raise UsageError(f"--expires: {text!r} is too long. Omit it for no expiry.") from None


def validity(entry: SecretEntry) -> str:
    """How long a token or hook is valid."""
    if entry.expires is None:
        return "until revoked"
    word = "expired" if entry.has_expired(datetime.now(UTC)) else "until"
    return f"{word} {entry.expires:%Y-%m-%d %H:%M} UTC"


def _print_note(text: str) -> None:
    print(text, file=sys.stderr)
