"""Links in a text, their real targets, and spoofing.

Only http and https URLs are links. A link that can be opened is plain ASCII without spaces, control
characters and semicolons, so it can be put in a terminal's escape sequence (OSC 8); others stay text. Hosts
in other scripts and user names before an `@` can imitate another host: the real host is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from unicodedata import category, normalize

from broadcast_tui.core.lazy_pattern import lazy_pattern

HREF_CHARS = 2_000


_LINKS_CHECKED = 50
"""Links of one text that are checked for spoofing."""


_HOST_CHARS, _LABEL_CHARS = 253, 63


URL_SOURCE = r"[Hh][Tt][Tt][Pp][Ss]?://(?:[^\s<>\"`()]|\([^\s<>\"`()]*+\))++"
"""A URL, including trailing punctuation. Parentheses must be paired, as in `/wiki/A_(b)`."""


_TITLE_CHARS, _TITLED_URL_CHARS = 300, 2_100


TITLED_SOURCE = (
    rf"\[(?P<text>[^\[\]]{{1,{_TITLE_CHARS}}}+)\]\("
    rf"(?P<target>[Hh][Tt][Tt][Pp][Ss]?://(?:[^\s<>\"\[\]()]|\([^\s<>\"\[\]()]*+\)){{1,{_TITLED_URL_CHARS}}}+)\)"
)
"""`[text](target)`"""


_TITLED = lazy_pattern(TITLED_SOURCE)


_URL = lazy_pattern(rf"(?<![A-Za-z0-9]){URL_SOURCE}")


_TRAILING = ".,:;!?'[]{}*_~|"


_AUTHORITY = lazy_pattern(r"[^/?#]*")


_PARTS = lazy_pattern(r"(?:(?P<user>.*)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:@\[\]]*)(?P<port>:[0-9]{0,5})?")


_ASCII_LABEL = lazy_pattern(r"[a-z0-9_-]{1,63}")


_UNSAFE = lazy_pattern(r"[^A-Za-z0-9\-._~!$&'()*+,=:@/?#%\[\]]")


class Target(NamedTuple):
    """The target of a link. `host` is in ASCII (`xn--…` for other scripts)."""

    href: str
    """The URL to open; empty if it is unsafe to open."""
    host: str
    start: int
    """Span of the host in the URL as written."""
    end: int
    misleading: bool
    """Whether the host is not what it appears to be."""


def find_urls(text: str) -> list[tuple[int, int]]:
    """Spans of the URLs in `text`, without trailing punctuation."""
    if "://" not in text:
        return []
    return [(match.start(), trimmed_end(match[0]) + match.start()) for match in _URL.finditer(text)]


def links_in(text: str) -> list[str]:
    """The URLs in `text` that can be opened, in order, without duplicates."""
    targets = (target_of(text[start:end]) for start, end in find_urls(text))
    return list(dict.fromkeys(target.href for target in targets if target and target.href))


def trimmed_end(url: str) -> int:
    """Length of `url` without punctuation of the surrounding sentence."""
    return len(url.rstrip(_TRAILING))


@lru_cache(maxsize=512)
def target_of(url: str) -> Target | None:
    """The target of `url`; None if it is not a valid web URL."""
    scheme, mark, rest = url.partition("://")
    # Browsers read a backslash as a slash; other programs do not.
    if not mark or "\\" in url or scheme.lower() not in ("http", "https"):
        return None
    authority = _AUTHORITY.match(rest)
    parts = _PARTS.fullmatch(authority[0]) if authority else None
    if authority is None or parts is None:
        return None
    written = parts["host"]
    host = written.lower() if written.startswith("[") else ascii_host(written)
    if not host:
        return None
    start = len(scheme) + len(mark) + parts.start("host")
    href = f"{scheme.lower()}://{host}{parts['port'] or ''}{_quoted(rest[authority.end() :])}"
    if parts["user"] is not None or len(href) > HREF_CHARS:
        href = ""
    misleading = parts["user"] is not None or not written.isascii()
    return Target(href, host, start, start + len(written), misleading)


def ascii_host(written: str) -> str:
    """The host in ASCII, as in DNS (RFC 3492 for other scripts); empty if it is not a host."""
    if not written or len(written) > _HOST_CHARS:
        return ""
    host = written.lower()
    if not host.isascii():
        host = normalize("NFKC", host).lower().replace("。", ".")
    labels = [_ascii_label(label) for label in host.removesuffix(".").split(".")]
    return ".".join(labels) if all(labels) else ""


def misleading_hosts(text: str) -> Iterator[str]:
    """Yield the hosts of URLs in `text` that are misleading."""
    if "://" in text and ("@" in text or not text.isascii()):
        for start, end in islice(find_urls(text), _LINKS_CHECKED):
            target = target_of(text[start:end])
            if target is not None and target.misleading:
                yield target.host


def titled_links(text: str) -> Iterator[tuple[str, str]]:
    """Yield the title and host of each titled link in `text`, in order."""
    if "](" not in text:
        return
    for match in islice(_TITLED.finditer(text), _LINKS_CHECKED):
        target = target_of(match["target"])
        if target is not None:
            yield match["text"], target.host


def _ascii_label(label: str) -> str:
    if label.isascii():
        return label if _ASCII_LABEL.fullmatch(label) else ""
    if len(label) > _LABEL_CHARS or not all(char == "-" or _is_letter(char) for char in label):
        return ""
    encoded = f"xn--{label.encode('punycode').decode('ascii')}"
    return encoded if len(encoded) <= _LABEL_CHARS else ""


def _is_letter(char: str) -> bool:
    return char.isalnum() or category(char) in ("Mn", "Mc")


def _quoted(rest: str) -> str:
    return _UNSAFE.sub(
        lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "replace")), rest
    )


_TLDS = (
    "com|org|net|edu|gov|mil|int|info|biz|io|dev|app|ai|co|me|tv|xyz|online|shop|site|store|cloud|eu|"
    "ar|at|au|be|bg|br|ca|ch|cl|cn|cz|de|dk|ee|es|fi|fr|gr|hk|hr|hu|ie|il|ir|it|jp|ke|kr|lt|lu|lv|mx|my|ng|nl|"
    "no|nz|pe|ph|pk|pt|ro|ru|se|sg|si|sk|th|tr|tw|ua|uk|us|uy|vn|za"
)


_AMBIGUOUS_TLDS = "cc|id|in|is|md|mk|ml|mov|name|pl|ps|py|rs|sh|so|to|zip"
"""Top-level domains that are also file extensions or names in code."""


_HOST_IN_TITLE = lazy_pattern(
    r"(?<![\w@./-])(?:"
    r"(?:https?://|www\.)(?P<sure>(?:[\w-]+\.)+\w{2,})"
    rf"|(?P<host>(?:[\w-]+\.)+(?:{_TLDS}))(?![\w-]|\.\w)"
    rf"|(?P<more>(?:[\w-]+\.)+(?:{_AMBIGUOUS_TLDS}))(?::\d+)?/"
    r")",
    re.IGNORECASE,
)


def real_hosts(text: str) -> tuple[str, ...]:
    """The real hosts of spoofed links in `text`, without duplicates."""
    if "://" not in text or ("](" not in text and "@" not in text and text.isascii()):
        return ()  # most posts
    spoofed = (host for title, host in titled_links(text) if is_spoofed(title, host))
    return tuple(dict.fromkeys((*misleading_hosts(text), *spoofed)))


def is_spoofed(title: str, host: str) -> bool:
    """Whether `title` contains a host other than `host` or one of its parent domains, as it is shown."""
    for match in _HOST_IN_TITLE.finditer(title.replace("`", "")):
        shown = ascii_host(match["sure"] or match["host"] or match["more"]).removeprefix("www.")
        if host != shown and not host.endswith(f".{shown}"):
            return True
    return False
