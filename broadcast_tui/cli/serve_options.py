"""The limits of `core.limits` as options of `serve`.

Name, default and help of each option come from the field of the limit, and from them the environment
variable, the key in a configuration file and `docs/options.md`. A new limit needs no code here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, field, fields, make_dataclass
from typing import Any, TypeVar

from cyclopts import Group, Parameter
from docstring_parser import parse_from_object

from broadcast_tui.cli.option_types import Count, Rate, Texts
from broadcast_tui.core.limits import AdmissionLimits, ConnectionLimits, Limits, ServerLimits

OPTION_TYPES: dict[object, object] = {
    "int": Count,
    "int | None": Count | None,
    "float": Rate,
    "tuple[str, ...]": Texts,
}
"""Types of options by the annotation of the limit. Other fields have no option."""
OPTION_NAMES = {
    "max_rooms_per_peer": "max_rooms",
    "handshake_timeout_s": "handshake_timeout",
    "work_burst_s": "work_burst",
    "origins": "origin",
    "trusted_proxies": "trusted_proxy",
}
"""Names of options that differ from those of their limits."""

C = TypeVar("C")


def _with_options_of(limits: type[Any]) -> Callable[[type[C]], type[C]]:
    """A class decorator that adds a dataclass field for each of the limits."""
    help_texts = {
        entry.arg_name: " ".join((entry.description or "").partition("\n\n")[0].replace("`", "").split())
        for entry in parse_from_object(limits).params
    }

    def add_fields(cls: type[C]) -> type[C]:
        options: list[tuple[str, Any, Field[Any]]] = [
            (
                OPTION_NAMES.get(limit.name, limit.name),
                OPTION_TYPES[limit.type],
                field(default=limit.default, metadata={"help": help_texts[limit.name]}),
            )
            for limit in fields(limits)
            if limit.type in OPTION_TYPES
        ]
        # By default the module is `types`, and cyclopts does not look into classes of the standard library.
        namespace = {"__module__": cls.__module__, "__doc__": cls.__doc__}
        return make_dataclass(
            cls.__name__, options, bases=(cls,), namespace=namespace, frozen=True, kw_only=True
        )

    return add_fields


def _values(options: object, limits: type[Any]) -> dict[str, Any]:
    """The values of `options` by the names of their limits."""
    return {
        limit.name: getattr(options, OPTION_NAMES.get(limit.name, limit.name))
        for limit in fields(limits)
        if limit.type in OPTION_TYPES
    }


@Parameter(name="*", group=Group("Limits per connection", sort_key=1))
@_with_options_of(ConnectionLimits)
class ConnectionOptions:
    """Options of `ConnectionLimits`."""


@Parameter(name="*", group=Group("Limits on new connections", sort_key=2))
@_with_options_of(AdmissionLimits)
class AdmissionOptions:
    """Options of `AdmissionLimits`."""

    def limits(self) -> AdmissionLimits:
        return AdmissionLimits(**_values(self, AdmissionLimits))


@Parameter(name="*", group=Group("Limits of the whole server", sort_key=3))
@_with_options_of(ServerLimits)
class ServerOptions:
    """Options of `ServerLimits`."""


def protocol_limits(connection: ConnectionOptions, server: ServerOptions) -> Limits:
    """The limits of the protocol that the options set."""
    return Limits(**_values(connection, ConnectionLimits), **_values(server, ServerLimits))
