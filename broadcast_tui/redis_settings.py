"""Locations of Redis: `redis://HOST:PORT/DB` and its variants, with options and secrets.

Text made from settings never contains the user name or the password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote

from broadcast_tui.core.errors import BroadcastError

SCHEMES = (
    "redis://",
    "rediss://",
    "redis+unix://",
    "unix://",
    "redis+sentinel://",
    "rediss+sentinel://",
)
"""Beginnings of locations; those with `rediss` use TLS."""
PASSWORD_VARIABLE = "BROADCAST_TUI_REDIS_PASSWORD"
USER_VARIABLE = "BROADCAST_TUI_REDIS_USER"
PORT, SENTINEL_PORT = 6379, 26379
CLUSTER_PARTITIONS = 64
APPEND_TIMEOUT_S = 5.0

_ENCODE = (
    "Percent-encode special characters in the password, or store the password in a file and add "
    "?password_file=PATH."
)
_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,32}")


class LocationError(BroadcastError):
    """An invalid location: the operator's fault. Its text is a sentence without secrets."""


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """How to connect to Redis, and how to use it. `str` is the location without user and password."""

    hosts: tuple[tuple[str, int], ...] = (("localhost", PORT),)
    """Host and port; several for Sentinels and nodes of a Redis Cluster."""
    kind: Literal["standalone", "sentinel", "cluster"] = "standalone"
    socket_path: str = ""
    """Unix socket to use instead of a host."""
    master: str = ""
    """Name by which the Sentinels know the primary."""
    database: int = 0
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    password_file: str = ""
    has_inline_password: bool = False
    """Whether the location contains the password, as a command line should not."""
    sentinel_password: str = field(default="", repr=False)
    sentinel_password_file: str = ""
    tls: bool = False
    tls_ca: str = ""
    """PEM file of the authorities to trust; by default those of the system."""
    tls_cert: str = ""
    """PEM file with a client certificate."""
    tls_key: str = ""
    """PEM file with its key, if `tls_cert` does not contain it."""
    replicas: int = 0
    """Number of replicas that must have a post before it is acknowledged."""
    prefix: str = "bt"
    """Beginning of all keys."""
    append_timeout_s: float = APPEND_TIMEOUT_S
    """Time for which a batch is tried while Redis does not respond."""

    @property
    def partitions(self) -> int:
        """Number of parts that the rooms of a new database are spread over."""
        return CLUSTER_PARTITIONS if self.kind == "cluster" else 1

    @property
    def is_sharded(self) -> bool:
        """Whether channels belong to nodes of a Redis Cluster."""
        return self.kind == "cluster"

    @property
    def publish_command(self) -> str:
        """The command by which messages reach subscribers."""
        return "SPUBLISH" if self.is_sharded else "PUBLISH"

    def redacted(self, text: str) -> str:
        """The text with user names and passwords replaced."""
        for secret in sorted({self.username, self.password, self.sentinel_password}, key=len, reverse=True):
            if secret and secret != "default":
                text = text.replace(secret, "…")
        return text

    def __str__(self) -> str:
        if self.socket_path:
            return f"redis+unix://{self.socket_path}" + (f"?db={self.database}" if self.database else "")
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        sentinel = "+sentinel" if self.kind == "sentinel" else ""
        path = f"/{self.master}" if self.master else ""
        query = "?cluster=true" if self.kind == "cluster" else ""
        database = f"/{self.database}" if self.database else ""
        return f"redis{'s' if self.tls else ''}{sentinel}://{hosts}{path}{database}{query}"


def is_redis(location: str) -> bool:
    """Whether a location is one of Redis, valid or not."""
    return location.lower().startswith(SCHEMES)


def read_location(location: str) -> RedisSettings:
    """The settings of a location, with the secrets from files and environment variables.

    Raises LocationError.
    """
    settings = parse_location(location, os.environ)
    if settings.password_file:
        settings = replace(settings, password=_read_secret(settings.password_file))
    if settings.sentinel_password_file:
        settings = replace(settings, sentinel_password=_read_secret(settings.sentinel_password_file))
    for path in filter(None, (settings.tls_ca, settings.tls_cert, settings.tls_key)):
        if not Path(path).is_file():
            raise LocationError(f"No such file: {path}.")
    return settings


def parse_location(location: str, environment: Mapping[str, str] | None = None) -> RedisSettings:
    """The settings of a location, without the contents of files. Raises LocationError.

    The password is the one of the location, or of `password_file`, or else of the environment.
    """
    scheme, _, rest = location.partition("://")
    scheme = scheme.lower() + "://"
    if scheme not in SCHEMES:
        raise LocationError(f"Invalid Redis URL. Use one that starts with {', '.join(SCHEMES)}.")
    is_socket = "unix" in scheme
    place, _, query = rest.partition("?")
    settings = RedisSettings(tls=scheme.startswith("rediss"))
    settings, place = _with_userinfo(settings, place, is_socket)
    options = _options(query)
    if is_socket:
        settings = _with_socket(settings, place)
    else:
        settings = _with_hosts(settings, place, "sentinel" in scheme, "cluster" in options)
    for name, value in options.items():
        settings = OPTIONS[name](settings, value)
    _check(settings)
    return _with_environment(settings, environment or {})


def _with_userinfo(settings: RedisSettings, place: str, is_socket: bool) -> tuple[RedisSettings, str]:
    """The settings with user and password, and the place without them."""
    if is_socket:
        before, slash, path = place.partition("/")
        userinfo, separator, _ = before.rpartition("@")
        place = (before if not separator else "") + slash + path
    else:
        userinfo, separator, place = place.rpartition("@")
    if not separator:
        return settings, place
    user, _, password = userinfo.partition(":")
    return replace(
        settings, username=unquote(user), password=unquote(password), has_inline_password=bool(password)
    ), place


