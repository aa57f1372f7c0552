"""Protocol v1 and the plain protocol, frame by frame: one scripted session, compared with its transcript.

`wire.txt` holds every frame that was sent and received, without what differs from run to run and without
the prose of errors. COMPAT_RECORD=1 in the environment writes it.
"""

from __future__ import annotations

import http.client
from pathlib import Path

from tests.compat.program import Server, check_golden, serving
from tests.compat.tokens import MIA_MEMBER, RITA_READER, TOKENS_FILE, ZOE_ADMIN
from tests.compat.transcript import Transcript, transcript

OPTIONS = (
    *("--history", "memory", "--tokens", str(TOKENS_FILE), "--trusted-proxy", "127.0.0.1"),
    # The limit of posts does not recover within this session.
    *("--message-rate", "0.01", "--message-burst", "100", "--byte-burst", "0", "--byte-rate", "0"),
    *("--history-rate", "0", "--work-rate", "0", "--max-rooms", "4"),
)


def test_the_session_is_as_recorded(tmp_path: Path) -> None:
    with serving(*OPTIONS, home=tmp_path) as server, transcript(server.url) as script:
        for part in PARTS:
            listed = ("alpha", "beta", "gamma", "delta") if part is rooms else ()
            script.part((part.__doc__ or "").rstrip("."), listed=listed)
            part(script)
        script.part("Plain HTTP on the same port")
        script.lines += http_answers(server)
        script.part("The server restarts")
        restart(script, server)
    check_golden("wire.txt", "\n".join(script.lines).lstrip() + "\n")


def begin_to_wait(script: Transcript) -> None:
    """Lose a connection. Its person leaves after the grace period, which the last part waits for."""
    script.enter("watcher", "grace")
    script.enter("ghost", "grace")
    script.expect("watcher", event="join")
    script.drop("ghost")


def plain(script: Transcript) -> None:
    """Plain clients: welcome, names, messages, errors."""
    script.open("alice", v1=False)
    script.expect("alice", event="welcome")
    script.open("other", v1=False, offer=["chat.example"], path="/some/path")
    script.expect("other", event="welcome")
    script.expect("alice", event="join")
    script.send("alice", "message", message="Hello, world!", sender="Alice")
    for name in ("alice", "other"):
        script.expect(name, type="message")
    script.send("other", "message", message="no name, unknown key", what={"ever": [1]})
    for name in ("alice", "other"):
        script.expect(name, type="message")
    script.send("alice", "message", message="first name counts", sender="Bob", nonce="ignored?")
    for name in ("alice", "other"):
        script.expect(name, type="message")
    for text, sender in (("", "Olga"), ("x" * 16_385, "Olga"), ("as Alice", "Alice"), ("as server", "SYSTEM"),
                         ("as guest", "guest-9"), ("as admin", "zoe")):  # fmt: skip
        script.send("other", "message", message=text, sender=sender)
        script.expect("other", event="error")
    for type in ("hello", "join", "history", "list", "typing", "kick", "nonsense"):
        script.send("other", type, room="lobby", name="alice")
        script.expect("other", event="error")
    for raw in ("no json", "[]", "{}", '{"type":5}', '{"type":"message"}', '{"type":"message","message":7}'):
        script.send_raw("other", raw)
        script.expect("other", event="error")
    script.send("other", "message", message="another room", room="elsewhere")
    script.expect("other", event="error")
    script.open("v1", v1=True)
    script.hello("v1", as_name="vera")
    for name in ("alice", "other"):
        script.expect(name, event="join")
    script.say("v1", "seen by all", room="lobby", nonce="n1", to=["alice", "other"])
    script.close("other")
    script.expect("alice", event="leave")
    script.ask("v1", "leave", room="lobby", reason="to dinner")
    script.expect("alice", event="leave")
    script.close("alice", "v1")


def handshakes(script: Transcript) -> None:
    """Handshakes: subprotocols, compression, tokens, origins, banned addresses."""
    script.open("first", offer=["chat.example", "broadcast-tui.v1"], compression="deflate", path="/lobby")
    script.close("first")
    script.open("liar", token="bt_wrong")
    script.open("page", headers={"Origin": "https://evil.example"})
    script.open("zoe", token=ZOE_ADMIN)
    script.hello("zoe", rooms=[{"room": "office"}])
    script.ask("zoe", "ban", who="198.51.100.0/24", reason="spam")
    script.open("banned", headers={"X-Forwarded-For": "198.51.100.7"})
    script.ask("zoe", "unban", who="198.51.100.0/24")
    script.open("pardoned", headers={"X-Forwarded-For": "198.51.100.7"})
    script.close("pardoned", "zoe")


