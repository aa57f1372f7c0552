// The page: connects the session with the screen.

import * as alerts from "./alerts.js";
import { COMMANDS, parse, splitName } from "./commands.js";
import { Connection } from "./connection.js";
import { closeDialog, showPosts } from "./dialogs.js";
import { byId, h, reconcile } from "./dom.js";
import { plainLine } from "./markdown.js";
import * as menus from "./menus.js";
import { isWaitingFor, postOf } from "./posts.js";
import { Session, roomName } from "./session.js";
import { openStore } from "./store.js";
import { Suggestions } from "./suggestions.js";
import { visibleLine } from "./text.js";
import { nameElement, repliesOf, rowsOf } from "./view.js";

const BOTTOM = 60; // pixels from the end of the log that count as its end
const TYPING_MS = 3000;
const COLORED_MAX = 13; // in larger rooms, the colors are for those who write
const PEOPLE_SHOWN = 20; // joins and leaves are shown in rooms of up to this many people

const store = openStore();
takeToken();
const session = new Session(store, report);
const connection = new Connection(session, changed);
const log = byId("log");
const input = byId("input");
let current = null; // the room on the screen
let composing = null; // {kind: "reply" or "edit", post}
let drawing = 0;
let wasAtEnd = true;
let typedAt = 0;
let typists = new Map();
let peopleTimer = 0;
let tellTimer = 0;
let found = 0; // seq of the post that was jumped to
const suggestions = new Suggestions(input, suggest);

/** The page as the menus see it. */
const page = {
  session,
  store,
  tell,
  attempt,
  act,
  jump,
  openDirect,
  join,
  get room() {
    return current;
  },
  get own() {
    return { name: session.name, outbox: session.outbox };
  },
  compose: (kind, post) => setComposing({ kind, post }),
  repliesOf: (post) => repliesOf(current).get(post.seq) ?? 0,
  idOf: (post, seq) => post.id.replace(/\d+$/, seq),
};

start();

function start() {
  const named = roomOfAddress();
  for (const name of new Set([...(named ? [named] : []), ...store.get("rooms", named ? [] : ["lobby"])])) session.join(name);
  show(session.rooms.get(named) ?? session.rooms.values().next().value);
  listen();
  if (session.name || session.token) connection.open();
  else login("");
  setInterval(changed, 30_000); // questions close
}

/** The invite has its token in the fragment, which browsers do not send; take it out of the address bar. */
function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) store.set("token", token);
  if (location.hash) history.replaceState(null, "", location.pathname);
}

/** The room in the address; empty if there is none, or it cannot be one. */
function roomOfAddress() {
  const match = /^\/rooms\/([^/]+)$/.exec(location.pathname);
  try {
    const name = roomName(decodeURIComponent(match?.[1] ?? ""));
    return /^[\p{L}\p{N}][\p{L}\p{N}\p{M}._-]{0,47}$/u.test(name) ? name : "";
  } catch {
    return "";
  }
}

// -- what the session reports

function report(event, detail = {}) {
  const { room, post } = detail;
  if (event === "post") {
    if (detail.live || detail.isOwn) arrived(room, post, detail);
    typists.delete(post.sender);
  } else if (event === "entered") {
    loadPeople(room);
  } else if (event === "people") {
    if (room.online <= PEOPLE_SHOWN && detail.event) room.addPeople(detail.event, detail.names);
    else if (room.online <= PEOPLE_SHOWN) room.addLine(detail.text, "people");
    loadPeople(room);
  } else if (event === "typing") {
    if (room === current) typed(detail.name);
    return;
  } else if (event === "rejected") {
    rejected(detail.frame, detail.message);
  } else if (event === "notice") {
    tell(detail.text);
  } else if (event === "left" && current?.name === detail.name) {
    const [next] = session.rooms.values();
    if (next) show(next);
    else session.join("lobby").then(show);
  }
  changed();
}

