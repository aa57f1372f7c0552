"""Routes: which handler answers which path and method."""

from __future__ import annotations

import http
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiohttp import web

from broadcast_tui.server.web.errors import HttpError, bad_request

Handler = Callable[..., Awaitable[web.StreamResponse]]
"""Called with the context, the request, and the parameters of the path, by name."""


@dataclass(frozen=True)
class Route:
    """A handler, and the requests that it answers.

    Args:
        method: `GET` includes `HEAD`.
        pattern: Path in which `{name}` stands for one segment, and `{name*}` for one or more. Segments are
            decoded.
        is_public: Whether everyone may see it, whatever the `Host`, bans, and the number of connections.
        is_probe: Whether load balancers use it, so that they get an answer even if their budget of server
            time is used up. The connection closes after it.
        keeps_alive: Whether the connection may be used for another request.
    """

    method: str
    pattern: str
    handler: Handler
    is_public: bool = False
    is_probe: bool = False
    keeps_alive: bool = True
    _path: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        pieces = re.split(r"(\{[a-z_]+\*?\})", self.pattern)
        path = "".join(_regex(piece) if index % 2 else re.escape(piece) for index, piece in enumerate(pieces))
        object.__setattr__(self, "_path", re.compile(path))

    @property
    def methods(self) -> tuple[str, ...]:
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)

    def match(self, path: str) -> dict[str, str] | None:
        """The parameters in an encoded path; None for any other path."""
        found = self._path.fullmatch(path)
        return None if found is None else {name: _decoded(value) for name, value in found.groupdict().items()}


def _regex(piece: str) -> str:
    name = piece.strip("{}*")
    return f"(?P<{name}>.+)" if piece.endswith("*}") else f"(?P<{name}>[^/]+)"


def _decoded(value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise bad_request("The path is not valid UTF-8.") from None


def not_found() -> HttpError:
    """The error of a path that leads nowhere."""
    text = "Not found. See / for how to join."
    return HttpError(http.HTTPStatus.NOT_FOUND, "not_found", text, close=True)


class Router:
    """Finds routes; the first that matches counts."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = tuple(routes)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route of a request, and the parameters in its path.

        Raises:
            HttpError: There is none (404), or only for other methods (405).
        """
        for route in self._routes:
            if method in route.methods:
                parameters = route.match(path)
                if parameters is not None:
                    return route, parameters
        allowed = self.allowed(path)
        if allowed:
            *others, last = allowed
            methods = f"{', '.join(others)} and {last} are" if others else f"{last} is"
            text = f"Only {methods} allowed here."
            headers = {"Allow": ", ".join(allowed)}
            status = http.HTTPStatus.METHOD_NOT_ALLOWED
            raise HttpError(status, "method_not_allowed", text, headers=headers, close=True)
        raise not_found()

    def allowed(self, path: str) -> list[str]:
        """The methods for a path; empty if there is nothing."""
        found: dict[str, None] = {}
        for route in self._routes:
            if route.match(path) is not None:
                found.update(dict.fromkeys(route.methods))
        return list(found)