def hello(script: Transcript) -> None:
    """Hello: first frames, names, rooms, tokens."""
    script.open("ana")
    for type, fields in (
        ("message", {"message": "hi", "nonce": "n"}),
        ("list", {"ref": "r"}),
        ("typing", {}),
    ):
        script.send("ana", type, **fields)
        script.expect("ana", type="error")
    for name in ("SYSTEM", "guest-1", "x" * 33, "a\nb", "127.0.0.1", "mia"):
        script.send("ana", "hello", name=name)
        script.expect("ana", type="error")
    script.send("ana", "hello", name="ana", rooms=[{"room": "no room!"}])
    script.expect("ana", type="error")
    script.send("ana", "hello", name="ana", rooms=[{"room": f"r{n}"} for n in range(5)])
    script.expect("ana", type="error")
    script.hello("ana", rooms=[{"room": "#Hall"}, {"room": "yard", "last": 5}])
    script.send("ana", "hello", name="eve")
    script.expect("ana", type="error")
    script.open("double")
    script.send("double", "hello", name="ANA", client_id="another")
    script.expect("double", type="error")
    script.hello("double", as_name="", rooms=[{"room": "hall"}])
    script.expect("ana", event="join")
    script.send("double", "message", message="as a guest", room="hall", nonce="g1")
    script.expect_set("double", {"type": "ack"}, {"type": "message"})
    script.expect("ana", type="message")
    script.open("wrong")
    script.send("wrong", "hello", name="eve", token="bt_wrong")
    script.closed("wrong")
    script.open("mia")
    script.hello("mia", as_name="somebody", token=MIA_MEMBER, rooms=[{"room": "hall"}])
    script.expect("ana", event="join")
    script.ask("mia", "rename", name="max")
    script.close("mia", "double", "ana")


def posts(script: Transcript) -> None:
    """Posts: acknowledgments, resends, sanitizing, rejections."""
    script.enter("ana", "posts")
    script.enter("ben", "posts")
    script.expect("ana", event="join")
    script.say("ana", "one", room="posts", nonce="p1", to=["ben"])
    script.send("ana", "message", message="one", room="posts", nonce="p1")
    script.expect("ana", type="ack", dup=True)
    script.send("ana", "message", message="without a nonce", room="posts")
    for name in ("ana", "ben"):
        script.expect(name, type="message")
    script.say("ana", "a\x1b[31mb\x9bc\u202ed\r\ne [red]f[/] ünï 🦆\t", room="posts", nonce="p2", to=["ben"])
    for nonce, text in (("p3", ""), ("p4", " \n "), ("p5", "x" * 16_385), ("p6", "é" * 8_193)):
        script.send("ana", "message", message=text, room="posts", nonce=nonce)
        script.expect("ana", nonce=nonce)
    script.say("ana", "x" * 16_384, room="posts", nonce="p7", to=["ben"])
    for nonce, room in (("p8", "elsewhere"), ("p9", "no room!")):
        script.send("ana", "message", message="hi", room=room, nonce=nonce)
        script.expect("ana", nonce=nonce)
    script.settle("ana", "ben")
    script.close("ana", "ben")


def malformed(script: Transcript) -> None:
    """Malformed frames, and errors that close the connection."""
    script.enter("ana", "bad")
    for raw in (
        "not json", "", "[]", "7", "null", "{}", '{"type":null}', '{"type":"nonsense","ref":"r1"}',
        '{"type":"message","nonce":"n1"}', '{"type":"message","message":5,"nonce":"n2"}',
        '{"type":"history","limit":"x","ref":"r2"}', '{"type":"ban","who":"x","seconds":-1,"ref":"r3"}',
        '{"type":"list","ref":"' + "r" * 65 + '"}', '{"type":"list","ref":"ok","unknown":true}',
        '{"type":"welcome"}', "[" * 2_000,
    ):  # fmt: skip
        script.send_raw("ana", raw)
        script.settle("ana")
    script.close("ana")
    for name, data, text in (("binary", b"{}", None), ("latin", b'{"type":"\xff"}', True),
                             ("huge", "x" * 400_000, None)):  # fmt: skip
        script.enter(name, f"bad-{name}")
        script.send_raw(name, data, text=text)
        script.closed(name)
    script.enter("noisy", "bad-noisy")
    for _ in range(50):
        script.send("noisy", "nonsense", ref="n")
        script.expect("noisy", type="error")
    script.lines[-100:] = ["noisy > 50 × nonsense, each with its error"]
    script.send("noisy", "nonsense", ref="last")
    script.closed("noisy")