/** A post arrived that is new to the user. */
function arrived(room, post, { isOwn }) {
  const isWatched = room === current && isWatching();
  if (isWatched || isOwn) room.watched(post, isOwn);
  if (isWatched || isOwn || !room.counts(post, session.name)) return;
  alerts.notify(store, room, post, session.name, show);
}

function rejected(frame, message) {
  tell(message);
  // Give the text back, unless the user is writing something else.
  const text = frame.type === "message" || frame.note === "edit" ? frame.message : "";
  if (!text) return;
  if (current?.name === frame.room && !input.value) input.value = text;
  else session.rooms.get(frame.room)?.addLine(`This was not sent: ${text}`, "gap");
}

function isWatching() {
  return document.visibilityState === "visible" && document.hasFocus() && wasAtEnd;
}

function loadPeople(room) {
  if (room !== current) return;
  clearTimeout(peopleTimer);
  peopleTimer = setTimeout(() => session.loadMembers(room).catch(() => {}), 300);
}

function typed(name) {
  typists.set(name, Date.now());
  drawTyping();
  setTimeout(drawTyping, 5000);
}

function drawTyping() {
  for (const [name, at] of typists) if (Date.now() - at > 4500) typists.delete(name);
  const names = [...typists.keys()].slice(0, 3).map(visibleLine);
  byId("typing").textContent = names.length ? `${names.join(", ")} ${names.length > 1 ? "are" : "is"} typing…` : "";
}

/** Tell the user something for a while: an error, or that something `isDone`. */
function tell(text, isDone = false) {
  byId("alert").textContent = visibleLine(text);
  byId("alert").classList.toggle("done", isDone);
  clearTimeout(tellTimer);
  tellTimer = setTimeout(() => (byId("alert").textContent = ""), 8000);
}

// -- drawing

/** Draw the page soon. */
function changed() {
  // In a page in the background, animation frames wait until it is seen; its title should not.
  drawing ||= document.hidden ? setTimeout(draw, 200) : requestAnimationFrame(draw);
}

function draw() {
  drawing = 0;
  drawConnection();
  drawRooms();
  if (!current) return;
  if (isWatching()) current.markRead();
  const direct = current.isDirect ? "Only the two of you can read this." : "";
  byId("title").textContent = visibleLine(current.title);
  byId("topic").textContent = visibleLine(current.topic || direct);
  byId("own-name").textContent = visibleLine(session.name);
  byId("online").textContent = current.online ? `${current.online} here` : "People";
  byId("people-title").textContent = current.online ? `People (${current.online})` : "People";
  drawPeople();
  drawLog();
  drawTyping();
  fitInput();
  byId("dialog").redraw?.();
}

function drawConnection() {
  const { state, reason } = connection;
  const waiting = session.outbox.entries.length;
  const unsent = waiting ? ` ${waiting === 1 ? "1 message waits" : `${waiting} messages wait`} to be sent.` : "";
  const texts = { connecting: "Connecting…", waiting: `${visibleLine(reason)} Trying again…`, refused: visibleLine(reason), online: "" };
  const bar = byId("connection");
  const text = texts[state] && texts[state] + unsent;
  if (bar.dataset.text === text) return;
  bar.dataset.text = text;
  const retry = h("button", { onclick: () => connection.open() }, "Connect now");
  bar.replaceChildren(...(text ? [text] : []), ...(text && state !== "connecting" ? [retry] : []));
  document.body.dataset.state = state;
  const { refusal } = session;
  if (state === "refused" && refusal && (refusal.isName || refusal.code === "unauthorised")) login(refusal.message);
}

