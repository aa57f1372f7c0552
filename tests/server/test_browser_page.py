"""The page of the chat in a browser, and its files, as the server sends them."""

from __future__ import annotations

import gzip
import re
from importlib.resources import files
from pathlib import Path

import pytest

from broadcast_tui.server.web.browser_page import CONTENT_TYPES, INDEX, static_files
from broadcast_tui.tui.model.text.colors import MIN_CONTRAST, contrast
from tests.support.raw_socket import raw_socket
from tests.support.running import running_server

BROWSER = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
TEXTS = {name: file.body.decode() for name, file in static_files().items()}
WEIGHT_BYTES = 60_000
"""Maximum size of all files, as browsers get them."""
UNPACKED_BYTES = 120_000
"""The same, unpacked."""
SOURCES = Path(str(files("broadcast_tui.server.web"))) / "static"


async def get(port: int, path: str, *lines: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers with lower-case names, and body of the response to a request."""
    async with raw_socket(port) as sock:
        head = "\r\n".join((f"GET {path} HTTP/1.1", "Host: 127.0.0.1:8765", "Connection: close", *lines))
        await sock.send(head.encode() + b"\r\n\r\n")
        answer = await sock.read_to_end()
    top, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = top.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    return int(status.split()[1]), headers, body


@pytest.mark.parametrize("path", ["/", "/rooms/ops", "/rooms/caf%C3%A9"])
async def test_browsers_get_the_page(path: str) -> None:
    async with running_server() as server:
        status, headers, body = await get(server.port, path, BROWSER)
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b'<script type="module" src="/static/' in body
        policy = headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'; " in policy
        assert "connect-src 'self' ws://127.0.0.1:8765; " in policy
        assert "unsafe" not in policy
        assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
        assert headers["vary"] == "Accept, Accept-Encoding"


async def test_scripts_get_the_short_page() -> None:
    async with running_server() as server:
        status, headers, body = await get(server.port, "/", "Accept: */*")
        assert status == 200
        assert b"broadcast-tui chat ws://127.0.0.1:8765" in body
        assert b"<script" not in body
        assert "Accept" in headers["vary"]


async def test_files_are_kept_by_browsers_under_their_version() -> None:
    async with running_server() as server:
        _, headers, body = await get(server.port, "/", BROWSER)
        tag = headers["etag"]
        addresses = re.findall(r'(?:src|href)="([^"]+)"', body.decode())
        assert addresses
        for address in addresses:
            status, headers, body = await get(server.port, address)
            name = address.rpartition("/")[2]
            assert (status, body) == (200, static_files()[name].body)
            assert headers["content-type"] == f"{static_files()[name].content_type}; charset=utf-8"
            assert "immutable" in headers["cache-control"]
            assert headers["x-content-type-options"] == "nosniff"
        file = static_files()[addresses[0].rpartition("/")[2]]
        status, headers, body = await get(server.port, addresses[0], "Accept-Encoding: br, gzip")
        assert (headers["content-encoding"], gzip.decompress(body)) == ("gzip", file.body)
        for refusal in ("Accept-Encoding: gzip;q=0", "Accept-Encoding: identity"):
            assert "content-encoding" not in (await get(server.port, addresses[0], refusal))[1]
        status, headers, body = await get(server.port, "/", BROWSER, f'If-None-Match: "x", {tag}')
        assert (status, body) == (304, b"")
        assert "script-src 'self'" in headers["content-security-policy"]  # it replaces that of the kept page


async def test_a_file_of_another_version_is_not_kept() -> None:
    async with running_server() as server:
        status, headers, body = await get(server.port, "/static/0123456789ab/app.js")
        assert (status, headers["cache-control"]) == (200, "no-cache")
        assert body == static_files()["app.js"].body


@pytest.mark.parametrize(
    "path",
    [
        "/static/x/index.html",
        "/static/x/none.js",
        "/static/x/..%2f..%2fpages.py",
        "/static/x/../pages.py",
        "/static/app.js",
        "/static/",
    ],
)
async def test_nothing_else_is_a_file(path: str) -> None:
    async with running_server() as server:
        assert (await get(server.port, path))[0] == 404


def test_the_page_is_light() -> None:
    assert sum(len(file.compressed) for file in static_files().values()) < WEIGHT_BYTES
    assert sum(len(file.body) for file in static_files().values()) <= UNPACKED_BYTES
    assert {name[name.rfind(".") :] for name in static_files()} == set(CONTENT_TYPES)


@pytest.mark.parametrize("name", [name for name in TEXTS if name.endswith(".js")])
def test_scripts_are_sent_without_comments_and_indentation(name: str) -> None:
    sent = TEXTS[name].split("\n")
    left_out, is_comment = [], False
    for line in (SOURCES / name).read_text("utf-8").split("\n"):
        is_pattern_or_comment = re.search(r"[=(>] ?/|^ *(?://|/?\*)", line)
        assert len(re.findall(r"(?<!\\)`", line)) % 2 == 0 or is_pattern_or_comment, "a text of several lines"
        if sent and line.strip() == sent[0] and not is_comment:
            sent.pop(0)
            continue
        left_out.append(line.strip())
        is_comment = left_out[-1].startswith(("/**", "*")) and not left_out[-1].endswith("*/")
    assert sent == []
    assert left_out
    assert all(line.startswith(("//", "/**", "*")) for line in left_out)
    assert "/**" not in TEXTS[name]


def test_the_style_sheet_is_sent_without_comments_and_indentation() -> None:
    source = (SOURCES / "style.css").read_text("utf-8")
    expected = [line.strip() for line in source.split("\n") if not line.startswith("/*")]
    assert len(expected) < len(source.split("\n"))
    assert TEXTS["style.css"].split("\n") == expected


@pytest.mark.parametrize("name", [name for name in TEXTS if name.endswith(".js")])
def test_scripts_make_no_markup_of_text(name: str) -> None:
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc"
    forbidden = rf"{markup}|\beval\b|new Function|fetch\("
    assert not re.search(forbidden, TEXTS[name])
    for address in re.findall(r'(?:from|import)\s*\(?\s*"([^"]+)"', TEXTS[name]):
        assert address.removeprefix("./") in TEXTS, f"{name} imports {address}"


@pytest.mark.parametrize("is_dark", [True, False], ids=["dark", "light"])
def test_colors_have_contrast(is_dark: bool) -> None:
    dark, light, *_ = re.findall(r":root \{([^}]*)\}", TEXTS["style.css"])
    colors = dict(re.findall(r"--([\w-]+): #([0-9a-f]+)", dark if is_dark else light))
    rgb = {
        name: tuple(bytes.fromhex(color if len(color) == 6 else "".join(char * 2 for char in color)))
        for name, color in colors.items()
    }
    names = {f"c{number}" for number in range(13)}
    assert len({rgb[name] for name in names}) == 13
    for color in (*names, "text", "dim", "accent", "warn"):
        for background in ("back", "panel", "raised", "mention"):
            ratio = contrast(rgb[color], rgb[background])  # type: ignore[arg-type]
            assert ratio >= MIN_CONTRAST, (color, background)


def test_the_page_names_files_that_exist_and_no_other_host() -> None:
    for address in re.findall(r'(?:src|href)="([^"]+)"', TEXTS[INDEX]):
        assert re.fullmatch(r"/static/[0-9a-f]{12}/([a-z]+\.[a-z]+)", address)
        assert address.rpartition("/")[2] in TEXTS
    # All scripts are requested at once, not one after the other as each names the next.
    scripts = {name for name in TEXTS if name.endswith(".js")}
    assert {
        address.rpartition("/")[2] for address in re.findall(r'"(/static/[^"]+\.js)"', TEXTS[INDEX])
    } == scripts
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src=)", TEXTS[INDEX])
    assert not re.search(r"url\(|@import", TEXTS["style.css"])