def rooms(script: Transcript) -> None:
    """Rooms: join, leave, list, topics, members."""
    script.enter("ana", "alpha")
    script.enter("ben", "beta")
    script.ask("ana", "join", room="#Beta")
    script.expect("ana", type="synced")
    script.expect("ben", event="join")
    script.ask("ana", "join", room="beta", ref="again")
    script.ask("ana", "topic", room="beta", topic="What\x1b it is about")
    script.expect("ben", type="topic")
    script.ask("ben", "topic", room="beta", topic="", ref="cleared")
    script.expect("ana", type="topic")
    script.ask("ben", "topic", room="beta", topic="x" * 600, ref="too long")
    script.ask("ben", "topic", room="alpha", topic="not in it", ref="elsewhere")
    script.ask("ana", "topic", room="alpha", topic="The first")
    script.ask("ana", "presence", room="beta")
    script.ask("ben", "presence", room="alpha", ref="not in it")
    script.ask("ana", "join", room="no room!", ref="bad")
    script.ask("ana", "join", room="gamma", ref="third")
    script.ask("ana", "join", room="delta", ref="fourth")
    script.ask("ana", "join", room="epsilon", ref="fifth")
    script.ask("ana", "leave", room="beta", reason="to\nlunch " + "x" * 200)
    script.expect("ben", event="leave")
    script.ask("ana", "leave", room="beta", ref="gone already")
    script.enter("late", "alpha")
    script.expect("ana", event="join")
    answer = script.ask("ben", "list", ref="rooms")
    assert "lobby" in [room["room"] for room in answer["rooms"]]
    script.settle("ana", "ben")
    script.close("ana", "ben", "late")


def people(script: Transcript) -> None:
    """People: names, away status, typing, two connections of one person."""
    script.enter("ana", "people")
    script.enter("ben", "people")
    script.expect("ana", event="join")
    script.open("ana2")
    script.hello("ana2", as_name="ana", client_id="id-of-ana", rooms=[{"room": "people"}])
    script.ask("ben", "presence", room="people")
    script.close("ana2")
    script.wait_until_one("ben", "ana", room="people")
    script.ask("ana", "rename", name="anna")
    script.expect("ben", event="rename")
    script.ask("ana", "rename", name="ben", ref="taken")
    script.ask("ana", "rename", name="system", ref="reserved")
    script.ask("ana", "away", text="gone\x1b fishing")
    script.expect("ben", type="away")
    script.ask("ben", "presence", room="people", ref="who is away")
    script.ask("ana", "away", away=False, ref="back")
    script.expect("ben", type="away")
    script.ask("ana", "away", ref="no reason")
    script.expect("ben", type="away")
    script.open("reader")
    script.hello("reader", as_name="", rooms=[{"room": "people"}])
    script.expect("ana", event="join")
    script.expect("ben", event="join")
    script.ask("reader", "away", ref="nameless")
    script.ask("reader", "rename", name="rob", ref="named")
    script.expect("ben", event="rename")
    script.send("ana", "typing", room="people")
    script.send("ana", "typing", room="people")
    script.settle("ana")
    script.expect("ben", type="typing")
    script.send("ben", "typing", room="nowhere")
    script.settle("ben", "reader")
    script.close("reader", "ben", "ana")


def programs(script: Transcript) -> None:
    """Programs: connections without presence are not announced, counted or listed."""
    script.enter("ana", "unseen")
    script.enter("build", "unseen", presence=False)
    script.ask("ana", "presence", room="unseen")
    script.ask("build", "away", ref="never away")
    script.send("build", "typing", room="unseen")
    script.ask("build", "rename", name="deploy")
    script.send("build", "message", message="done", room="unseen", nonce="b1")
    script.expect_set("build", {"type": "ack", "nonce": "b1"}, {"type": "message", "nonce": "b1"})
    script.expect("ana", type="message")
    script.ask("build", "leave", room="unseen")
    script.settle("ana")
    script.close("build", "ana")