function drawRooms() {
  let total = 0;
  const sorted = [...session.rooms.values()].sort((one, other) => one.isDirect - other.isDirect);
  const rows = sorted.map((room) => {
    const unread = room === current && isWatching() ? [] : room.unread(session.name);
    const count = unread.length;
    if (room !== current) total += count;
    const isCurrent = room === current;
    const isToMe = unread.some((post) => alerts.isMention(room, post, session.name));
    const make = () => {
      const label = `${count} unread${isToMe ? ", with a mention of you" : ""}`;
      const badge = h("span", { className: isToMe ? "badge mine" : "badge", role: "img", "aria-label": label }, count > 99 ? "99+" : String(count));
      const button = h("button", { "data-focus": "room", onclick: () => show(room) }, h("bdi", {}, visibleLine(room.title)), count ? badge : null);
      if (isCurrent) button.setAttribute("aria-current", "true");
      return h("li", {}, button);
    };
    return { key: room.name, version: `${room.title} ${count} ${isToMe} ${isCurrent}`, make };
  });
  const first = rows.findIndex(({ key }) => key.startsWith("@"));
  if (first >= 0) rows.splice(first, 0, { key: "directs", version: "", make: () => h("li", { className: "heading" }, "Direct messages") });
  reconcile(byId("room-list"), rows);
  const badge = byId("elsewhere");
  badge.hidden = !total;
  badge.textContent = total > 99 ? "99+" : total;
  const unread = total + (current && !isWatching() ? current.unread(session.name).length : 0);
  document.title = `${unread ? `(${unread}) ` : ""}${current ? visibleLine(current.title) : "Chat"}`;
}

function drawPeople() {
  const { hues, members } = current;
  const isCrowd = members.length > COLORED_MAX;
  const rows = members.map(({ name, away }) => ({
    key: name,
    version: `${away} ${name === session.name} ${session.ignored.has(name)} ${hues.of(name, isCrowd)}`,
    make: () => {
      const about = away === undefined ? "" : visibleLine(away ? `away: ${away}` : "away");
      const isIgnored = session.ignored.has(name);
      const content = [nameElement(name, hues, isCrowd), h("small", {}, name === session.name ? ["you", about].filter(Boolean).join(", ") : isIgnored ? "ignored" : about)];
      if (name === session.name) return h("li", {}, h("button", { onclick: openSettings }, ...content));
      return h("li", {}, h("button", { onclick: () => menus.openPerson(page, name) }, ...content));
    },
  }));
  reconcile(byId("people-list"), rows);
}

function drawLog() {
  // What is read stays where it is. Only posts are anchors: a day's line moves up when older posts are loaded.
  // It is the lower edge that stays, since the first of the loaded posts loses its name when others come above it.
  const bottom = (row) => row.offsetTop + row.offsetHeight;
  const isShown = (row) => row.dataset.seq && bottom(row) > log.scrollTop;
  const anchor = wasAtEnd ? null : Array.from(byId("rows").children).find(isShown);
  const key = anchor?.dataset.key;
  const offset = anchor ? bottom(anchor) - log.scrollTop : 0;
  if (wasAtEnd) current.trim();
  // A screen reader should read what people write now, not the history.
  log.setAttribute("aria-live", current.cursor.synced && wasAtEnd ? "polite" : "off");
  reconcile(byId("rows"), rowsOf(current, page.own, act));
  if (wasAtEnd) log.scrollTop = log.scrollHeight;
  else if (key) {
    const row = Array.from(byId("rows").children).find((each) => each.dataset.key === key);
    if (row) log.scrollTop = bottom(row) - offset;
  }
  const count = current.unread(session.name).length;
  byId("newest").hidden = wasAtEnd;
  byId("newest-count").textContent = count ? `${count} new` : "Newest";
  document.querySelector(".found")?.classList.remove("found");
  if (found) elementOf(found)?.classList.add("found");
  drawQuestion();
}

/** The newest question that waits for the user, unless its post is in sight. */
function drawQuestion() {
  const post = current.posts.findLast((each) => isWaitingFor(each, session.name) && !current.ignored.has(each.sender));
  const box = post && elementOf(post.seq)?.getBoundingClientRect();
  const shown = log.getBoundingClientRect();
  const bar = byId("question");
  bar.hidden = !box || (box.bottom > shown.top && box.top < shown.bottom);
  if (bar.hidden) return;
  bar.textContent = `${visibleLine(post.sender)} asks: ${plainLine(post.text)}`;
  bar.onclick = () => jump(current, post.id);
}

