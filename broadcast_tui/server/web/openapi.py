"""The OpenAPI description of the HTTP API and webhooks, made from the types of their bodies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec

import broadcast_tui
from broadcast_tui.core.protocol import events
from broadcast_tui.server.web.bodies import TOKEN_CHARS_MAX, Failure, NewPost, Published, RoomPage

BODIES: Sequence[type] = (NewPost, Published, RoomPage, Failure, events.Message, events.Note)
_REFERENCE = "#/components/schemas/{name}"
_STATUSES = {
    "400": "The request is invalid.",
    "401": "The token is invalid, or one is required.",
    "403": "The caller may not do this: banned, muted, or with a read-only token.",
    "404": "There is no such post or hook.",
    "409": "The name belongs to somebody else.",
    "413": "The body is too long.",
    "415": "The body is compressed, or not text or JSON in UTF-8.",
    "429": "Too many requests. Repeat it after `Retry-After` seconds.",
    "503": "The server cannot do this now. Repeat it after `Retry-After` seconds.",
}


@dataclass(frozen=True)
class _Parameter:
    """A parameter of a URL (`query`, `path`) or a header."""

    name: str
    place: str
    text: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})

    def describe(self) -> dict[str, Any]:
        described = {"name": self.name, "in": self.place, "description": self.text, "schema": self.schema}
        return {**described, "required": True} if self.place == "path" else described


@dataclass(frozen=True)
class _Operation:
    """What a method does with a path.

    Args:
        contents: Content types of the successful response, with their schemas.
        errors: Status codes of other responses.
    """

    path: str
    method: str
    name: str
    text: str
    status: str
    contents: dict[str, dict[str, Any]]
    parameters: tuple[_Parameter, ...] = ()
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: tuple[str, ...] = ("400", "401", "403", "429", "503")
    needs_no_token: bool = False

    def describe(self) -> dict[str, Any]:
        responses: dict[str, Any] = {
            self.status: {"description": self.text, "content": _contents(self.contents)}
        }
        for status in self.errors:
            content = _contents({"application/json": _reference(Failure)})
            responses[status] = {"description": _STATUSES[status], "content": content}
        described: dict[str, Any] = {
            "operationId": self.name,
            "summary": self.text,
            "parameters": [parameter.describe() for parameter in self.parameters],
            "responses": responses,
        }
        if self.needs_no_token:
            described["security"] = []
        if self.bodies:
            described["requestBody"] = {"required": True, "content": _contents(self.bodies)}
        return described


def _reference(body: type) -> dict[str, Any]:
    return {"$ref": _REFERENCE.format(name=body.__name__)}


def _contents(schemas: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {content_type: {"schema": schema} for content_type, schema in schemas.items()}


_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 1}
_ROOM = _Parameter("room", "path", "Name of the room.")
_NAME = _Parameter("X-Name", "header", "Name of the author, on a server without tokens; or `?name=`.")
_FORMAT = _Parameter("format", "query", "`text` for lines of text.", {"enum": ["json", "text"]})
_AFTER_ID = _Parameter("after", "query", "Only posts after this id.")
_ENTRY = {"anyOf": [_reference(events.Message), _reference(events.Note)]}
_OBJECTS = {"type": ["array", "null"], "items": {"type": "object"}}
_HOOK_PAYLOAD = {
    "type": "object",
    "properties": {
        "text": {"type": ["string", "null"], "description": "Text in Slack's markup."},
        "attachments": {**_OBJECTS, "description": "Attachments as in Slack."},
        "blocks": {**_OBJECTS, "description": "Blocks as in Slack."},
        "alerts": {**_OBJECTS, "description": "Alerts of Alertmanager (version 4) or Grafana."},
        "groupKey": {"type": "string", "description": "The group of the alerts."},
    },
    "anyOf": [
        {"required": ["text"]},
        {"required": ["attachments"]},
        {"required": ["blocks"]},
        {"required": ["alerts", "groupKey"]},
    ],
}
_HOOK_FORM = {"type": "object", "properties": {"payload": _TEXT}, "required": ["payload"]}
_OPERATIONS = (
    _Operation(
        "/rooms/{room}",
        "post",
        "publish",
        "The post is stored.",
        "201",
        {"application/json": _reference(Published)},
        parameters=(
            _ROOM,
            _NAME,
            _Parameter("reply_to", "query", "Id of the post that a text replies to."),
            _Parameter(
                "Idempotency-Key",
                "header",
                "A request that is repeated with the same key within 10 minutes is stored once.",
                {"type": "string", "minLength": 1, "maxLength": TOKEN_CHARS_MAX},
            ),
        ),
        bodies={"text/plain": _TEXT, "application/json": _reference(NewPost)},
        errors=tuple(_STATUSES),
    ),
    _Operation(
        "/rooms/{room}",
        "get",
        "read",
        "Posts and notes in ascending order: one JSON object per line, lines of text, or events.",
        "200",
        {"application/x-ndjson": _ENTRY, "text/plain": _TEXT, "text/event-stream": _TEXT},
        parameters=(
            _ROOM,
            _Parameter("last", "query", "The newest entries; 50 by default.", _COUNT),
            _AFTER_ID,
            _Parameter("before", "query", "Only entries before this id, the newest of them."),
            _Parameter("limit", "query", "Maximum number with `after`, `before` or `q`.", _COUNT),
            _Parameter("q", "query", "Only posts with all of these words."),
            _FORMAT,
            _Parameter("Last-Event-ID", "header", "Id after which an event stream continues."),
        ),
    ),
    _Operation(
        "/rooms",
        "get",
        "list_rooms",
        "The rooms with people, posts or a topic.",
        "200",
        {"application/json": _reference(RoomPage), "text/plain": _TEXT},
        parameters=(
            _Parameter("after", "query", "Only rooms whose names sort after this one."),
            _Parameter("limit", "query", "Maximum number.", _COUNT),
            _FORMAT,
        ),
    ),
    _Operation(
        "/hooks/{secret}",
        "post",
        "post_by_hook",
        "The payload is stored as a post, or has changed the post about the same alerts.",
        "200",
        {"text/plain": _TEXT},
        parameters=(_Parameter("secret", "path", "Secret of the hook, as `hook create` prints it."),),
        bodies={"application/json": _HOOK_PAYLOAD, "application/x-www-form-urlencoded": _HOOK_FORM},
        errors=("400", "403", "404", "413", "415", "429", "503"),
        needs_no_token=True,
    ),
)


@cache
def describe() -> bytes:
    """The description as JSON (OpenAPI 3.1)."""
    _, schemas = msgspec.json.schema_components(BODIES, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = operation.describe()
    description = {
        "openapi": "3.1.0",
        "info": {"title": "broadcast-tui", "version": broadcast_tui.__version__},
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    return msgspec.json.encode(description) + b"\n"
