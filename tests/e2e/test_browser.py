"""The page in a real browser, with a real server and a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.server.token_store import TokenStore
from broadcast_tui.tui.model.text.colors import NameHues
from broadcast_tui.tui.model.text.links import real_hosts
from broadcast_tui.tui.model.text.markup import TextStyle, styled_spans
from broadcast_tui.tui.model.text.shown_text import shown_text
from tests.e2e.conftest import IN_BROWSER, Open, ServerProcess, unlimited_server
from tests.support.browser import DESKTOP, PHONE, Browser, Page
from tests.support.browser_person import (
    ask,
    choose,
    equals,
    imported,
    is_online,
    person,
    post,
    say,
    sees,
    sees_only,
    v1_client,
)

pytestmark = IN_BROWSER

AXE = Path(__file__).parents[2] / "build" / "axe.min.js"
"""axe-core, which `.ci/run` downloads."""
WEIGHT_BYTES = 60_000
"""Maximum size of the page and all its files, as transferred."""


server = pytest.fixture(unlimited_server)


async def test_two_browsers_and_a_terminal_outlast_the_server(
    browser: Browser, server: ServerProcess, open_terminal: Open
) -> None:
    async with (
        person(browser, server.port, "ana", "/rooms/ops") as ana,
        person(browser, server.port, "bob", "/rooms/ops", PHONE) as bob,
    ):
        cleo = open_terminal("chat", f"{server.url}/ops", "--name", "cleo")
        cleo.wait_for("3 here")
        await say(ana, "hello from ana")
        await sees(bob, "hello from ana")
        cleo.wait_for("hello from ana")
        cleo.enter("hello from cleo")
        await sees(ana, "hello from ana", "hello from cleo")
        await sees(bob, "hello from ana", "hello from cleo")

        server.kill()
        await bob.until("document.body.dataset.state === 'waiting'")
        await say(bob, "written while it was down")
        await bob.until("document.querySelectorAll('.post.pending').length === 1")
        # What waits to be sent outlasts the page as well.
        await bob.go("about:blank")
        server.start()
        await bob.go(f"http://127.0.0.1:{server.port}/rooms/ops")
        await ana.run("window.dispatchEvent(new Event('online'))")  # now, not after the next delay
        for page in (ana, bob):
            await sees(page, "hello from ana", "hello from cleo", "written while it was down")
        cleo.wait_for("written while it was down")
        assert cleo.text.count("written while it was down") == 1
        assert await bob.run("document.querySelectorAll('.post.pending').length") == 0
        assert await bob.run("Object.keys(localStorage).filter(key => key.includes('outbox')).length") == 0


async def test_a_post_is_answered_edited_and_deleted(browser: Browser, server: ServerProcess) -> None:
    async with (
        person(browser, server.port, "ana") as ana,
        person(browser, server.port, "bob", "/", PHONE) as bob,
    ):
        await say(ana, "Lunch at one?")
        await sees(bob, "Lunch at one?")
        await bob.click(".post .more")
        await bob.click("dialog[open] .chips button")
        await ana.until("document.querySelector('.post .chips button')?.textContent", equals("👍 1"))
        await bob.click(".post .more")
        await choose(bob, "dialog button", "Reply")
        await say(bob, "Yes")
        await ana.until("document.querySelector('.quote')?.textContent", equals("↪ ana: Lunch at one?"))

        await ana.run("document.getElementById('input').focus()")
        await ana.press("ArrowUp")
        await ana.run("document.getElementById('input').value = ''")
        await say(ana, "Lunch at two?")
        await sees(bob, "Lunch at two?", "Yes")
        await bob.until("document.querySelector('.post small')?.textContent", equals("edited"))
        await ana.click(".post .more")
        await choose(ana, "dialog button", "Delete…")
        await ana.click("dialog[open] button.primary")
        await sees(bob, "Deleted by ana.", "Yes")

        ana.problems.clear()
        await choose(ana, "#people-list button", "bob")
        await choose(ana, "dialog button", "Write a direct message")
        await ana.until("document.getElementById('title').textContent", equals("bob"))
        await say(ana, "only for you")
        await bob.click("#open-rooms")
        await bob.until(
            "[...document.querySelectorAll('#room-list button')].at(-1).textContent", equals("ana1")
        )
        await bob.run("[...document.querySelectorAll('#room-list button')].at(-1).click()")
        await sees(bob, "only for you")
        assert ana.problems == bob.problems == []


async def test_older_posts_questions_search_and_the_unread_line(
    browser: Browser, server: ServerProcess
) -> None:
    socket = v1_client(server.url, "tim")
    for number in range(120):
        post(socket, f"post {number}")
    async with person(browser, server.port, "ana", size=PHONE) as ana:
        await sees(ana, "post 118", "post 119")
        assert await ana.run("document.querySelectorAll('.post').length") == 50
        # What is read stays where it is while older posts are loaded above it.
        place = "[...document.querySelectorAll('.post')].find(e => e.textContent.includes('post {}'))"
        place += ".getBoundingClientRect().top"
        for first, count in ((71, 100), (21, 120)):
            await ana.run("document.getElementById('log').scrollTop = 100")
            before = await ana.run(place.format(first))
            await ana.until("document.querySelectorAll('.post').length", equals(count))
            assert abs(await ana.run(place.format(first)) - before) < 2
        await ana.until("document.querySelectorAll('.older').length", equals(0))
        for number in (1, 2):
            post(socket, f"post {119 + number}")
            await ana.until("document.getElementById('newest').textContent", equals(f"↓ {number} new"))
        assert abs(await ana.run(place.format(21)) - before) < 2
        await ana.click("#newest")
        await ana.until("document.getElementById('newest').hidden")

        await ana.go("about:blank")
        post(socket, "Deploy?", ask={"choices": ["yes", "no"], "until_s": 600, "to": ["ana", "tim"]})
        await ana.go(f"http://127.0.0.1:{server.port}/")
        await sees(ana, "post 121", "Deploy?")
        assert await ana.run("document.querySelector('.unread').nextSibling.textContent.includes('Deploy?')")
        await ana.run("[...document.querySelectorAll('.chips button')][0].click()")
        await ana.until("document.querySelector('.chips button').textContent", equals("yes · 1"))
        await ana.until("document.querySelector('.hint').textContent.startsWith('1 of 2 answered.')")

        await ana.click("#search")
        await ana.type("post 42")
        await ana.press("Enter")
        await ana.until("document.querySelector('.result .text')?.textContent", equals("post 42"))
        await ana.click(".result")
        await ana.until("document.querySelectorAll('dialog .text').length", equals(11))
        assert ana.problems == []
    socket.close()


async def test_a_token_leaves_the_address_bar(
    browser: Browser, server: ServerProcess, book: TokenStore
) -> None:
    secret, _ = book.create("ken", Role.MEMBER, None)
    server.stop()
    server.start("--auth", "token", "--tokens", str(book.path))
    async with person(browser, server.port, "", f"/rooms/ops#token={secret}") as ken:
        await sees_only(ken, "#people-list li", "kenyou")
        assert await ken.run("location.href") == f"http://127.0.0.1:{server.port}/rooms/ops"
        assert not any(secret in url for url in ken.requests)
        await say(ken, "hello")
        await sees(ken, "hello")
        book.revoke("ken")
        await ken.until("document.querySelector('dialog[open] input')?.type", equals("password"))
        await ken.type(book.create("ken", Role.MEMBER, None)[0])
        await ken.press("Enter")
        await is_online(ken)
        await sees(ken, "hello")


async def test_a_taken_name_is_asked_for_again(browser: Browser, server: ServerProcess) -> None:
    async with person(browser, server.port, "ana"):
        other = await browser.open(f"http://127.0.0.1:{server.port}/")
        await other.until("document.querySelector('dialog[open] input:focus') !== null")
        await other.type("Ana")
        await other.press("Enter")
        await other.until("document.querySelector('dialog[open] .error')?.textContent")
        await other.run("document.querySelector('dialog input').value = 'anna'")
        await other.press("Enter")
        await is_online(other)
        await sees_only(other, "#people-list li", "ana", "annayou")
        await other.close()


MARKUP = [
    "**bold** *it* _it_ ~~no~~ `code` ***both*** snake_case 2*3*4 *.py **open",
    "**bold _both_ bold** \\*not\\* `a ``b`` c` ``x`y`` ` `",
    "see https://example.com/a_(b)_c, (https://example.org/x?y=1#z). and http://[::1]:80/ HTTPS://EXAMPLE.com!",
    "[text](https://example.com/) [a.com](https://a.com) [a.com](https://b.com) [`x`](https://e.com) `[q](` https://x.y`",
    "https://user@host.com https://bücher.example/ü https://exa\\mple.com http:// https://a..b",
    "*a **b* c** __x__ ~a~ *** ** * `` ` ~~ **a** b**c**d (*x*) «_y_» **ü**ü",
    "a*b* *c*d _e_f ~~g~~h **i**, *j*. **`k`** *[l](https://m.com)* `**n**`",
    r"*why* not ¯\_(ツ)_/¯ or _so_ ¯\_(ツ)_/¯, `¯\_(ツ)_/¯` ¯\_ \_/¯",
]


async def test_markdown_is_that_of_the_terminal(browser: Browser, server: ServerProcess) -> None:
    async with person(browser, server.port, "ana") as page:
        for line in MARKUP:
            shown = await page.run(
                f"{imported('markdown.js')}.then({STYLES_OF})".replace("LINE", json.dumps(line))
            )
            expected = ["" for _ in line]
            for span in styled_spans(line):
                for at in range(span.start, span.end):
                    expected[at] = _tags(span.style)
            assert list(zip(line, shown["styles"], strict=True)) == list(zip(line, expected, strict=True))
            assert shown["hosts"] == list(real_hosts(line))


BLOCKS = [
    "Yes, it runs first:\n```sql\ncreate index;\n```",
    "```\na\n```\nb **c**\n\n```py\nd *e*",
    "see [the runbook](https://wiki.example.org/deploy), or [b.com](https://a.com/x)",
]


async def test_a_line_of_a_post_is_that_of_the_terminal(browser: Browser, server: ServerProcess) -> None:
    async with person(browser, server.port, "ana") as page:
        for text in (*MARKUP, *BLOCKS):
            line = await page.run(f"{imported('markdown.js')}.then(m => m.plainLine({json.dumps(text)}))")
            assert line == " ".join(shown_text(text).text.split())


async def test_markers_are_copied_but_not_shown(browser: Browser, server: ServerProcess) -> None:
    # The last of these links imitates another host.
    text = "**b** `c` ~~d~~ [the runbook](https://wiki.example.org/deploy) [a.com](https://b.com/x)"
    socket = v1_client(server.url, "tim")
    first = post(socket, text)
    post(socket, "ok", re=first)
    async with person(browser, server.port, "ana") as page:
        await sees(page, text, "ok")
        quoted = "↪ tim: b c d the runbook wiki.example.org [a.com](https://b.com/x)"
        assert await page.run("document.querySelector('.quote').textContent") == quoted
        widths = (
            "Array.from(document.querySelectorAll('.text .marker'), e => e.getBoundingClientRect().width)"
        )
        assert set(await page.run(widths)) == {0}
        links = "Array.from(document.querySelectorAll('.text a'), a => [a.textContent, a.href, a.className])"
        assert await page.run(links) == [
            ["the runbook", "https://wiki.example.org/deploy", ""],
            ["wiki.example.org", "https://wiki.example.org/deploy", "host"],
            ["b.com", "https://b.com/x", ""],
        ]
        select = "getSelection().selectAllChildren(document.querySelector('.text'))"
        assert await page.run(f"{select}; String(getSelection())") == text
        assert await page.run("document.querySelector('.warning').textContent") == "⚠ Links to b.com"
    socket.close()


CODE = {
    "py": ("def f(x):  # it's 1\n    return 'a # b'", ["def", "# it's 1", "return", "'a # b'"]),
    "sql": ("select 42 from posts -- all", ["select", "42", "from", "-- all"]),
    "js": ('/* if\n1 */ let a = "<b>', ["/* if\n1 */", "let", '"<b>']),
    "": ("if 1: 'x'", []),
}
"""Code by language, and the parts that are highlighted."""


@pytest.mark.parametrize("language", CODE)
async def test_code_is_highlighted(browser: Browser, server: ServerProcess, language: str) -> None:
    code, parts = CODE[language]
    async with person(browser, server.port, "ana") as page:
        text = json.dumps(f"```{language}\n{code}\n```")
        spans = "Array.from(nodes[0].querySelectorAll('span'), e => e.textContent)"
        result = f"const {{ nodes }} = render({text}); return [nodes[0].textContent, {spans}];"
        script = f"({{ render }}) => {{ {result} }}"
        assert await page.run(f"{imported('markdown.js')}.then({script})") == [code, parts]


async def test_names_have_the_colors_of_the_terminal(browser: Browser, server: ServerProcess) -> None:
    async with person(browser, server.port, "ana") as page:
        names = ["ana", "Bob", "zoë", "Élodie", "李雷", "guest-10", "Ken W", "ops_1", "x" * 48]
        names += ["ANA", "lea", "mira", "zoe", *(f"p{number}" for number in range(6)), "lea"]
        expected, hues = NameHues(), "const hues = new m.NameHues();"
        result = f"{json.dumps(names)}.map(name => [hues.of(name, true), hues.of(name), hues.of(name, true)])"
        shown = await page.run(f"{imported('text.js')}.then(m => {{ {hues} return {result}; }})")
        assert shown == [[expected.peek(name), expected.of(name), expected.peek(name)] for name in names]


async def test_people_in_a_room_have_different_colors(browser: Browser, server: ServerProcess) -> None:
    names = ["lea", "mira", "zoë"]
    assert len({NameHues().of(name) for name in names}) == 1
    sockets = [v1_client(server.url, name, presence=True) for name in names]
    posts = [post(socket, f"hello from {name}") for name, socket in zip(names, sockets, strict=True)]
    post(sockets[0], "/me agrees", re=posts[1])
    async with person(browser, server.port, "ana") as page:
        await sees_only(page, "#people-list bdi", "ana", *names)
        await page.until("document.querySelectorAll('.post').length === 4")
        colors: dict[str, set[str]] = {}
        script = "Array.from(document.querySelectorAll('bdi[class]'), e => [e.textContent, e.className])"
        for name, color in await page.run(script):
            colors.setdefault(name, set()).add(color)
        assert set(colors) == {"ana", *names}
        assert all(len(each) == 1 for each in colors.values())
        assert len(set.union(*colors.values())) == 4
    for socket in sockets:
        socket.close()


STYLES_OF = """({ render }) => {
  const { nodes, hosts } = render(LINE);
  const root = document.createElement('section');
  root.append(...nodes);
  const styles = [];
  const walk = (node, tags) => {
    for (const child of node.childNodes) {
      const style = [...new Set(tags)].sort().join(' ');
      if (child.nodeType === 3) styles.push(...Array.from(child.data, () => style));
      else if (child.localName === 'div') walk(child, tags);
      else walk(child, [...tags, child.localName === 'span' ? child.className : child.localName]);
    }
  };
  walk(root, []);
  return { styles, hosts: [...hosts] };
}"""


def _tags(style: TextStyle) -> str:
    """The elements of a style. Backticks are not in the code."""
    if style & TextStyle.HIDDEN:
        return "marker"
    if style & TextStyle.MARK:
        style &= ~TextStyle.CODE
    names = {
        TextStyle.BOLD: "strong",
        TextStyle.ITALIC: "em",
        TextStyle.STRUCK: "s",
        TextStyle.CODE: "code",
        TextStyle.LINK: "a",
        TextStyle.HOST: "a",
        TextStyle.MARK: "markup",
    }
    return " ".join(sorted({name for bit, name in names.items() if style & bit}))


DIALOGS = {
    "message": "document.querySelector('.more').click()",
    "thread": "document.querySelector('button.replies').click()",
    "room": "document.getElementById('room').click()",
    "question": "document.getElementById('ask').click()",
    "settings": "document.getElementById('settings').click()",
    "rooms": "document.getElementById('browse').click()",
    "search": "document.getElementById('search').click()",
    "person": "[...document.querySelectorAll('#people-list button')][1].click()",
    "help": "document.getElementById('settings').click(); document.querySelector('.menu button').click()",
}
"""How each dialog is opened."""


async def violations(page: Page) -> object:
    """What axe-core objects to: rules, and the elements that break them."""
    found = "({ violations }) => violations.map((v) => [v.id, v.nodes.map((n) => n.html)])"
    return await page.run(f"axe.run().then({found})")


@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
async def test_the_page_fits_and_is_accessible(
    browser: Browser, server: ServerProcess, book: TokenStore, size: tuple[int, int], dark: bool
) -> None:
    secret, _ = book.create("ana", Role.ADMIN, None)
    server.stop()
    server.start("--tokens", str(book.path), "--auth", "token", "--message-rate", "0")
    other, _ = book.create("tim", Role.MEMBER, None)
    async with person(browser, server.port, "", f"/#token={secret}", size) as page:
        await page.look(size, dark=dark)
        socket = v1_client(server.url, "tim", token=other, presence=True)
        first = post(
            socket, "A " + "long" * 100 + " word, **bold**, `code` and https://example.com/" + "x" * 200
        )
        post(socket, "\n".join(["```", *("code " * 50 for _ in range(20)), "```"]), re=first)
        post(socket, "@ana, deploy?", ask={"choices": ["yes", "no"], "until_s": 600})
        await page.until("document.querySelectorAll('.post').length === 3")
        await say(page, "/me agrees")
        ask(socket, {"type": "topic", "topic": "A topic, " + "long " * 50})
        await page.run("document.querySelectorAll('.post [role=group] button')[0].click()")
        await page.until("document.querySelector('.post [aria-pressed=true]') !== null")
        await page.until("document.querySelectorAll('#people-list button').length === 2")
        assert await page.run("document.documentElement.scrollWidth") == size[0]
        assert await page.run("document.getElementById('log').scrollWidth") <= size[0]
        assert 0 < sum(page.weights.values()) < WEIGHT_BYTES
        if not AXE.exists():
            pytest.skip("needs axe-core: npm pack axe-core, and package/axe.min.js as build/axe.min.js")
        await page.run(AXE.read_text() + "; 0")
        assert await violations(page) == []
        for name, script in DIALOGS.items():
            await page.run(script)
            await page.until("document.querySelector('dialog[open]') !== null")
            if name == "person":
                await page.until("document.querySelector('dialog h3') !== null")
            assert await violations(page) == [], name
            assert await page.run("document.querySelector('dialog').scrollWidth") <= size[0]
            await page.press("Escape")
            await page.until("document.querySelector('dialog[open]') === null")
        if size == PHONE:
            for panel in ("rooms", "people"):
                await page.click(f"#open-{panel}")
                assert await violations(page) == [], panel
                await page.press("Escape")
        server.kill()
        await page.until("document.body.dataset.state === 'waiting'")
        assert await violations(page) == []
        socket.close()


@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
async def test_the_first_question_is_accessible(browser: Browser, server: ServerProcess, dark: bool) -> None:
    if not AXE.exists():
        pytest.skip("needs axe-core: npm pack axe-core, and package/axe.min.js as build/axe.min.js")
    page = await browser.open(f"http://127.0.0.1:{server.port}/", PHONE, dark=dark)
    await page.until("document.querySelector('dialog[open] input:focus') !== null")
    await page.run(AXE.read_text() + "; 0")
    assert await violations(page) == []
    await page.close()