/** The post with this seq in the log; null if it is not loaded. */
function elementOf(seq) {
  return log.querySelector(`[data-seq="${Number(seq)}"]`);
}

// -- what the user does

/** Show a room. */
function show(room) {
  if (!room) return;
  closePanels();
  if (room !== current) {
    if (current) store.set(`draft.${current.name}`, composing ? "" : input.value);
    setComposing(null);
    current = room;
    input.value = store.get(`draft.${room.name}`, "");
    room.moveUnreadLine();
    typists = new Map();
    found = 0;
    wasAtEnd = true;
    byId("rows").replaceChildren();
    if (!room.isDirect) history.replaceState(null, "", `/rooms/${encodeURIComponent(room.name)}`);
    if (session.welcomed) loadPeople(room);
  }
  changed();
}

async function openDirect(name, message = "") {
  await attempt(async () => {
    const room = await session.direct(name);
    show(room);
    if (message) session.say(room, message);
  });
}

/** Run a request, and tell the user if it fails. */
async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    tell(error.message);
    return undefined;
  }
}

/** What the user does with a post, see `rowsOf`. */
function act(action, post, detail) {
  const room = current;
  if (action === "older") attempt(() => session.loadOlder(room));
  else if (action === "react") session.note(room, post.id, "react", detail);
  else if (action === "answer") session.note(room, post.id, "answer", { choice: detail });
  else if (action === "unsure") session.resolveUnsure(detail.nonce, detail.again);
  else if (action === "jump") jump(room, page.idOf(post, detail));
  else if (action === "thread") menus.openThread(page, post);
  else if (action === "menu") menus.openPost(page, post);
  else if (action === "unfold") {
    room.expanded.add(post.seq);
    changed();
  }
}

/** Scroll to a post; show it with its neighbors if it is not loaded. */
async function jump(room, id) {
  const seq = Number(id.split("-")[1]);
  if (room === current && room.post(seq)) {
    closeDialog();
    found = seq;
    wasAtEnd = false;
    drawLog();
    elementOf(seq)?.scrollIntoView({ block: "center" });
    elementOf(seq)?.focus();
    return;
  }
  const frame = { type: "history", room: room.name, around: id, limit: 11 };
  const page = await attempt(() => session.request(frame));
  if (page) showPosts(room.title, page.items.filter((item) => item.type === "message").map(postOf), room.hues);
}

function setComposing(next) {
  composing = next;
  byId("about").hidden = !next;
  if (!next) return;
  const { kind, post } = next;
  byId("about-text").textContent = kind === "edit" ? "Editing your message" : `Reply to ${visibleLine(post.sender)}: ${plainLine(post.text)}`;
  if (kind === "edit") input.value = post.text;
  input.focus();
}

function cancel() {
  if (composing?.kind === "edit") input.value = "";
  setComposing(null);
}

function send() {
  suggestions.close();
  const text = input.value.trim();
  if (!text || !current) return;
  const { message_bytes: most } = session.limits;
  if (most && new TextEncoder().encode(text).length > most) {
    tell(`The message is too long: at most ${most} bytes.`);
    return;
  }
  const about = composing;
  const parsed = about?.kind === "edit" ? { text } : parse(text);
  if (parsed.error) {
    tell(parsed.error);
    return;
  }
  wasAtEnd = true;
  input.value = "";
  store.remove(`draft.${current.name}`);
  setComposing(null);
  if (parsed.command) run(parsed.command, parsed.argument, text);
  else if (about?.kind !== "edit") session.say(current, parsed.text, about && { re: about.post.id });
  else if (text !== about.post.text) session.note(current, about.post.id, "edit", { message: text });
}