def history(script: Transcript) -> None:
    """History pages and searches."""
    script.enter("ana", "pages")
    ids = [
        script.say("ana", f"word{n} äpfel und Birnen", room="pages", nonce=f"h{n}")["id"] for n in range(1, 8)
    ]
    for ref, fields in (
        ("latest", {"latest": True, "limit": 2}),
        ("default", {}),
        ("before", {"before": ids[4], "limit": 2}),
        ("after", {"after": ids[4], "limit": 1}),
        ("after all", {"after": ids[-1]}),
        ("around", {"around": ids[3], "limit": 3}),
        ("zero", {"limit": 0}),
        ("minus", {"limit": -1}),
        ("another log", {"before": "beef1234-3"}),
        ("no id", {"before": "nonsense"}),
        ("two", {"before": ids[4], "after": ids[1]}),
    ):
        script.ask("ana", "history", room="pages", ref=ref, **fields)
    script.ask("ana", "history", room="elsewhere", ref="not in it")
    for ref, query, fields in (
        ("word", "word3", {}),
        ("accents", "APFEL bir", {"limit": 2}),
        ("before", "äpfel", {"limit": 2, "before": ids[2]}),
        ("nothing", "kiwi", {}),
        ("no words", "!?", {}),
        ("bad position", "äpfel", {"before": "nonsense"}),
    ):
        script.ask("ana", "search", room="pages", query=query, ref=ref, **fields)
    script.ask("ana", "search", room="elsewhere", query="word", ref="not in it")
    script.close("ana")


def resume(script: Transcript) -> None:
    """Resuming: replays, gaps, posts resent after a lost connection."""
    script.enter("ana", "log")
    script.enter("ben", "log")
    script.expect("ana", event="join")
    first = script.say("ana", "before", room="log", nonce="s1", to=["ben"])["id"]
    script.drop("ben")
    for n in (2, 3):
        script.say("ana", f"missed {n}", room="log", nonce=f"s{n}")
    script.open("ben")
    script.hello("ben", rooms=[{"room": "log", "since": first}])
    script.settle("ana")
    script.say("ana", "live", room="log", nonce="s4", to=["ben"])
    script.drop("ana")
    script.open("ana")
    script.hello("ana", rooms=[{"room": "log", "last": 1}])
    script.send("ana", "message", message="live", room="log", nonce="s4")
    script.expect("ana", type="ack", dup=True)
    for since in (
        "beef1234-2",
        "nonsense",
        first.rpartition("-")[0] + "-100",
        first.rpartition("-")[0] + "-0",
    ):
        script.ask("ana", "leave", room="log", ref="out")
        script.ask("ana", "join", room="log", since=since, ref="in")
        script.expect("ana", type="synced")
        script.expect("ben", event="join")
    script.close("ana", "ben")


def floods(script: Transcript) -> None:
    """A replay that is too long, and posts that come too fast."""
    script.enter("ana", "flood")
    for n in range(1, 101):
        script.send("ana", "message", message=f"{n:03}" + "x" * 16_000, room="flood", nonce=f"f{n:03}")
        ack, _ = script.expect_set("ana", {"type": "ack"}, {"type": "message"})
    script.lines[-300:] = ["ana > 100 posts, each acknowledged"]
    script.send("ana", "message", message="too much", room="flood", nonce="over")
    script.expect("ana", nonce="over")
    start = ack["id"].rpartition("-")[0] + "-0"
    script.open("rex")
    script.send("rex", "hello", name="rex", rooms=[{"room": "flood", "since": start}])
    script.expect("rex", type="welcome")
    script.expect("rex", type="gap")
    script.count("rex", type="synced")
    script.close("rex", "ana")


