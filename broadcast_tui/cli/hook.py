"""`broadcast-tui hook`: create, list and revoke webhooks. The address of one is shown only when created."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import App, Parameter

from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.cli.option_types import ServerPort
from broadcast_tui.cli.security import hooks_path
from broadcast_tui.cli.server_info import ServerInfo, choose_port, data_path
from broadcast_tui.cli.token import expiry, open_token_store, validity
from broadcast_tui.core.errors import InvalidNameError, RequestError
from broadcast_tui.core.protocol.handshake import websocket_url
from broadcast_tui.redis_settings import is_redis, read_location
from broadcast_tui.server.hook_store import Hooks, HookStore
from broadcast_tui.server.secret_store import check_no_lookalike, check_owner_name

app = App(name="hook", help="Create, list and revoke webhooks, at which programs post to a room.")

_WEB_ADDRESS = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")
TokensFile = Annotated[str, Parameter(name="--tokens")]


@app.command
def create(
    name: str,
    /,
    *,
    room: str,
    expires: str = "",
    url: str = "",
    port: ServerPort | None = None,
    tokens: TokensFile = "",
    history: str = "",
) -> int:
    """Create a webhook and print its address, which is shown only once. Who has it can post to the room.

    Parameters
    ----------
    name
        Name of the sender of its posts, which is then reserved for it.
    room
        The room that it posts to.
    expires
        Validity, such as 12h, 30d or 8w [default: until it is revoked].
    url
        Address at which programs reach the server, such as https://chat.example.com
        [default: that of the server on this machine].
    port
        Port of the server on this machine [default: that of the server that runs, or 8765].
    tokens
        File that stores the tokens; the hooks are stored beside it [default: that of the server].
    history
        Use the hooks of the servers with this --history, such as redis://HOST:PORT, instead of the file.
    """
    base = _base_url(url, port)
    tokens = _tokens_of(port, tokens, history)
    hooks = _open_hook_store(tokens, history)
    try:
        check_no_lookalike(check_owner_name(name), open_token_store(tokens, history).entries, "token")
        secret, entry = hooks.create(name, room, expiry(expires, datetime.now(UTC)))
    except InvalidNameError as error:
        raise UsageError(error.text) from error
    except RequestError as error:
        raise UsageError(f"--room: {error.text}") from error
    print(f"{base}/hooks/{secret}")
    _print_note(
        f"Hook {entry.id} of {entry.name} in #{entry.room} ({validity(entry)}). "
        "Its address is secret, and not shown again."
    )
    return ExitCode.OK


@app.command(name="list")
def list_hooks(*, port: ServerPort | None = None, tokens: TokensFile = "", history: str = "") -> int:
    """List the webhooks: id, validity, room, name.

    Parameters
    ----------
    port
        Port of the server on this machine [default: that of the server that runs, or 8765].
    tokens
        File that stores the tokens; the hooks are stored beside it [default: that of the server].
    history
        Use the hooks of the servers with this --history, such as redis://HOST:PORT, instead of the file.
    """
    hooks = _open_hook_store(_tokens_of(port, tokens, history), history)
    if hooks.entries:
        _print_note(f"{'ID':<8}  {'VALID':<26}  {'ROOM':<16}  NAME")
    for entry in hooks.entries:
        print(f"{entry.id}  {validity(entry):<26}  {entry.room:<16}  {entry.name}")
    if not hooks.entries:
        _print_note("No hooks. Create one with 'broadcast-tui hook create NAME --room ROOM'.")
    return ExitCode.OK


@app.command
def revoke(
    name: str, /, *, port: ServerPort | None = None, tokens: TokensFile = "", history: str = ""
) -> int:
    """Revoke a webhook. Its address stops working within 5 seconds.

    Parameters
    ----------
    name
        Id of a hook, or a name to revoke all of its hooks.
    port
        Port of the server on this machine [default: that of the server that runs, or 8765].
    tokens
        File that stores the tokens; the hooks are stored beside it [default: that of the server].
    history
        Use the hooks of the servers with this --history, such as redis://HOST:PORT, instead of the file.
    """
    revoked = _open_hook_store(_tokens_of(port, tokens, history), history).revoke(name)
    if not revoked:
        raise UsageError(f"No such hook: {name!r}. List them with 'broadcast-tui hook list'.")
    for entry in revoked:
        print(f"Revoked {entry.id} of {entry.name} in #{entry.room}.")
    return ExitCode.OK


def _tokens_of(port: int | None, tokens: str, history: str) -> str:
    """Where the tokens are: as given, or those of the server on a port; empty for the default."""
    if tokens or history:
        return tokens
    info = ServerInfo.load(data_path(), choose_port(data_path(), port))
    return info.tokens if info is not None else ""


def _open_hook_store(tokens: str, history: str) -> Hooks:
    """Load the hooks beside the tokens given by `--tokens`, or those of the servers with a shared history.

    Raises UsageError, LocationError and HookFileError.
    """
    if is_redis(tokens):
        history = history or tokens
    store = _open_shared(history) if history else HookStore(hooks_path(tokens))
    store.load()
    if warning := store.warning():
        _print_note(f"Warning: {warning}")
    return store


def _open_shared(history: str) -> Hooks:
    if not is_redis(history):
        raise UsageError("--history: Only servers with redis:// share hooks. Use --tokens for a file.")
    from broadcast_tui.server.cluster.hooks import RedisHookStore

    return RedisHookStore(read_location(history))


def _base_url(url: str, port: int | None) -> str:
    """The address of the server without a slash at its end. Raises UsageError."""
    if url:
        if not _is_web_address(url):
            raise UsageError(f"--url: Invalid address: {url!r}. Use one like https://chat.example.com.")
        return url.rstrip("/")
    port = choose_port(data_path(), port)
    info = ServerInfo.load(data_path(), port)
    if info is None:
        return f"http://localhost:{port}"
    return "http" + websocket_url(info.host, port, secure=info.secure).removeprefix("ws")


def _is_web_address(url: str) -> bool:
    try:
        port = urlsplit(url).port
    except ValueError:  # also for an IPv6 address without brackets
        return False
    return port != 0 and _WEB_ADDRESS.fullmatch(url) is not None


def _print_note(text: str) -> None:
    print(text, file=sys.stderr)
