"""Hostile text in the page: it never becomes markup, a script, another link, or a request to another host."""

from __future__ import annotations

import json
import re

import pytest

from tests.e2e.conftest import IN_BROWSER, ServerProcess, unlimited_server
from tests.fuzz.mutation import seeds
from tests.support.browser import DESKTOP, PHONE, Browser, Page
from tests.support.browser_person import (
    HOOKED,
    ask,
    equals,
    imported,
    person,
    post,
    say,
    sees,
    v1_client,
)
from tests.support.hostile_server import HOSTILE as CONTROLS
from tests.tui.model.text.test_markup import HOSTILE as PATTERNS
from tests.tui.widgets.test_message_log import HOSTILE as MESSAGES

pytestmark = IN_BROWSER
PAGES = [
    "<img src=https://evil.example/a.png onerror=document.title='owned'>",
    "<script>document.title='owned'</script>",
    "[click](javascript:document.title='owned')",
    "javascript:document.title='owned'",
    "[x](data:text/html,<script>1</script>) vbscript:x file:///etc/passwd",
    "[https://bank.example](https://evil.example/a)",
    "[www.bank.com](https://evil.example/b)",
    "https://bank.com@evil.example/",
    "https://b\u0430nk.com/ and https:\\\\evil.example\\x",
    "a\u202eb\u2066c\u200fd \u0301" + "e" + "\u0301" * 50,
    "`<b>code</b>` **<i>bold</i>** ~~<u>struck</u>~~",
    "```html\n<iframe src=https://evil.example>\n```",
    "```js\n// <img src=x onerror=alert(1)>\nlet a = '</script>' + \"\u202e\n```",
]
"""Texts that are hostile to pages."""
PATTERN_CHARS = 3000
CORPUS = list(
    dict.fromkeys(
        [
            *PAGES,
            *CONTROLS.values(),
            *MESSAGES,
            *((pattern * PATTERN_CHARS)[:PATTERN_CHARS] for pattern in PATTERNS.values()),
            *(seed.decode("utf-8", "replace") for seed in seeds("texts")),
        ]
    )
)
"""All hostile texts of the tests: for pages, terminals, the log and parsers, and those of the fuzzer."""

INVISIBLE = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
"""What no text of the page may contain: controls, overrides of the direction, invisible characters."""
TAGS = {
    *("body", "noscript", "div", "nav", "main", "aside", "header", "form", "dialog", "section", "article"),
    *("h1", "h2", "h3", "p", "ul", "li", "button", "textarea", "input", "label", "select", "option"),
    *("a", "bdi", "code", "em", "pre", "s", "small", "span", "strong", "time", "svg", "path", "circle"),
}
ATTRIBUTES = {
    *(
        "class",
        "id",
        "title",
        "href",
        "target",
        "rel",
        "role",
        "tabindex",
        "hidden",
        "disabled",
        "for",
        "type",
    ),
    *(
        "datetime",
        "placeholder",
        "rows",
        "value",
        "maxlength",
        "novalidate",
        "autocomplete",
        "autocapitalize",
    ),
    *("enterkeyhint", "required", "viewBox", "d", "cx", "cy", "r", "open"),
}
FOUND = """((root) => {
  const elements = [...root.querySelectorAll("*")];
  const attributes = elements.flatMap((e) => [...e.attributes].map((a) => [a.name, a.value, e.localName]));
  const isShown = ([name]) => name === "title" || name === "aria-label";
  const shown = attributes.filter(isShown).map(([, value]) => value);
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) shown.push(texts.currentNode.data);
  return {
    tags: [...new Set(elements.map((e) => e.localName))],
    names: [...new Set(attributes.map(([name]) => name))],
    links: elements.filter((e) => e.localName === "a").map((a) => [a.protocol, a.rel, a.target]),
    shown,
    width: document.documentElement.scrollWidth,
  };
})"""


server = pytest.fixture(unlimited_server)