/** Run a slash command; its text returns to the input if it fails. */
async function run(command, argument, text) {
  const room = current;
  const names = room.members.map(({ name }) => name);
  const commands = {
    msg: () => {
      const [name, message] = splitName(argument, names);
      return openDirect(name, message);
    },
    poll: () => {
      const [question, ...choices] = argument.split("|");
      if (choices.length < 2) throw new Error("Write a question and at least two choices: /poll Lunch at 12? | yes | no");
      menus.ask(session, room, question.trim(), choices);
    },
    ask: () => {
      const [, to, question, choices] = /^(\S*)\s*([^|]*)(?:\|([^]*))?$/.exec(argument) ?? [];
      if (!question) menus.openQuestion(page, { to });
      else menus.ask(session, room, question.trim(), choices?.split("|") ?? ["yes", "no"], to.split(","));
    },
    announce: () => menus.ask(session, room, argument, []),
    join: () => (argument ? join(argument) : menus.browse(page)),
    leave: () => session.leave(room.name),
    topic: () => {
      if (!argument) return menus.openRoom(page);
      return session.request({ type: "topic", room: room.name, topic: argument === "-" ? "" : argument });
    },
    search: () => menus.search(page, argument),
    pins: () => menus.showPinned(page),
    who: () => togglePanel("people", true),
    whois: () => menus.openPerson(page, splitName(argument, names)[0]),
    bans: () => menus.openBans(page),
    nick: () => session.rename(argument),
    away: () => session.request({ type: "away", text: argument }),
    back: () => session.request({ type: "away", away: false }),
    help: menus.openHelp,
  };
  try {
    await commands[command]();
  } catch (error) {
    tell(error.message);
    if (!input.value && room === current) input.value = text;
  }
}

/** What can be inserted for letters after `@` or `/`. */
function suggest(sign, letters) {
  if (sign === "/") return COMMANDS.filter(({ name }) => name.startsWith(letters)).map(({ name, help }) => [`/${name}`, help]);
  const spoke = current.posts.map(({ sender }) => sender).reverse();
  const names = new Set([...spoke, ...current.members.map(({ name }) => name)]);
  return [...names].filter((name) => name !== session.name && name.toLowerCase().startsWith(letters)).map((name) => [`@${name}`, ""]);
}

/** Enter a room, and show it. */
async function join(name) {
  try {
    const room = await session.join(name);
    closeDialog();
    show(room);
  } catch (error) {
    tell(error.message);
    throw error;
  }
}

function login(reason) {
  menus.login(page, reason, () => (session.name || session.token ? connection.open() : login("")));
}

function openSettings() {
  menus.openSettings(page);
}

function togglePanel(id, isOpen) {
  byId(id).classList.toggle("open", isOpen);
  byId(`open-${id}`).setAttribute("aria-expanded", isOpen);
  if (isOpen) byId(`close-${id}`).focus();
}

function closePanels() {
  for (const id of ["rooms", "people"]) if (byId(id).classList.contains("open")) togglePanel(id, false);
}

function onLogKey(event) {
  const element = document.activeElement.closest?.(".post");
  const posts = [...byId("rows").querySelectorAll(".post")];
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (event.target !== log && event.target !== element) return;
  if (step) {
    const next = element ? posts[posts.indexOf(element) + step] : posts.at(-1);
    (next ?? (step > 0 ? input : null))?.focus();
    event.preventDefault();
  } else if (event.key === "Escape") toNewest();
  else if (element?.dataset.seq && !event.ctrlKey && !event.metaKey && !event.altKey) onPostKey(event, current.post(Number(element.dataset.seq)));
}

/** The keys of a selected post are those of the terminal client. */
function onPostKey(event, post) {
  const isOwn = post.sender === session.name;
  const actions = {
    Enter: () => menus.openPost(page, post),
    r: () => page.compose("reply", post),
    e: () => isOwn && page.compose("edit", post),
    t: () => menus.openThread(page, post),
    p: () => menus.pin(page, post),
    d: () => (isOwn || session.isAdmin) && menus.deletePost(page, post),
    "+": () => menus.openPost(page, post),
  };
  if (post.deleted || post.seq < 0 || !Object.hasOwn(actions, event.key)) return;
  event.preventDefault();
  actions[event.key]();
}

