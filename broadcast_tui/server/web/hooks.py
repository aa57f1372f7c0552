"""`POST /hooks/SECRET`: programs post to a room by webhook, as they would to Slack.

Invariants: secrets are never logged or sent back. A hook can post to its room, and to nothing else.
"""

from __future__ import annotations

import http

from aiohttp import web

from broadcast_tui.core.errors import ErrorCode
from broadcast_tui.core.protocol import commands
from broadcast_tui.core.webhooks.payload import BODY_BYTES, read_payload
from broadcast_tui.server.hook_store import HookEntry
from broadcast_tui.server.web.context import WebContext
from broadcast_tui.server.web.errors import HttpError
from broadcast_tui.server.web.routes import Route


async def post(context: WebContext, request: web.BaseRequest, secret: str) -> web.StreamResponse:
    """Post the payload in the body of a request."""
    hook = _find(context, request, secret)
    context.hook_posts.spend(hook, context.runner.instant().now)
    body = await context.read_body(request, BODY_BYTES)
    payload = read_payload(body, request.content_type, context.limits.max_message_bytes)
    async with context.visit(request, identity=hook.identity) as visitor:
        await visitor.enter(commands.RoomRequest(hook.room))
        await context.hook_posts.deliver(visitor, hook, payload)
    return web.Response(text="ok")


def _find(context: WebContext, request: web.BaseRequest, secret: str) -> HookEntry:
    """The hook with a secret. Raises HttpError."""
    address, when = context.client_address(request), context.runner.instant()
    hooks = context.authenticator.hooks if context.authenticator is not None else None
    hook = hooks.find(secret, when) if hooks is not None else None
    if hook is not None:
        return hook
    wait_s = hooks.record_failure(address, when) if hooks is not None else 0.0
    if wait_s > 0:
        text = "Too many requests to unknown hooks from your address."
        status = http.HTTPStatus.TOO_MANY_REQUESTS
        raise HttpError(status, ErrorCode.RATE_LIMITED.value, text, retry_after_s=wait_s, close=True)
    text = "There is no such hook. It may have been revoked."
    raise HttpError(http.HTTPStatus.NOT_FOUND, "not_found", text, close=True)


ROUTES = (Route("POST", "/hooks/{secret}", post),)
