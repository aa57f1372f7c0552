"""Finds the links in a text, and says where each of them truly goes.

Only http and https are links. A link that may be opened is plain ASCII without blanks, controls and
semicolons, so that it can stand in a terminal's escape sequence (OSC 8); all others are text. Hosts in
other scripts, and names before an `@`, look like hosts that they are not: their true host is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from unicodedata import category, normalize

HREF_CHARS = 2_000


_LINKS_TOLD = 50
"""Links of one text whose true hosts are looked for."""


_HOST_CHARS, _LABEL_CHARS = 253, 63


URL_SOURCE = r"[Hh][Tt][Tt][Pp][Ss]?://(?:[^\s<>\"`()]|\([^\s<>\"`()]*+\))++"
"""An address with what punctuation comes after it; parentheses only in pairs, as in `/wiki/A_(b)`."""


_TITLE_CHARS, _TITLED_URL_CHARS = 300, 2_100


TITLED_SOURCE = (
    rf"\[(?P<text>[^\[\]]{{1,{_TITLE_CHARS}}}+)\]\("
    rf"(?P<target>[Hh][Tt][Tt][Pp][Ss]?://(?:[^\s<>\"\[\]()]|\([^\s<>\"\[\]()]*+\)){{1,{_TITLED_URL_CHARS}}}+)\)"
)
"""`[text](target)`"""


_TITLED = re.compile(TITLED_SOURCE)


_URL = re.compile(rf"(?<![A-Za-z0-9]){URL_SOURCE}")


_TRAILING = ".,:;!?'[]{}*_~|"


_AUTHORITY = re.compile(r"[^/?#]*")


_PARTS = re.compile(r"(?:(?P<user>.*)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:@\[\]]*)(?P<port>:[0-9]{0,5})?")


_ASCII_LABEL = re.compile(r"[a-z0-9_-]{1,63}")


_UNSAFE = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,=:@/?#%\[\]]")


class Target(NamedTuple):
    """Where a link goes. `host` is written in ASCII (`xn--…` for other scripts)."""

    href: str
    """What to open; empty if it had better not be opened."""
    host: str
    start: int
    """Where the host begins in the address as it is written, and where it ends."""
    end: int
    misleading: bool
    """Whether the host is not what is read at first sight."""


def find_urls(text: str) -> list[tuple[int, int]]:
    """Where the addresses in `text` stand, without the punctuation after them."""
    if "://" not in text:
        return []
    return [(match.start(), trimmed_end(match[0]) + match.start()) for match in _URL.finditer(text)]


def links_in(text: str) -> list[str]:
    """What to open of the links in `text`, in order, each once; none that had better not be opened."""
    targets = (target_of(text[start:end]) for start, end in find_urls(text))
    return list(dict.fromkeys(target.href for target in targets if target and target.href))


def trimmed_end(url: str) -> int:
    """How much of `url` is an address: the rest is punctuation of the sentence around it."""
    return len(url.rstrip(_TRAILING))


@lru_cache(maxsize=512)
def target_of(url: str) -> Target | None:
    """Where `url` goes; None if that is not sure, or not the web."""
    scheme, mark, rest = url.partition("://")
    # Browsers take a backslash for a slash, everyone else does not.
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
    """`written` as it is looked up (RFC 3492 for other scripts); empty if it is no host."""
    if not written or len(written) > _HOST_CHARS:
        return ""
    host = written.lower()
    if not host.isascii():
        host = normalize("NFKC", host).lower().replace("。", ".")
    labels = [_ascii_label(label) for label in host.removesuffix(".").split(".")]
    return ".".join(labels) if all(labels) else ""


def misleading_hosts(text: str) -> Iterator[str]:
    """The hosts of those addresses in `text` that look as if they went elsewhere."""
    if "://" in text and ("@" in text or not text.isascii()):
        for start, end in islice(find_urls(text), _LINKS_TOLD):
            target = target_of(text[start:end])
            if target is not None and target.misleading:
                yield target.host


def titled_links(text: str) -> Iterator[tuple[str, str]]:
    """The titles of the links in `text` that have one, in order, each with the host it leads to."""
    if "](" not in text:
        return
    for match in islice(_TITLED.finditer(text), _LINKS_TOLD):
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


def real_hosts(text: str) -> tuple[str, ...]:
    """The hosts of those links in `text` that look as if they went elsewhere, each once."""
    if "://" not in text:
        return ()
    posing = (host for title, host in titled_links(text) if is_spoofed(title, host))
    return tuple(dict.fromkeys((*misleading_hosts(text), *posing)))


def is_spoofed(title: str, host: str) -> bool:
    """Whether `title` reads like another host than `host` is; what `host` lies in is none."""
    for match in _POSED.finditer(title):
        posed = ascii_host(match["sure"] or match["host"] or match["more"]).removeprefix("www.")
        if host != posed and not host.endswith(f".{posed}"):
            return True
    return False