async def check(page: Page, width: int, root: str = "body") -> None:
    """Check that everything in an element is text, or an element that the page makes."""
    found = await page.run(f"{FOUND}(document.querySelector('{root}'))")
    assert set(found["tags"]) <= TAGS
    names = {name for name in found["names"] if not name.startswith(("aria-", "data-"))}
    assert names <= ATTRIBUTES
    assert {tuple(link) for link in found["links"]} <= {
        (scheme, "noopener noreferrer", "_blank") for scheme in ("http:", "https:")
    }
    for text in found["shown"]:
        assert not INVISIBLE.search(text), ascii(text)
    assert found["width"] == width
    assert "owned" not in await page.run("document.title")
    assert page.problems == []


async def test_problems_are_noticed(browser: Browser, server: ServerProcess) -> None:
    """Otherwise, the other tests could not fail."""
    async with person(browser, server.port, "ana") as page:
        with pytest.raises(Exception, match="TrustedHTML"):
            await page.run("document.querySelector('main').innerHTML = '<b>x</b>'")
        await page.run("document.body.append(document.createElement('script')); 0")
        image = "document.createElement('img'), { src: 'https://evil.example/a.png' }"
        await page.run(f"document.body.append(Object.assign({image})); 0")
        await page.until("document.querySelectorAll('img').length === 1")
        await page.run("new Promise(done => setTimeout(done))")
        assert any("evil.example" in problem for problem in page.problems)
        assert any("evil.example" in url for url in page.requests)
        page.requests.clear()
        with pytest.raises(AssertionError):
            await check(page, DESKTOP[0])


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
async def test_text_of_a_hostile_server_stays_text(
    browser: Browser, server: ServerProcess, size: tuple[int, int]
) -> None:
    """A server that sends hostile text as it is, wherever there is a text."""
    socket = v1_client(server.url, "tim")
    epoch, seq = post(socket, "first").split("-")
    frames: list[dict[str, object]] = []
    at = "2025-08-30T10:30:40+00:00"

    def entry(kind: str, **fields: object) -> str:
        """Add a post or note; returns its id."""
        identifier = f"{epoch}-{int(seq) + 1 + sum('id' in frame for frame in frames)}"
        frames.append({"type": kind, "room": "lobby", "timestamp": at, "id": identifier, **fields})
        return identifier

    for evil in CORPUS:
        votes = {f"{evil}{number}": {"count": 2, "names": [evil, "ana"]} for number in range(2)}
        question = {"choices": [evil, "constructor"], "until": evil, "of": 2, "to": [evil]}
        asked = entry("message", sender=evil, message=evil, ask=question, tally=votes, waiting=[evil])
        reply = entry("message", sender="eve", message=f"/me {evil}", re=asked, root=asked)
        entry("note", note="react", re=asked, by=evil, now={"reactions": votes})
        entry("note", note="pin", re=asked, by=evil, now={"pinned": {"by": evil, "at": evil}})
        entry("note", note="edit", re=reply, by=evil, now={"message": evil, "edited": evil})
        if len(frames) % 2:
            entry(
                "note",
                note="delete",
                re=reply,
                by=evil,
                now={"deleted": {"by": evil, "at": evil, "reason": evil}},
            )
        people = {
            "type": "system",
            "room": "lobby",
            "message": evil,
            "timestamp": at,
            "online": 3,
            "names": [evil],
        }
        frames += [{**people, "event": event} for event in ("join", "leave", "rename", "notice")]
        frames.append({"type": "topic", "room": "lobby", "topic": evil, "name": evil})
        frames.append({"type": "typing", "room": "lobby", "name": evil})
        frames.append({"type": "error", "code": evil, "message": evil, "temporary": False})
    members = [
        {"name": f"{evil}{number}", "connections": 1, "away": evil} for number, evil in enumerate(CORPUS)
    ]
    posts = [frame for frame in frames if frame["type"] == "message"]
    answers = {
        "presence": {"online": 9, "members": members, "truncated": False},
        "list": {
            "rooms": [{"room": evil, "online": 1, "topic": evil} for evil in CORPUS],
            "truncated": False,
        },
        "search": {"items": posts, "more": False},
        "history": {"items": posts, "more": False},
        "bans": {
            "items": [
                {"action": a, "kind": k, "who": evil, "by": evil, "reason": evil, "until": evil}
                for evil in CORPUS
                for a, k in (("ban", "name"), ("mute", "address"))
            ]
        },
    }
    hooked = f"""{HOOKED}
      window.answer = () => (window.socket.send = (text) => {{
        const {{ type, ref, room }} = JSON.parse(text);
        const answer = {json.dumps(answers)}[type];
        if (answer) setTimeout(() => inject({{ ...answer, type, ref, room }}));
      }});"""
    async with person(browser, server.port, "ana", size=size, before=hooked) as page:
        await sees(page, "first")
        await page.run("answer(); 0")
        await page.run(f"for (const frame of {json.dumps(frames)}) inject(frame); 0")
        await page.until("document.querySelectorAll('.post').length", equals(2 * len(CORPUS) + 1))
        await page.until("document.querySelectorAll('#people-list li').length", equals(len(CORPUS)))
        await check(page, size[0])
        for index in range(1, 2 * len(CORPUS), 2):
            await page.run(f"document.querySelectorAll('.post')[{index}].querySelector('.more').click()")
            await check(page, size[0], "dialog")
        await page.run("document.getElementById('close-dialog').click()")
        for index in (0, 12, 20, len(CORPUS) - 1):
            await page.run(f"document.querySelectorAll('#people-list button')[{index}].click()")
            await check(page, size[0])
        await page.run("document.getElementById('close-dialog').click()")
        for command, shown in (
            ("/search x", ".result"),
            ("/pins", "dialog .text"),
            ("/bans", "dialog .row"),
            ("/join", ".result"),
        ):
            await say(page, command)
            await page.until(f"document.querySelectorAll('{shown}').length >= {len(CORPUS)}")
            await check(page, size[0])
            await page.run("document.getElementById('close-dialog').click()")
        await page.run("document.querySelectorAll('button.replies')[1].click()")
        await page.until("document.querySelectorAll('.thread .post').length > 10")
        await check(page, size[0])
    socket.close()


