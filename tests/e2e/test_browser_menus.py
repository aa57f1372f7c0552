"""What people do in the page besides writing: topics, questions, threads, moderation, notifications."""

from __future__ import annotations

import json

import pytest

from broadcast_tui.core.hub.auth import Role
from broadcast_tui.server.token_store import TokenStore
from tests.e2e.conftest import IN_BROWSER, ServerProcess, unlimited_server
from tests.support.browser import PHONE, Browser, Page
from tests.support.browser_person import (
    choose,
    equals,
    person,
    post,
    say,
    sees,
    sees_only,
    v1_client,
)

pytestmark = IN_BROWSER


server = pytest.fixture(unlimited_server)


async def fill(page: Page, label: str, text: str) -> None:
    """Replace the text of the field of a dialog whose label starts with `label`."""
    starts = f"e => e.textContent.startsWith({json.dumps(label)})"
    find = f"[...document.querySelectorAll('dialog[open] label')].find({starts})"
    await page.until(f"{find} !== undefined")
    await page.run(f"{find}.control.value = ''; {find}.control.focus()")
    await page.type(text)


async def closes(page: Page) -> None:
    await page.until("document.querySelector('dialog[open]') === null")


async def alerts(page: Page, text: str) -> None:
    await page.until("document.getElementById('alert').textContent", equals(text))


async def test_topics_are_set_and_seen(browser: Browser, server: ServerProcess) -> None:
    async with (
        person(browser, server.port, "ana") as ana,
        person(browser, server.port, "bob", "/", PHONE) as bob,
    ):
        for text in ("Release on Friday", "Release on Monday"):
            await ana.click("#room")
            await fill(ana, "Topic", text)
            await ana.press("Enter")
            await closes(ana)
            for page in (ana, bob):
                await page.until("document.getElementById('topic').textContent", equals(text))
        await sees_only(
            bob,
            ".line:not(.join)",
            "ana set the topic: Release on Friday",
            "ana set the topic: Release on Monday",
        )
        await say(ana, "/topic -")
        await bob.until("document.getElementById('topic').textContent", equals(""))
        assert ana.problems == bob.problems == []


async def test_questions_are_asked_and_answered(browser: Browser, server: ServerProcess) -> None:
    async with (
        person(browser, server.port, "ana") as ana,
        person(browser, server.port, "bob", "/", PHONE) as bob,
    ):
        await sees_only(ana, "#people-list bdi", "ana", "bob")
        await ana.click("#ask")
        await fill(ana, "Question", "Lunch at one?")
        await fill(ana, "Choices", "yes\nno\nconstructor\nyes")
        await fill(ana, "People", "bob")
        await choose(ana, "dialog button", "Ask")
        await closes(ana)
        await sees_only(bob, ".post [role=group] button", "yes · 0", "no · 0", "constructor · 0")
        await choose(bob, ".post [role=group] button", "no")
        await ana.until(
            "document.querySelector('.post .hint').textContent", equals("1 of 1 answered. Closed.")
        )
        await say(ana, "/poll Tea? | green | black")
        await sees_only(bob, ".post:last-child [role=group] button", "green · 0", "black · 0")
        await say(ana, "/announce Deploying in 5 minutes")
        await sees(bob, "Lunch at one?", "Tea?", "Deploying in 5 minutes")
        await choose(bob, ".post:last-child [role=group] button", "ok")
        await ana.until(
            "[...document.querySelectorAll('.hint')].at(-1).textContent", equals("1 of 1 answered. Closed.")
        )

        await ana.click("#ask")
        await fill(ana, "Question", "Too many?")
        await fill(ana, "Choices", "\n".join(str(number) for number in range(11)))
        await choose(ana, "dialog button", "Ask")
        await ana.until(
            "document.querySelector('dialog .error').textContent",
            equals("A question has at most 10 choices."),
        )
        assert ana.problems == bob.problems == []


