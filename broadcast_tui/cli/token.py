"""`broadcast-tui token`: create, list and revoke tokens. A token is shown only once, when created."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import App, Parameter

from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.security import data_path, tokens_path
from broadcast_tui.cli.server_info import ServerInfo
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
    name: str, /, *, role: Role | None = None, expires: str = "", tokens: TokensFile = "", history: str = ""
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
    tokens
        File that stores the tokens [default: one in your data directory].
    history
        Use the tokens of the servers with this --history, such as redis://HOST:PORT, instead of the file.
    """
    store = open_token_store(tokens, history)
    token, entry = create_token(store, name, role, expires)
    print(token)
    _print_note(f"Token of {entry.name} ({entry.role}, {validity(entry)}). It is not shown again.")
    for command in _join_commands(tokens, history):
        # Without the token: notes on standard error end up in logs.
        _print_note(f"{entry.name} enters it when asked by: {command}")
    return ExitCode.OK


def _join_commands(tokens: str, history: str) -> list[str]:
    """The commands that join the servers with these tokens: those that run, or the one last started.

    Of several that run, those that ask for a token, if there are any.
    """
    place = "" if history else str(tokens_path(tokens))
    infos = [info for info in ServerInfo.known(data_path()) if info.tokens == place]
    running = [info for info in infos if info.is_running()] or infos[:1]
    asking = [info for info in running if info.needs_token] or running
    return [info.address().command for info in asking]


@app.command(name="list")
def list_tokens(*, tokens: TokensFile = "", history: str = "") -> int:
    """List the tokens: id, role, validity, name.

    Parameters
    ----------
    tokens
        File that stores the tokens [default: one in your data directory].
    history
        Use the tokens of the servers with this --history, such as redis://HOST:PORT, instead of the file.
    """
    store = open_token_store(tokens, history)
    if store.entries:
        _print_note(f"{'ID':<8}  {'ROLE':<6}  {'VALID':<26}  NAME")
    for entry in store.entries:
        print(f"{entry.id}  {entry.role:<6}  {validity(entry):<26}  {entry.name}")
    if not store.entries:
        _print_note("No tokens. Create one with 'broadcast-tui token create NAME'.")
    return ExitCode.OK


@app.command
def revoke(name: str, /, *, tokens: TokensFile = "", history: str = "") -> int:
    """Revoke a token. Its connections are closed within 5 seconds.

    Parameters
    ----------
    name
        Id of a token, or a name to revoke all of its tokens.
    tokens
        File that stores the tokens [default: one in your data directory].
    history
        Use the tokens of the servers with this --history, such as redis://HOST:PORT, instead of the file.
    """
    revoked = open_token_store(tokens, history).revoke(name)
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