async def test_hostile_text_stays_text(browser: Browser, server: ServerProcess) -> None:
    socket = v1_client(server.url, "eve")
    for text in PAGES:
        post(socket, text)
    ask(socket, {"type": "topic", "topic": "<img src=x onerror=alert(1)> javascript:alert(1)"})
    async with person(browser, server.port, "ana") as page:
        await page.until("document.querySelectorAll('.post').length", equals(len(PAGES)))
        await page.until("document.getElementById('topic').textContent.startsWith('<img')")
        assert await page.run("document.title") == "#lobby"
        tags = await page.run(
            "[...new Set(Array.from(document.querySelectorAll('#rows *'), e => e.localName))].sort()"
        )
        allowed = {
            "a",
            "article",
            "bdi",
            "button",
            "code",
            "div",
            "em",
            "p",
            "pre",
            "s",
            "small",
            "span",
            "strong",
            "time",
        }
        assert set(tags) <= allowed
        links = await page.run(
            "Array.from(document.querySelectorAll('#log a'), a => [a.protocol, a.host, a.rel, a.textContent])"
        )
        assert {protocol for protocol, *_ in links} <= {"http:", "https:"}
        assert {rel for _, _, rel, _ in links} == {"noopener noreferrer"}
        # A link that imitates another host shows the real one, and only that is a link.
        shown = [text for _, host, _, text in links if host == "evil.example"]
        assert shown == ["https://evil.example/a.png", "evil.example", "evil.example"]
        warnings = await page.run("Array.from(document.querySelectorAll('.warning'), p => p.textContent)")
        assert warnings == ["⚠ Links to evil.example"] * 3 + ["⚠ Links to xn--bnk-6cd.com"]
        # The page does not depend on the server for this.
        shown = await page.run(
            f"{imported('text.js')}.then(m => m.visible('a\\u202eb\\u2066c\\x1b\\tq\\u0301'.repeat(2)))"
        )
        assert shown == "a\ufffdb\ufffdc\u241b    q\u0301" * 2
        assert page.problems == []
    socket.close()