async def test_a_question_that_waits_stays_in_sight(browser: Browser, server: ServerProcess) -> None:
    socket = v1_client(server.url, "tim")
    async with person(browser, server.port, "ana", size=PHONE) as ana:
        question = post(socket, "Deploy?", ask={"choices": ["yes", "no"], "until_s": 600, "to": ["ana"]})
        await sees(ana, "Deploy?")
        assert await ana.run("document.getElementById('question').hidden")  # its buttons are in sight
        for number in range(30):
            post(socket, f"talk {number}")
        await ana.until("document.getElementById('question').textContent", equals("tim asks: Deploy?"))
        await ana.click("#question")
        await ana.until("document.getElementById('question').hidden")
        assert await ana.run("document.activeElement.dataset.seq") == question.split("-")[1]
        await choose(ana, ".post [role=group] button", "no")
        await ana.until("document.querySelector('.hint').textContent", equals("1 of 1 answered. Closed."))
        await ana.click("#newest")
        await ana.until("document.getElementById('newest').hidden")
        assert await ana.run("document.getElementById('question').hidden")
        assert ana.problems == []
    socket.close()


async def test_a_thread_is_shown_and_goes_on(browser: Browser, server: ServerProcess) -> None:
    socket = v1_client(server.url, "tim")
    first = post(socket, "Where do we meet?")
    post(socket, "Something else")
    reply = post(socket, "At the station", re=first)
    async with (
        person(browser, server.port, "ana") as ana,
        person(browser, server.port, "bob", "/", PHONE) as bob,
    ):
        await bob.click("button.replies")
        await sees_only(bob, ".thread .text", "Where do we meet?", "At the station")
        await fill(bob, "Reply", "Which one?")
        await bob.press("Enter")
        await sees_only(
            bob, ".thread .post:not(.pending) .text", "Where do we meet?", "At the station", "Which one?"
        )
        post(socket, "The main one", re=reply)
        await sees_only(
            bob,
            ".thread .post:not(.pending) .text",
            "Where do we meet?",
            "At the station",
            "Which one?",
            "The main one",
        )
        await bob.press("Escape")
        await closes(bob)
        await ana.until("document.querySelector('button.replies').textContent", equals("3 replies"))
        await sees(ana, "Where do we meet?", "Something else", "At the station", "Which one?", "The main one")
        assert ana.problems == bob.problems == []
    socket.close()


async def test_admins_moderate(browser: Browser, server: ServerProcess, book: TokenStore) -> None:
    boss, _ = book.create("boss", Role.ADMIN, None)
    ken, _ = book.create("ken", Role.MEMBER, None)
    server.stop()
    server.start("--auth", "token", "--tokens", str(book.path), "--message-rate", "0")
    async with (
        person(browser, server.port, "", f"/#token={boss}") as admin,
        person(browser, server.port, "", f"/#token={ken}", PHONE) as member,
    ):
        await say(member, "Buy now!")
        await sees(admin, "Buy now!")
        await admin.click(".post .more")
        await choose(admin, "dialog button", "Delete…")
        await fill(admin, "Reason", "spam")
        await admin.press("Enter")
        await sees(member, "Deleted by boss: spam")

        await sees_only(admin, "#people-list bdi", "boss", "ken")
        await choose(admin, "#people-list button", "ken")
        await fill(admin, "Reason", "again")
        await choose(admin, "dialog button", "Mute")
        await admin.until("document.getElementById('alert').textContent.startsWith('Muted ken until ')")
        await say(member, "Buy!")
        await member.until("document.getElementById('input').value", equals("Buy!"))
        await choose(admin, "#people-list button", "ken")
        await admin.until("document.querySelector('dialog .row')?.textContent.includes('by boss: again')")
        await choose(admin, "dialog button", "Unmute")
        await alerts(admin, "Unmuted ken.")
        await member.run("document.getElementById('input').value = ''")
        await say(member, "Sorry.")
        await sees(admin, "Deleted by boss: spam", "Sorry.")

        await choose(admin, "#people-list button", "ken")
        await choose(admin, "dialog button", "Kick")
        await alerts(admin, "Kicked ken.")
        await member.until("document.body.dataset.state === 'refused'")
        await choose(member, "#connection button", "Connect now")
        await member.until("document.body.dataset.state === 'online'")

        # Members see none of it, and the server would refuse it.
        await member.click("#open-people")
        await choose(member, "#people-list button", "boss")
        await choose(member, "dialog button", "Ignore")
        assert await member.run("document.querySelectorAll('dialog section > *').length") == 0
        await say(member, "/bans")
        await member.until("document.getElementById('alert').textContent.includes('admin')")

        await say(admin, "/ban ken")
        await choose(admin, "dialog button", "Ban")
        await member.until("document.body.dataset.state === 'refused'")
        await say(admin, "/bans")
        await choose(admin, "dialog button", "Unban")
        await alerts(admin, "Unbanned ken.")
        assert admin.problems == []


