"""Tells links that look as if they led to another host than they do, by their address or by their title.

A title poses if it reads like a host, as `paypal.com` does: with `://` or `www.` before it, or an end that
hosts are known by. `README.md` and `user.id` end as hosts may, too, and count only with a path after them.
"""

from __future__ import annotations

import re

from broadcast_tui.tui.model.web_address import ascii_host, misleading_hosts, titled_links

_ENDS = (
    "com|org|net|edu|gov|mil|int|info|biz|io|dev|app|ai|co|me|tv|xyz|online|shop|site|store|cloud|eu|"
    "ar|at|au|be|bg|br|ca|ch|cl|cn|cz|de|dk|ee|es|fi|fr|gr|hk|hr|hu|ie|il|ir|it|jp|ke|kr|lt|lu|lv|mx|my|ng|nl|"
    "no|nz|pe|ph|pk|pt|ro|ru|se|sg|si|sk|th|tr|tw|ua|uk|us|uy|vn|za"
)
_ENDS_OF_MORE = "cc|id|in|is|md|mk|ml|mov|name|pl|ps|py|rs|sh|so|to|zip"
"""Of hosts, but of files and of names in code first."""
_POSED = re.compile(
    r"(?<![\w@./-])(?:"
    r"(?:https?://|www\.)(?P<sure>(?:[\w-]+\.)+\w{2,})"
    rf"|(?P<host>(?:[\w-]+\.)+(?:{_ENDS}))(?![\w-]|\.\w)"
    rf"|(?P<more>(?:[\w-]+\.)+(?:{_ENDS_OF_MORE}))(?::\d+)?/"
    r")",
    re.IGNORECASE,
)


def true_hosts(text: str) -> tuple[str, ...]:
    """The hosts of those links in `text` that look as if they went elsewhere, each once."""
    if "://" not in text:
        return ()
    posing = (host for title, host in titled_links(text) if poses(title, host))
    return tuple(dict.fromkeys((*misleading_hosts(text), *posing)))


def poses(title: str, host: str) -> bool:
    """Whether `title` reads like another host than `host` is; what `host` lies in is none."""
    for match in _POSED.finditer(title):
        posed = ascii_host(match["sure"] or match["host"] or match["more"]).removeprefix("www.")
        if host != posed and not host.endswith(f".{posed}"):
            return True
    return False
