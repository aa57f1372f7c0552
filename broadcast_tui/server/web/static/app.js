// The page: connects the session with the screen.

import { Connection } from "./connection.js";
import { askName, chooseRoom, closeDialog, confirm, postMenu, searchRoom, settings, showPosts } from "./dialogs.js";
import { byId, h, reconcile } from "./dom.js";
import { postOf } from "./posts.js";
import { Session, roomName } from "./session.js";
import { openStore } from "./store.js";
import { mentions, visibleLine } from "./text.js";
import { nameElement, rowsOf } from "./view.js";

const BOTTOM = 60; // pixels from the end of the log that count as its end
const TYPING_MS = 3000;
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

start();

function start() {
  const named = roomOfAddress();
  for (const name of new Set([...(named ? [named] : []), ...store.get("rooms", named ? [] : ["lobby"])])) session.join(name);
  show(session.rooms.get(named) ?? session.rooms.values().next().value);
  listen();
  if (session.name || session.token) connection.open();
  else login("");
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
    if (room.online <= PEOPLE_SHOWN) room.addLine(detail.text, "people");
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
  if (isWatched || isOwn || post.sender === session.name) return;
  const isMention = mentions(post.text, session.name) || room.isDirect;
  if (isMention && window.Notification?.permission === "granted" && document.hidden) {
    try {
      const body = visibleLine(post.text).slice(0, 200);
      const notification = new Notification(`${visibleLine(post.sender)} in ${room.title}`, { body, tag: post.id });
      notification.onclick = () => {
        window.focus();
        show(room);
      };
    } catch {
      // Some phones show notifications of service workers only.
    }
  }
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

function tell(text) {
  byId("alert").textContent = visibleLine(text);
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
  byId("online").textContent = current.online ? `${current.online} here` : "People";
  byId("people-title").textContent = current.online ? `People (${current.online})` : "People";
  drawPeople();
  drawLog();
  drawTyping();
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
  const rows = [...session.rooms.values()].map((room) => {
    const count = room === current && isWatching() ? 0 : room.unreadCount(session.name);
    if (room !== current) total += count;
    const isCurrent = room === current;
    const make = () => {
      const badge = h("span", { className: "badge", "aria-label": `${count} unread` }, count > 99 ? "99+" : String(count));
      const button = h("button", { "data-focus": "room", onclick: () => show(room) }, h("bdi", {}, visibleLine(room.title)), count ? badge : null);
      if (isCurrent) button.setAttribute("aria-current", "true");
      return h("li", {}, button);
    };
    return { key: room.name, version: `${room.title} ${count} ${isCurrent}`, make };
  });
  reconcile(byId("room-list"), rows);
  const badge = byId("elsewhere");
  badge.hidden = !total;
  badge.textContent = total > 99 ? "99+" : total;
  const unread = total + (current && !isWatching() ? current.unreadCount(session.name) : 0);
  document.title = `${unread ? `(${unread}) ` : ""}${current ? visibleLine(current.title) : "Chat"}`;
}

function drawPeople() {
  const rows = current.members.map(({ name, away }) => ({
    key: name,
    version: `${away} ${name === session.name}`,
    make: () => {
      const about = away === undefined ? "" : visibleLine(`away ${away && `: ${away}`}`);
      const content = [nameElement(name), h("small", {}, name === session.name ? "you" : about)];
      if (name === session.name) return h("li", {}, h("button", { disabled: true }, ...content));
      return h("li", {}, h("button", { onclick: () => openDirect(name), title: "Write a direct message" }, ...content));
    },
  }));
  reconcile(byId("people-list"), rows);
}

function drawLog() {
  const anchor = wasAtEnd ? null : Array.from(byId("rows").children).find((row) => row.offsetTop + row.offsetHeight > log.scrollTop);
  const key = anchor?.dataset.key;
  const offset = anchor ? anchor.offsetTop - log.scrollTop : 0;
  if (wasAtEnd) current.trim();
  // A screen reader should read what people write now, not the history.
  log.setAttribute("aria-live", current.cursor.synced && wasAtEnd ? "polite" : "off");
  reconcile(byId("rows"), rowsOf(current, { name: session.name, outbox: session.outbox }, act));
  if (wasAtEnd) log.scrollTop = log.scrollHeight;
  else if (key) {
    const row = Array.from(byId("rows").children).find((each) => each.dataset.key === key);
    if (row) log.scrollTop = row.offsetTop - offset;
  }
  const count = current.unreadCount(session.name);
  byId("newest").hidden = wasAtEnd;
  byId("newest-count").textContent = count ? `${count} new` : "Newest";
  document.querySelector(".found")?.classList.remove("found");
  if (found) byId(`post-${found}`)?.classList.add("found");
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

async function openDirect(name) {
  await attempt(async () => show(await session.direct(name)));
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
  else if (action === "jump") jump(room, post.id.replace(/\d+$/, detail));
  else if (action === "menu") openMenu(room, post);
}

function openMenu(room, post) {
  const note = (kind, fields) => () => session.note(room, post.id, kind, fields);
  const actions = [["Reply", () => setComposing({ kind: "reply", post })]];
  if (post.sender === session.name) {
    actions.push(["Edit", () => setComposing({ kind: "edit", post })]);
    actions.push(["Delete…", () => confirm("Delete this message for everyone?", "Delete", note("delete"))]);
  } else actions.push(["Write a direct message", () => openDirect(post.sender)]);
  actions.push(post.pinned ? ["Unpin", note("pin", { on: false })] : ["Pin", note("pin")]);
  if (navigator.clipboard) actions.push(["Copy the text", () => attempt(() => navigator.clipboard.writeText(post.text))]);
  postMenu(post, actions, (key) => session.note(room, post.id, "react", { key }));
}

/** Scroll to a post; show it with its neighbors if it is not loaded. */
async function jump(room, id) {
  const seq = Number(id.split("-")[1]);
  if (room === current && room.post(seq)) {
    closeDialog();
    found = seq;
    wasAtEnd = false;
    drawLog();
    byId(`post-${seq}`)?.scrollIntoView({ block: "center" });
    byId(`post-${seq}`)?.focus();
    return;
  }
  const frame = { type: "history", room: room.name, around: id, limit: 11 };
  const page = await attempt(() => session.request(frame));
  if (page) showPosts(room.title, page.items.filter((item) => item.type === "message").map(postOf));
}

function setComposing(next) {
  composing = next;
  byId("about").hidden = !next;
  if (!next) return;
  const { kind, post } = next;
  byId("about-text").textContent = kind === "edit" ? "Editing your message" : `Reply to ${visibleLine(post.sender)}: ${visibleLine(post.text)}`;
  if (kind === "edit") input.value = post.text;
  input.focus();
}

function cancel() {
  if (composing?.kind === "edit") input.value = "";
  setComposing(null);
}

function send() {
  const text = input.value.trim();
  if (!text || !current) return;
  const { message_bytes: most } = session.limits;
  if (most && new TextEncoder().encode(text).length > most) {
    tell(`The message is too long: at most ${most} bytes.`);
    return;
  }
  wasAtEnd = true;
  input.value = "";
  store.remove(`draft.${current.name}`);
  const about = composing;
  setComposing(null);
  if (about?.kind !== "edit") session.say(current, text, about?.post.id);
  else if (text !== about.post.text) session.note(current, about.post.id, "edit", { message: text });
}

/** Ask for a name, or for a token if the server wants one. */
function login(reason) {
  const needsToken = session.refusal?.code === "unauthorised";
  const submit = (value) => {
    if (!value && !needsToken) throw new Error("Enter a name.");
    session[needsToken ? "token" : "name"] = value;
    store.set(needsToken ? "token" : "name", value);
    session.refusal = null;
    closeDialog();
    if (session.name || session.token) connection.open();
    else login("");
  };
  askName({ name: session.name, reason: visibleLine(reason), needsToken, submit });
}

function openSettings() {
  const actions = [];
  const { Notification } = window;
  if (Notification?.permission === "default" && window.isSecureContext) {
    actions.push(["Notify me of mentions", () => Notification.requestPermission()]);
  }
  if (current && session.rooms.size > 1) actions.push([`Leave ${visibleLine(current.title)}`, () => attempt(() => session.leave(current.name))]);
  if (current) actions.push(["Pinned messages", () => showPinned(current)]);
  const forget = () => {
    store.clear();
    location.replace("/");
  };
  const question = "Forget your name, token and unsent messages in this browser?";
  actions.push(["Sign out…", () => confirm(question, "Sign out", forget)]);
  settings(session.name, (name) => session.rename(name), actions);
}

async function showPinned(room) {
  const page = await attempt(() => session.request({ type: "history", room: room.name, pinned: true, limit: 50 }));
  if (page) showPosts("Pinned messages", page.items.map(postOf));
}

async function browse() {
  const answer = await attempt(() => session.request({ type: "list" }));
  const join = (name) => {
    const joining = session.join(name);
    return joining.then((room) => {
      closeDialog();
      show(room);
    });
  };
  if (answer) chooseRoom(answer.rooms, (name) => join(name).catch((error) => { tell(error.message); throw error; }));
}

function search() {
  const room = current;
  const find = async (query) => (await session.request({ type: "search", room: room.name, query, limit: 30 })).items.map(postOf).reverse();
  searchRoom(room.title, find, (post) => jump(room, post.id));
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
  const post = document.activeElement.closest?.(".post");
  const posts = [...log.querySelectorAll(".post")];
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (step && (event.target === log || event.target === post)) {
    const next = post ? posts[posts.indexOf(post) + step] : posts.at(-1);
    next?.focus();
    event.preventDefault();
  } else if (event.key === "Enter" && event.target === post && post.dataset.seq) {
    openMenu(current, current.post(Number(post.dataset.seq)));
    event.preventDefault();
  }
}

function onInputKey(event) {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  } else if (event.key === "Escape") cancel();
  else if (event.key === "ArrowUp" && !input.value && current) {
    const own = current.posts.findLast((post) => post.sender === session.name && !post.deleted);
    if (own) {
      event.preventDefault();
      setComposing({ kind: "edit", post: own });
    }
  }
}

function onInput() {
  if (composing?.kind !== "edit") store.set(`draft.${current.name}`, input.value);
  if (input.value && session.welcomed && performance.now() - typedAt > TYPING_MS) {
    typedAt = performance.now();
    session.transmit({ type: "typing", room: current.name });
  }
}

function listen() {
  byId("composer").onsubmit = (event) => {
    event.preventDefault();
    send();
  };
  input.onkeydown = onInputKey;
  input.oninput = onInput;
  byId("cancel").onclick = cancel;
  byId("search").onclick = search;
  byId("browse").onclick = browse;
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
  document.addEventListener("keydown", (event) => event.key === "Escape" && closePanels());
}