SEEN = """
window.seen = [];
window.asked = 0;
window.permission = "default";
window.Notification = class {
  static get permission() { return window.permission; }
  static async requestPermission() { window.asked += 1; return (window.permission = "granted"); }
  constructor(title, { body }) { window.seen.push(`${title}: ${body}`); }
  close() {}
};
window.hide = (isHidden) => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  const state = isHidden ? "hidden" : "visible";
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
};
"""
"""Notifications that can be counted, and a page that can be hidden."""


async def test_notifications(browser: Browser, server: ServerProcess) -> None:
    socket = v1_client(server.url, "tim")
    async with person(browser, server.port, "ana", before=SEEN) as ana:

        async def wrote(*texts: str) -> list[str]:
            """The notifications when all these texts have arrived."""
            for text in texts:
                post(socket, text)
            await sees(ana, *texts)
            shown: list[str] = await ana.run("window.seen.splice(0)")
            return shown

        await ana.run("hide(true)")
        assert await wrote("ana: nobody has asked for this") == []
        await ana.run("hide(false)")
        assert await ana.run("window.asked") == 0
        await ana.click("#settings")
        await choose(ana, "dialog button", "Turn on notifications")
        await ana.until("document.querySelector('dialog').textContent.includes('Notifications are on.')")
        assert await ana.run("window.asked") == 1
        await ana.press("Escape")

        assert await wrote("ana: you are looking") == []
        await ana.run("hide(true)")
        assert await wrote("not for you, banana", "for you, Ana") == ["tim in #lobby: for you, Ana"]
        for level, expected in (("all", ["tim in #lobby: all", "tim in #lobby: ana, all"]), ("off", [])):
            await ana.run("document.getElementById('room').click()")
            await ana.run(
                f"document.querySelector('dialog select').value = '{level}';"
                "document.querySelector('dialog select').dispatchEvent(new Event('change'));"
                "document.getElementById('close-dialog').click()"
            )
            assert await wrote(level, f"ana, {level}") == expected
        await ana.run("document.getElementById('room').click()")
        assert await ana.run("document.querySelector('dialog select').value") == "off"
        assert await ana.run("window.asked") == 1
        await ana.until("document.title", equals("(6) #lobby"))
        assert ana.problems == []
    socket.close()


async def test_ignored_people_are_hidden(browser: Browser, server: ServerProcess) -> None:
    socket = v1_client(server.url, "eve")
    async with person(browser, server.port, "ana", before=SEEN) as ana:
        await ana.run("window.permission = 'granted'")
        post(socket, "one")
        await sees(ana, "one")
        await ana.click(".post .more")
        await choose(ana, "dialog button", "About eve…")
        await choose(ana, "dialog button", "Ignore")
        await ana.until("document.querySelectorAll('.post').length", equals(0))
        await ana.run("hide(true)")
        post(socket, "ana, ana!")
        await ana.run("hide(false)")
        await say(ana, "calm")
        await sees_only(ana, ".post:not(.pending) .text", "calm")
        assert await ana.run("window.seen.length") == 0
        await ana.go(f"http://127.0.0.1:{server.port}/")  # also the next time
        await sees_only(ana, ".post .text", "calm")
        await ana.click("#settings")
        await choose(ana, "dialog button", "Ignored people…")
        await choose(ana, "dialog button", "Stop ignoring eve")
        await sees_only(ana, ".post .text", "one", "ana, ana!", "calm")
        assert ana.problems == []
    socket.close()


