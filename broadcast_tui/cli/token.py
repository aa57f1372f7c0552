"""`broadcast-tui token`: who may come in. A token is shown once, when it is made."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import App, Parameter

from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.security import tokens_path
from broadcast_tui.core.clock import parse_duration
from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.names import name_key
from broadcast_tui.server.token_store import TokenEntry, TokenStore

app = App(name="token", help="Create, list and revoke the tokens that let people in.")

Tokens = Annotated[str, Parameter(name="--tokens")]


@app.command
def create(name: str, /, *, role: Role | None = None, expires: str = "", tokens: Tokens = "") -> int:
    """Make a token for a name, which nobody else can have from then on. It is shown this once.

    Parameters
    ----------
    name
        The name its holder goes by.
    role
        What the holder may do: read (reader), post too (member), or keep order as well (admin)
        [default: member].
    expires
        How long it is valid, such as 12h, 30d or 8w [default: until it is revoked].
    tokens
        File the tokens are kept in [default: one in your data directory].
    """
    book = open_book(tokens)
    token, entry = make_token(book, name, role, expires)
    print(token)
    _narrate(f"This is the token of {entry.name} ({entry.role}, {_validity(entry)}); it is not shown again.")
    return ExitCode.OK


@app.command(name="list")
def list_tokens(*, tokens: Tokens = "") -> int:
    """List the tokens: id, role, validity, name.

    Parameters
    ----------
    tokens
        File the tokens are kept in [default: one in your data directory].
    """
    book = open_book(tokens)
    if book.entries:
        _narrate(f"{'ID':<8}  {'ROLE':<6}  {'VALID':<26}  NAME")
    for entry in book.entries:
        print(f"{entry.id}  {entry.role:<6}  {_validity(entry):<26}  {entry.name}")
    if not book.entries:
        _narrate("There are no tokens; make one with 'broadcast-tui token create NAME'.")
    return ExitCode.OK


@app.command
def revoke(name: str, /, *, tokens: Tokens = "") -> int:
    """Take a token back. Whoever is in with it is out within 5 seconds.

    Parameters
    ----------
    name
        The id of a token, or a name for all tokens of that name.
    tokens
        File the tokens are kept in [default: one in your data directory].
    """
    gone = open_book(tokens).revoke(name)
    if not gone:
        raise UsageError(f"There is no token {name!r}; 'broadcast-tui token list' lists them.")
    for entry in gone:
        print(f"Revoked {entry.id} of {entry.name}.")
    return ExitCode.OK


def open_book(tokens: str) -> TokenStore:
    """The tokens in a file given by `--tokens`. Raises TokenFileError."""
    book = TokenStore(tokens_path(tokens))
    book.load()
    if warning := book.warning():
        _narrate(f"Warning: {warning}")
    return book


def make_token(book: TokenStore, name: str, role: Role | None, expires: str) -> tuple[str, TokenEntry]:
    """Make a token, for a member if no role is given, and say so if the name has others.

    Raises:
        UsageError: a name or a time that will not do, or no role for a name that has another one.
        TokenFileError: the file cannot be written.
    """
    others = [entry for entry in book.entries if name_key(entry.name) == name_key(name)]
    if role is None:
        role = Role.MEMBER
        if others and all(entry.role is not role for entry in others):
            had = others[-1].role
            raise UsageError(f"{name} has a token as {had}; say --role {had} or --role {role} for this one.")
    try:
        made = book.create(name, role, expiry(expires, datetime.now(UTC)))
    except InvalidNameError as refused:
        raise UsageError(refused.text) from refused
    if others:
        _narrate(
            f"{name} has {len(others) + 1} tokens now; 'broadcast-tui token list' shows their ids, "
            "'broadcast-tui token revoke ID' takes one back."
        )
    return made


def expiry(text: str, now: datetime) -> datetime | None:
    """When a token made `now` ends; None for never. Raises UsageError."""
    if not text:
        return None
    seconds = parse_duration(text)
    if not seconds:
        raise UsageError(f"--expires: {text!r} is no time; write it like 90m, 12h, 30d or 8w.")
    try:
        return (now + timedelta(seconds=seconds)).replace(microsecond=0)
    except OverflowError:
        raise UsageError(f"--expires: {text!r} is too long; leave it out for a token without end.") from None


def _validity(entry: TokenEntry) -> str:
    if entry.expires is None:
        return "until revoked"
    word = "expired" if entry.has_expired(datetime.now(UTC)) else "until"
    return f"{word} {entry.expires:%Y-%m-%d %H:%M} UTC"


def _narrate(text: str) -> None:
    print(text, file=sys.stderr)