def moderation(script: Transcript) -> None:
    """Moderation: permissions and effects."""
    script.enter("zoe", "court", token=ZOE_ADMIN)
    script.enter("rita", "court", token=RITA_READER)
    script.expect("zoe", event="join")
    script.enter("bob", "court")
    for name in ("zoe", "rita"):
        script.expect(name, event="join")
    for type, fields in (("kick", {"name": "rita"}), ("ban", {"who": "rita"}), ("unban", {"who": "x"}),
                         ("mute", {"name": "rita"}), ("unmute", {"name": "x"}), ("bans", {})):  # fmt: skip
        script.ask("bob", type, **fields)
    for type, fields in (("message", {"message": "hi", "nonce": "m0", "room": "court"}),
                         ("topic", {"topic": "x", "room": "court", "ref": "m1"}),
                         ("away", {"text": "x", "ref": "m2"})):  # fmt: skip
        script.send("rita", type, **fields)
        script.expect("rita", type="error")
    script.send("rita", "typing", room="court")
    script.settle("rita")
    script.ask("zoe", "mute", name="bob", seconds=60, reason="too loud")
    script.expect("bob", event="notice")
    script.expect("rita", event="notice")
    script.send("bob", "message", message="mmh", room="court", nonce="m3")
    script.expect("bob", nonce="m3")
    script.ask("bob", "topic", topic="mmh", room="court")
    script.ask("zoe", "bans", ref="one")
    script.ask("zoe", "unmute", name="BOB")
    script.ask("zoe", "unmute", name="bob", ref="again")
    script.ask("zoe", "kick", name="bob", reason="out")
    script.closed("bob")
    for name in ("zoe", "rita"):
        script.expect(name, event="leave")
    script.enter("bob", "court")
    for name in ("zoe", "rita"):
        script.expect(name, event="join")
    script.ask("zoe", "ban", who="bob", seconds=3600, reason="for an hour")
    script.closed("bob")
    for name in ("zoe", "rita"):
        script.expect(name, event="leave")
    script.open("bob")
    script.send("bob", "hello", name="BOB", client_id="another", rooms=[{"room": "court"}])
    script.closed("bob")
    script.ask("zoe", "ban", who="203.0.113.0/24")
    script.ask("zoe", "ban", who="2001:db8::1", ref="six")
    for ref, type, fields in (
        ("here", "ban", {"who": "127.0.0.1"}),
        ("myself", "ban", {"who": "zoe"}),
        ("nobody", "kick", {"name": "nobody"}),
        ("absent", "ban", {"who": "absent"}),
        ("no name", "ban", {"who": "a\nb"}),
        ("mute nobody", "mute", {"name": "nobody"}),
    ):
        script.ask("zoe", type, ref=ref, **fields)
    script.ask("zoe", "bans", ref="all")
    for who in ("bob", "203.0.113.0/24", "2001:db8::/64", "absent", "unknown"):
        script.ask("zoe", "unban", who=who)
    script.ask("zoe", "unmute", name="nobody", ref="tidy")
    script.ask("zoe", "bans", ref="none")
    script.settle("rita")
    script.close("rita", "zoe")


def end_of_grace(script: Transcript) -> None:
    """The person whose connection was lost in the first part leaves."""
    script.expect("watcher", event="leave")
    script.close("watcher")


PARTS = (
    begin_to_wait,
    plain,
    handshakes,
    hello,
    posts,
    malformed,
    rooms,
    people,
    programs,
    history,
    resume,
    floods,
    moderation,
    end_of_grace,
)


def http_answers(server: Server) -> list[str]:
    """Status and headers of plain HTTP requests."""
    lines = []
    for method, path in (
        ("GET", "/healthz"),
        ("HEAD", "/readyz"),
        ("GET", "/"),
        ("GET", "/other"),
        ("POST", "/"),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            kind = answer.getheader("Content-Type")
            lines.append(f"{method} {path}: {answer.status} {kind}, {'some' if answer.read() else 'no'} body")
        except (http.client.HTTPException, ConnectionError):
            lines.append(f"{method} {path}: cut")
        finally:
            connection.close()
    return lines


def restart(script: Transcript, server: Server) -> None:
    """SIGTERM: `drain` for v1, then 1012 for everyone, and exit status 0."""
    script.enter("ana", "end")
    script.open("plain", v1=False)
    script.count("plain", event="welcome")
    server.process.terminate()
    script.expect("ana", type="drain")
    for name in ("ana", "plain"):
        script.closed(name)
    script.lines.append(f"exit status {server.wait()}")