async def test_commands_run_and_unknown_ones_are_not_sent(browser: Browser, server: ServerProcess) -> None:
    async with (
        person(browser, server.port, "ana") as ana,
        person(browser, server.port, "Bob B", "/", PHONE) as bob,
    ):
        await sees_only(ana, "#people-list bdi", "ana", "Bob B")
        await say(ana, "/joni ops")
        await alerts(ana, "No such command: /joni. /help lists the commands. To send it as text: //joni")
        assert await ana.run("document.getElementById('input').value") == "/joni ops"
        await ana.run("document.getElementById('input').value = ''")
        await say(ana, "//joni ops")
        await say(ana, "/me waves")
        await sees(bob, "/joni ops", "ana waves")
        await say(ana, "/poll what?")
        await ana.until(
            "document.getElementById('alert').textContent.startsWith('Write a question and at least')"
        )
        await ana.until("document.getElementById('input').value", equals("/poll what?"))
        await ana.run("document.getElementById('input').value = ''")

        await say(ana, "/away lunch")
        await bob.until(
            "[...document.querySelectorAll('#people-list li')].map(e => e.textContent)[0]",
            equals("anaaway: lunch"),
        )
        await say(ana, "/back")
        await bob.until(
            "[...document.querySelectorAll('#people-list li')].map(e => e.textContent)[0]", equals("ana")
        )
        await say(ana, "/msg bob b only you")
        await ana.until("document.getElementById('title').textContent", equals("Bob B"))
        await sees(ana, "only you")
        await say(ana, "/join #Ops")
        await ana.until("location.pathname === '/rooms/ops'")
        await say(ana, "/nick anna")
        await sees_only(ana, "#people-list bdi", "anna")
        await say(ana, "/search nothing")
        await ana.until("document.querySelector('dialog .stack')?.textContent", equals("Nothing was found."))
        await ana.press("Escape")
        await closes(ana)
        await say(ana, "/leave")
        await ana.until("document.getElementById('title').textContent", equals("#lobby"))
        await say(ana, "/help")
        await ana.until("document.querySelector('dialog dl').textContent.includes('/topic [text]')")
        assert ana.problems == bob.problems == []


async def test_names_and_commands_are_suggested(browser: Browser, server: ServerProcess) -> None:
    socket = v1_client(server.url, "Zoë")
    post(socket, "hi")
    async with person(browser, server.port, "ana") as ana:
        await sees(ana, "hi")
        await ana.run("document.getElementById('input').focus()")
        await ana.type("thanks @z")
        await sees_only(ana, "#suggestions [aria-selected=true] bdi", "@Zoë")
        assert (
            await ana.run("document.getElementById('input').getAttribute('aria-activedescendant')")
            == "suggestion-0"
        )
        await ana.press("Tab")
        assert await ana.run("document.getElementById('input').value") == "thanks @Zoë "
        assert await ana.run("document.getElementById('suggestions').hidden")
        await ana.press("Enter")
        await sees(ana, "hi", "thanks @Zoë")
        await ana.type("/")
        await ana.press("ArrowDown")
        await sees_only(ana, "#suggestions [aria-selected=true] bdi", "/shrug")
        await ana.press("Escape")
        await ana.until("document.getElementById('suggestions').hidden")
        assert await ana.run("document.activeElement.id") == "input"
        assert ana.problems == []
    socket.close()


async def test_a_keyboard_is_enough(browser: Browser, server: ServerProcess) -> None:
    socket = v1_client(server.url, "tim")
    post(socket, "first")
    post(socket, "\n".join(f"line {number}" for number in range(40)))
    async with person(browser, server.port, "ana") as ana:
        await ana.until("document.querySelectorAll('.post').length", equals(2))
        assert await ana.run("document.querySelector('.folded').offsetHeight < 300")
        await ana.run("document.querySelector('.unfold').focus()")
        await ana.press("Enter")
        await ana.until("document.querySelector('.folded') === null")
        await ana.run("document.getElementById('log').focus()")
        for _ in range(2):
            await ana.press("ArrowUp")
        await ana.press("r")
        await ana.until("document.getElementById('about-text').textContent", equals("Reply to tim: first"))
        await ana.type("me too")
        await ana.press("Enter")
        await ana.until("document.querySelector('.quote')?.textContent", equals("↪ tim: first"))
        await ana.run("document.getElementById('log').focus()")
        await ana.press("ArrowUp")
        await ana.press("p")
        await ana.until(
            "document.querySelector('.post:last-child small')?.textContent", equals("📌 pinned by ana")
        )
        await ana.press("e")
        await ana.until("document.getElementById('input').value", equals("me too"))
        await ana.press("Escape")
        await ana.run("document.getElementById('log').focus()")
        await ana.press("ArrowUp")
        await ana.press("d")
        await choose(ana, "dialog button", "Delete")
        await ana.until("document.querySelectorAll('.post.deleted').length", equals(1))
        await ana.run("document.activeElement.blur()")
        await ana.press("x")  # goes to the input, wherever the focus is
        await ana.until("document.getElementById('input').value", equals("x"))
        await ana.press("k", control=True)
        await ana.until("document.querySelector('dialog h2')?.textContent", equals("Join a room"))
        assert ana.problems == []
    socket.close()
