"""The parts of aiohttp that the server uses although they are not public.

They may change in any release, and a hook that aiohttp no longer calls fails silently. If a test fails after
an upgrade, adapt `HttpRequest` and `HttpConnection` in `server/web/handoff.py`, or keep the older release.
"""

from __future__ import annotations

import ast
import inspect
import re

import aiohttp
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from broadcast_tui.server.web import handoff

SEAMS = {
    "_prepare_hook": "Completes the headers of each response, also of those that aiohttp makes itself. "
    "Signals, the public way, exist only in a web.Application.",
    "_messages": "The requests that have been parsed, but not handled. Nothing public says whether there are "
    "any.",
}
"""Each private name in use, and why there is no public way."""
ADVICE = f"aiohttp {aiohttp.__version__} has changed: adapt server/web/handoff.py, or keep the older release"


def test_responses_are_prepared_by_the_hook_of_the_request() -> None:
    assert inspect.iscoroutinefunction(web.BaseRequest._prepare_hook), ADVICE
    assert [*inspect.signature(web.BaseRequest._prepare_hook).parameters] == ["self", "response"], ADVICE
    start = inspect.getsource(web.StreamResponse._start)
    order = [start.find(name) for name in ("_prepare_headers()", "_prepare_hook(self)", "_write_headers()")]
    assert -1 not in order, ADVICE
    assert order == sorted(order), ADVICE


def test_parsed_requests_are_queued_until_they_are_handled() -> None:
    assert "self._messages" in inspect.getsource(RequestHandler.__init__), ADVICE
    assert "self._messages.append(" in inspect.getsource(RequestHandler.data_received), ADVICE
    assert "self._messages.popleft()" in inspect.getsource(RequestHandler.start), ADVICE


def test_no_other_private_part_is_used() -> None:
    used = set()
    for kind, base in ((handoff.HttpRequest, web.BaseRequest), (handoff.HttpConnection, RequestHandler)):
        tree = ast.parse(inspect.getsource(kind))
        names = set(vars(kind)) | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        used |= {name for name in names if re.match("_[^_]", name) and hasattr(base, name)}
    assert used - {"_abc_impl"} == set(SEAMS)