function toNewest() {
  wasAtEnd = true;
  found = 0;
  input.focus();
  changed();
}

function onInputKey(event) {
  if (!event.isComposing && suggestions.press(event)) event.preventDefault();
  else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  } else if (event.key === "Escape") {
    if (composing) cancel();
    else toNewest();
  } else if (event.key === "ArrowUp" && !input.value && current) {
    const own = current.posts.findLast((post) => post.sender === session.name && !post.deleted && post.seq > 0);
    if (own) {
      event.preventDefault();
      setComposing({ kind: "edit", post: own });
    }
  }
}

function onInput() {
  suggestions.update();
  fitInput();
  if (composing?.kind !== "edit") store.set(`draft.${current.name}`, input.value);
  if (input.value && session.welcomed && performance.now() - typedAt > TYPING_MS) {
    typedAt = performance.now();
    session.transmit({ type: "typing", room: current.name });
  }
}

/** Make the input as high as its text, where style.css cannot. */
function fitInput() {
  if (CSS.supports("field-sizing", "content")) return;
  input.style.height = "auto";
  input.style.height = `${input.scrollHeight + 2}px`;
}

function listen() {
  byId("composer").onsubmit = (event) => {
    event.preventDefault();
    send();
  };
  input.onkeydown = onInputKey;
  input.oninput = onInput;
  byId("cancel").onclick = cancel;
  byId("send").onpointerdown = (event) => event.preventDefault(); // the keyboard of a phone stays open
  byId("ask").onclick = () => menus.openQuestion(page);
  byId("search").onclick = () => menus.search(page);
  byId("room").onclick = () => menus.openRoom(page);
  byId("browse").onclick = () => menus.browse(page);
  byId("settings").onclick = openSettings;
  for (const id of ["rooms", "people"]) {
    byId(`open-${id}`).onclick = () => togglePanel(id, !byId(id).classList.contains("open"));
    byId(`close-${id}`).onclick = () => {
      togglePanel(id, false);
      byId(`open-${id}`).focus();
    };
  }
  byId("newest").onclick = () => {
    wasAtEnd = true;
    found = 0;
    changed();
  };
  log.onkeydown = onLogKey;
  log.onscroll = () => {
    if (current) drawQuestion();
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < BOTTOM;
    if (isAtEnd !== wasAtEnd) {
      wasAtEnd = isAtEnd;
      changed();
    }
    if (log.scrollTop < 300 && current?.hasOlder && !current.isLoading && !wasAtEnd) attempt(() => session.loadOlder(current));
  };
  // The log stays at its end when the keyboard of a phone opens.
  new ResizeObserver(() => wasAtEnd && (log.scrollTop = log.scrollHeight)).observe(log);
  window.addEventListener("focus", changed);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      current?.moveUnreadLine();
      cancelAnimationFrame(drawing);
      drawing = 0;
    }
    changed();
  });
  window.addEventListener("hashchange", () => {
    takeToken();
    location.reload();
  });
  document.querySelector("main").addEventListener("click", (event) => {
    if (!event.target.closest("#open-rooms, #open-people")) closePanels();
  });
  document.addEventListener("keydown", onPageKey);
  // Where the keyboard of a phone covers the page, it is as high as what is left.
  const { visualViewport } = window;
  visualViewport?.addEventListener("resize", () => {
    const isCovered = visualViewport.scale === 1 && innerHeight - visualViewport.height > 80;
    byId("page").style.height = isCovered ? `${visualViewport.height}px` : "";
    if (isCovered) window.scrollTo(0, 0);
  });
}

function onPageKey(event) {
  const { key, target } = event;
  if (byId("dialog").open) return;
  if (key === "Escape") closePanels();
  else if (key === "k" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    menus.browse(page);
  } else if ((target === document.body || target === log) && key.length === 1 && key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey) {
    input.focus(); // what is typed goes to the input
  }
}
