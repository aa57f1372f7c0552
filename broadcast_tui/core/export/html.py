"""Export as one HTML file: no scripts, nothing loaded, all text escaped, links to http and https only."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import UTC, tzinfo
from hashlib import sha256
from html import escape

from broadcast_tui.core.export.code_blocks import Part, parts_of
from broadcast_tui.core.export.describe import Described, Source, described, title_lines
from broadcast_tui.core.post import Post

_LINK = re.compile(r"""https?://[^\s<>"'`{}|\\^\[\]]+""", re.IGNORECASE)
_TRAILING = ".,;:!?*_~)"
"""Characters that belong to the sentence when a link ends with them."""

_STYLE = """
:root { color-scheme: light dark; --text: #1c1e21; --back: #ffffff; --quiet: #5a6069; --line: #d8dbe0;
 --code: #f2f3f5; --link: #0b57b7; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e6e9; --back: #16181c; --quiet: #a0a6af;
 --line: #3a3e45; --code: #23262c; --link: #8ab8ff; } }
body { margin: 0 auto; max-width: 50rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif;
 color: var(--text); background: var(--back); overflow-wrap: anywhere; }
a { color: var(--link); }
h2 { margin: 2rem 0 0.5rem; padding-bottom: 0.25rem; border-bottom: 1px solid var(--line); font-size: 1rem; }
article { margin: 0.75rem 0; }
article:target { outline: 2px solid var(--link); outline-offset: 0.25rem; }
article.reply { margin-left: 1.5rem; }
header { display: flex; flex-wrap: wrap; gap: 0 0.75rem; align-items: baseline; }
time, .fact, .about, blockquote { color: var(--quiet); font-size: 0.875rem; }
time a { color: inherit; text-decoration: none; }
p, blockquote, pre { margin: 0.125rem 0; }
p { white-space: pre-wrap; }
blockquote { padding-left: 0.5rem; border-left: 3px solid var(--line); }
pre { padding: 0.5rem; overflow-x: auto; background: var(--code); }
.action, .deleted { font-style: italic; }
"""


def html_lines(source: Source, posts: Sequence[Post], zone: tzinfo | None = None) -> Iterator[str]:
    """Yield the lines of an HTML file."""
    digest = b64encode(sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    label = escape(source.label)
    yield from (
        "<!DOCTYPE html>",
        '<html lang="und">',
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="referrer" content="no-referrer">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{label}</title>",
        f"<style>{_STYLE}</style>",
        f"<h1>{label}</h1>",
    )
    for line in title_lines(source, len(posts), zone):
        yield f'<p class="about" lang="en">{escape(line)}</p>'
    yield "<main>"
    known = {post.position.seq for post in posts}
    day = ""
    for entry in described(posts, zone):
        if entry.day != day:
            day = entry.day
            yield f"<h2>{day}</h2>"
        yield from _article(entry, known)
    yield "</main>"
    yield "</html>"


def _article(entry: Described, known: set[int]) -> Iterator[str]:
    classes = [
        name
        for name, is_set in (
            ("reply", entry.quote),
            ("action", entry.is_action),
            ("deleted", entry.is_deleted),
        )
        if is_set
    ]
    kind = f' class="{" ".join(classes)}"' if classes else ""
    yield f'<article id="m{entry.seq}"{kind}>'
    utc = f"{entry.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    time = f'<time datetime="{utc}"><a href="#m{entry.seq}">{escape(entry.clock)}</a></time>'
    yield f"<header><strong><bdi>{escape(entry.sender)}</bdi></strong> {time}</header>"
    if entry.quote:
        quote = f"<bdi>{escape(entry.quote)}</bdi>"
        if entry.post.re in known:
            quote = f'<a href="#m{entry.post.re}">{quote}</a>'
        yield f"<blockquote>{quote}</blockquote>"
    if entry.is_deleted:
        yield f'<p dir="auto">({escape(entry.text)})</p>'
    else:
        for part in parts_of(entry.text):
            yield _code(part) if part.is_code else f'<p dir="auto">{linked(chr(10).join(part.lines))}</p>'
    for fact in entry.facts:
        yield f'<p class="fact" dir="auto">{escape(fact)}</p>'
    yield "</article>"


def _code(part: Part) -> str:
    return f"<pre><code>{escape(chr(10).join(part.lines))}</code></pre>"


def linked(text: str) -> str:
    """`text` escaped, with its http and https addresses as links."""
    pieces, end = list[str](), 0
    for found in _LINK.finditer(text):
        address = _without_trailing(found[0])
        pieces.append(escape(text[end : found.start()]))
        target = escape(address)
        pieces.append(f'<a href="{target}" rel="noopener noreferrer nofollow">{target}</a>')
        end = found.start() + len(address)
    pieces.append(escape(text[end:]))
    return "".join(pieces)


def _without_trailing(address: str) -> str:
    """An address without the punctuation of the sentence around it; balanced parentheses belong to it."""
    while address[-1] in _TRAILING and not (address[-1] == ")" and address.count("(") >= address.count(")")):
        address = address[:-1]
    return address
