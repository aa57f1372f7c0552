"""Options from a TOML file: the same names as on the command line, without the dashes in front.

What the command line and the environment say goes before the file. Whatever is wrong with the file is one
line that names it and the key.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path

from cyclopts import App
from cyclopts.argument import ArgumentCollection
from cyclopts.config import Dict

from broadcast_tui.cli import ExitCode, UsageError

OPTION = "--config"


def from_file(command: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """A source of options for cyclopts: the file that `--config` names, if the command has and was given it.

    Raises:
        UsageError: the file cannot be read, or has a key that is no option.
    """
    given = {argument.name: argument for argument in arguments}
    option = given.get(OPTION)
    if option is None or not option.tokens or not option.tokens[0].value:
        return
    path = Path(option.tokens[0].value).expanduser()
    options = {name.removeprefix("--") for name in given if name.startswith("--")} - {"config"}
    known = {key.replace("_", "-"): value for key, value in _read(path).items()}
    for key, value in known.items():
        _check_key(path, key, value, options)
    Dict(known, source=str(path), use_commands_as_keys=False)(command, commands, arguments)


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"The configuration {path} is not UTF-8.") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"The configuration {path} is not TOML: {error}.") from error


def _check_key(path: Path, key: str, value: object, options: set[str]) -> None:
    """Refuse what is no option, and values that no option has."""
    if key not in options:
        near = get_close_matches(key, options, n=1, cutoff=0.5)
        offer = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"{path}: there is no option {key}.{offer}")
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str | int | float | bool) for one in values):
        raise UsageError(f"{path}: {key} must be a text, a number, true or false, or a list of them.")


def check(file: Path, /) -> int:
    """Say whether a file is a configuration that `serve --config` takes.

    Parameters
    ----------
    file
        The file to check.
    """
    from broadcast_tui.cli import app
    from broadcast_tui.server.client_address import parse_networks

    before, app.config = app.config, (from_file,)
    try:
        _, bound, _ = app.parse_args(["serve", OPTION, str(file)], print_error=False, exit_on_error=False)
    finally:
        app.config = before
    if (admission := bound.arguments.get("admission")) is not None:
        parse_networks(admission.trusted_proxy)
    print(f"{file} is right.")
    return ExitCode.OK