def _with_socket(settings: RedisSettings, path: str) -> RedisSettings:
    path = unquote(path)
    if not path.startswith("/"):
        raise LocationError(
            "Invalid Redis URL: write the absolute path of the socket, as in unix:///run/redis.sock."
        )
    return replace(settings, hosts=(), socket_path=path)


def _with_hosts(settings: RedisSettings, place: str, is_sentinel: bool, is_cluster: bool) -> RedisSettings:
    names, _, path = place.partition("/")
    hosts = tuple(_host(name, SENTINEL_PORT if is_sentinel else PORT) for name in names.split(","))
    if len(hosts) > 1 and not (is_sentinel or is_cluster):
        raise LocationError("Several Redis hosts need redis+sentinel:// or ?cluster=true.")
    if is_sentinel:
        master, _, path = path.partition("/")
        if not master:
            raise LocationError(
                "Add the name of the primary: redis+sentinel://HOST:26379/NAME, as in sentinel.conf."
            )
        settings = replace(settings, kind="sentinel", master=unquote(master))
    return replace(settings, hosts=hosts, database=_count("database number", path or "0"))


def _host(text: str, port: int) -> tuple[str, int]:
    """Host and port. Errors do not repeat them, as they may be parts of a password."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]*)(?::([0-9]{1,5}))?", text)
    if match is None or (match[2] and not 0 < int(match[2]) < 65536):
        raise LocationError(f"Invalid Redis URL: invalid host or port. {_ENCODE}")
    return match[1].strip("[]") or "localhost", int(match[2] or port)


def _options(query: str) -> dict[str, str]:
    if not query:
        return {}
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = [name for name in options if name not in OPTIONS]
    if any("@" in name for name in unknown):
        raise LocationError(f"Invalid Redis URL. {_ENCODE}")
    if {"password", "username", "user"} & set(unknown):
        raise LocationError(
            "The Redis URL has no such option. Add ?password_file=PATH, or set "
            f"{USER_VARIABLE} and {PASSWORD_VARIABLE}."
        )
    if unknown:
        raise LocationError(f"No such option in a Redis URL: {unknown[0]}. Use {', '.join(sorted(OPTIONS))}.")
    return options


def _path(name: str) -> Callable[[RedisSettings, str], RedisSettings]:
    def convert(settings: RedisSettings, value: str) -> RedisSettings:
        return replace(settings, **{name: os.path.expanduser(value)})  # type: ignore[arg-type]

    return convert


def _cluster(settings: RedisSettings, value: str) -> RedisSettings:
    match value.lower():
        case "true" | "1" | "yes" | "":
            return replace(settings, kind="cluster")
        case "false" | "0" | "no":
            return settings
    raise LocationError("Invalid cluster in the Redis URL. Use true or false.")


def _prefix(settings: RedisSettings, value: str) -> RedisSettings:
    if not _PREFIX.fullmatch(value):
        raise LocationError(
            "Invalid prefix in the Redis URL. Use 1 to 32 letters, digits, dots, dashes or underscores."
        )
    return replace(settings, prefix=value)


def _append_timeout(settings: RedisSettings, value: str) -> RedisSettings:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 60:
        raise LocationError("Invalid append_timeout in the Redis URL. Use a number of seconds up to 60.")
    return replace(settings, append_timeout_s=seconds)


def _count(what: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", value):
        raise LocationError(f"Invalid {what} in the Redis URL. Use a whole number.")
    return int(value)


OPTIONS: dict[str, Callable[[RedisSettings, str], RedisSettings]] = {
    "append_timeout": _append_timeout,
    "cluster": _cluster,
    "db": lambda settings, value: replace(settings, database=_count("db", value)),
    "password_file": _path("password_file"),
    "prefix": _prefix,
    "replicas": lambda settings, value: replace(settings, replicas=_count("replicas", value)),
    "sentinel_password_file": _path("sentinel_password_file"),
    "tls_ca": _path("tls_ca"),
    "tls_cert": _path("tls_cert"),
    "tls_key": _path("tls_key"),
}
"""Options of a location by name."""


def _check(settings: RedisSettings) -> None:
    if settings.kind == "cluster" and settings.database:
        raise LocationError("A Redis Cluster has only database 0. Remove the number from the URL.")
    if settings.kind == "cluster" and settings.socket_path:
        raise LocationError("Connect to a Redis Cluster by host names, not by a socket.")
    if (settings.tls_ca or settings.tls_cert or settings.tls_key) and not settings.tls:
        raise LocationError("Use rediss:// to connect with TLS.")
    if settings.tls_key and not settings.tls_cert:
        raise LocationError("Add the certificate of the key: tls_cert=FILE.")
    if settings.password and settings.password_file:
        raise LocationError("Remove the password from the Redis URL, or remove password_file.")


def _with_environment(settings: RedisSettings, environment: Mapping[str, str]) -> RedisSettings:
    if not settings.password and not settings.password_file:
        settings = replace(settings, password=environment.get(PASSWORD_VARIABLE, ""))
    if not settings.username:
        settings = replace(settings, username=environment.get(USER_VARIABLE, ""))
    return settings


def _read_secret(path: str) -> str:
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise LocationError(f"Cannot read the Redis password from {path}: {reason}.") from None
    secret = text.strip("\r\n")
    if not secret or "\n" in secret:
        raise LocationError(f"Write the Redis password into {path}, in one line.")
    return secret
