// What the user can choose: for a post, a person, a room and the page. Each function opens a dialog.
//
// `page` is the page as the menus see it, see app.js.

import * as alerts from "./alerts.js";
import { COMMANDS } from "./commands.js";
import { askName, chooseRoom, closeDialog, confirm, form, help, menu, open, postMenu, searchRoom, showPosts } from "./dialogs.js";
import { h, reconcile } from "./dom.js";
import { postOf } from "./posts.js";
import { visibleLine } from "./text.js";
import { nameElement, threadRows } from "./view.js";

const CHOICES_MAX = 10;
const THREAD_MAX = 100;
const MINUTES = [[10, "10 minutes"], [60, "1 hour"], [1440, "1 day"], [10080, "1 week"]];
const DONE = { kick: "Kicked", ban: "Banned", mute: "Muted", unban: "Unbanned", unmute: "Unmuted" };
const KEYS = [
  ["Enter", "Send; or show what can be done with the selected message"],
  ["Shift+Enter", "New line"],
  ["Tab", "Complete a name after @, or a command"],
  ["↑ ↓", "Edit your last message, if the input is empty; select a message in the log"],
  ["r e t", "Selected message: reply, edit, show its thread"],
  ["+ p d", "Selected message: react, pin, delete"],
  ["Ctrl+K", "Go to a room, or join one"],
  ["Escape", "Cancel; close; go back to the input and the newest message"],
];

export function openPost(page, post) {
  const { session, room } = page;
  const isOwn = post.sender === session.name;
  const actions = [["Reply", () => page.compose("reply", post)]];
  if (post.root || page.repliesOf(post)) actions.push(["Show the thread", () => openThread(page, post)]);
  if (isOwn) actions.push(["Edit", () => page.compose("edit", post)]);
  if (isOwn || session.isAdmin) actions.push(["Delete…", () => deletePost(page, post)]);
  actions.push([post.pinned ? "Unpin" : "Pin", () => pin(page, post)]);
  if (navigator.clipboard) actions.push(["Copy the text", () => copy(page, post.text)]);
  if (!isOwn) actions.push([`About ${visibleLine(post.sender)}…`, () => openPerson(page, post.sender)]);
  postMenu(nameElement(post.sender, room.hues), post.at, actions, (key) => session.note(room, post.id, "react", { key }));
}

export function pin({ session, room }, post) {
  session.note(room, post.id, "pin", post.pinned ? { on: false } : {});
}

export function deletePost({ session, room }, post) {
  const asksReason = post.sender !== session.name;
  const question = asksReason ? `Delete this message of ${visibleLine(post.sender)} for everyone?` : "Delete this message for everyone?";
  confirm(question, "Delete", (reason) => session.note(room, post.id, "delete", reason ? { reason } : {}), asksReason);
}

async function copy(page, text) {
  await page.attempt(() => navigator.clipboard.writeText(text));
}

/** The posts of a thread, as they come in, and an input for replies. */
export async function openThread(page, post) {
  const { session, room } = page;
  const root = page.idOf(post, post.root || post.seq);
  const { seq } = postOf({ id: root });
  const answer = await page.attempt(() => session.request({ type: "history", room: room.name, root, limit: THREAD_MAX }));
  if (!answer) return;
  const read = new Map(answer.items.filter(({ type }) => type === "message").map((item) => [postOf(item).seq, postOf(item)]));
  const list = h("div", { className: "thread", role: "log", "aria-label": "Messages of the thread", tabIndex: 0 });
  const redraw = () => {
    for (const each of room.posts) if (each.seq === seq || each.root === seq) read.set(each.seq, each);
    const posts = [...read.values()].sort((one, other) => one.seq - other.seq);
    const rows = threadRows(room, posts, root, page.own, page.act);
    const isNew = rows.length > list.children.length;
    reconcile(list, rows);
    if (isNew) list.scrollTop = list.scrollHeight;
  };
  const reply = form([{ label: "Reply", maxLength: 8000 }], [["Send", (text) => {
    if (text) session.say(room, text, { re: root });
    reply.reset();
  }]], "inline");
  open("Thread", [list, reply], { redraw });
  redraw();
}

/** A person: direct messages, ignoring, and moderation for admins. */
export async function openPerson(page, name) {
  const { session, room } = page;
  const away = room?.members.find((member) => member.name === name)?.away;
  const isIgnored = session.ignored.has(name);
  const about = away === undefined ? null : h("p", { className: "hint" }, away ? `Away: ${visibleLine(away)}` : "Away");
  const ignore = [isIgnored ? "Stop ignoring" : "Ignore", () => session.ignore(name, !isIgnored)];
  const actions = menu([["Write a direct message", () => page.openDirect(name)], ignore]);
  const moderation = h("section", {});
  open(nameElement(name, room?.hues, true), [about, actions, moderation]);
  if (!session.token) return;
  const bans = await session.bans().catch(() => null);
  if (!bans || !moderation.isConnected) return;
  const act = (type, fields) => async (reason, minutes) => {
    const seconds = 60 * Number(minutes);
    const done = await session.request({ type, ...fields, ...(type !== "kick" && { seconds }), reason });
    closeDialog();
    page.tell(doneText(done), true);
  };
  const lifts = bans.filter(({ who }) => who.toLowerCase() === name.toLowerCase()).map((ban) => banElement(page, ban));
  const fields = [
    { label: "Reason (optional)", maxLength: 120 },
    { label: "How long, for a ban or a mute", options: [...MINUTES, [0, "until it is lifted"]] },
  ];
  const buttons = [["Kick", act("kick", { name })], ["Mute", act("mute", { name })], ["Ban", act("ban", { who: name })]];
  moderation.append(h("h3", {}, "Moderation"), ...lifts, form(fields, buttons));
}

function doneText({ action, who, until, connections }) {
  const end = until ? ` until ${new Date(until).toLocaleString()}` : "";
  const isElsewhere = (action === "ban" || action === "mute") && !connections;
  return `${DONE[action] ?? action} ${visibleLine(who)}${end}${isElsewhere ? " (not connected now)" : ""}.`;
}

function banElement(page, { action, kind, who, by, reason, until }) {
  const end = until ? `until ${new Date(until).toLocaleString()}` : "permanently";
  const text = `${action === "mute" ? "muted" : "banned"} ${end} by ${by}${reason ? `: ${reason}` : ""}`;
  const lift = action === "mute" ? { type: "unmute", name: who } : { type: "unban", who };
  const onclick = () => page.attempt(async () => {
    const done = await page.session.request(lift);
    closeDialog();
    page.tell(doneText(done), true);
  });
  const subject = kind === "name" ? nameElement(who) : visibleLine(who);
  return h("p", { className: "row" }, h("span", {}, subject, " ", visibleLine(text)), h("button", { type: "button", onclick }, action === "mute" ? "Unmute" : "Unban"));
}

export async function openBans(page) {
  const bans = await page.attempt(() => page.session.bans());
  if (bans) open("Bans and mutes", bans.length ? bans.map((ban) => banElement(page, ban)) : [h("p", {}, "No bans or mutes.")]);
}

/** The room: its topic, notifications, pinned messages, and leaving. */
export function openRoom(page) {
  const { session, room, store } = page;
  const actions = [["Ask a question…", () => openQuestion(page)], ["Pinned messages", () => showPinned(page)]];
  if (!room.isDirect && navigator.clipboard) {
    actions.push(["Copy the link to this room", async () => {
      await copy(page, new URL(`/rooms/${encodeURIComponent(room.name)}`, location.href).href);
      page.tell("The link is copied.", true);
    }]);
  }
  if (session.rooms.size > 1) actions.push([room.isDirect ? "Close" : "Leave", () => page.attempt(() => session.leave(room.name))]);
  const topic = form([{ label: "Topic", value: room.topic, maxLength: 300 }], [["Set", async (text) => {
    await session.request({ type: "topic", room: room.name, topic: text });
    closeDialog();
  }]], "inline");
  const levels = form([{
    label: "Notify me of", options: alerts.LEVELS, value: alerts.levelOf(store, room),
    onchange: ({ target }) => alerts.setLevel(store, room, target.value),
  }], []);
  open(visibleLine(room.title), [menu(actions), topic, levels, alerts.offer()]);
}

export async function showPinned(page) {
  const { session, room } = page;
  const answer = await page.attempt(() => session.request({ type: "history", room: room.name, pinned: true, limit: 50 }));
  if (answer) showPosts("Pinned messages", answer.items.map(postOf), room.hues);
}

/** A question whose answers are counted. */
export function openQuestion(page, preset = {}) {
  const { session, room } = page;
  const fields = [
    { label: "Question", value: preset.text ?? "", rows: 2, maxLength: 4000 },
    { label: "Choices, one per line. Without any, everyone is asked to acknowledge it.", rows: 3, placeholder: "yes\nno" },
    { label: "People, separated by commas. Without any, everyone here is asked.", value: preset.to ?? "", autocapitalize: "none" },
    { label: "Open for", options: MINUTES, value: 1440 },
  ];
  const submit = (text, written, names, minutes) => {
    const choices = written.split("\n");
    ask(session, room, text, choices, names.split(","), 60 * Number(minutes));
    closeDialog();
  };
  open("Ask a question", [form(fields, [["Ask", submit]])]);
}

/** Post a question; throws an error if it cannot be asked. */
export function ask(session, room, text, written, names = [], seconds = 86_400) {
  const clean = (words) => [...new Set(words.map((word) => word.trim()).filter(Boolean))];
  const choices = clean(written);
  const to = clean(names).map((name) => name.replace(/^@/, ""));
  if (!text) throw new Error("Write a question.");
  if (choices.length > CHOICES_MAX) throw new Error(`A question has at most ${CHOICES_MAX} choices.`);
  if (choices.some((choice) => [...choice].length > 64)) throw new Error("A choice has at most 64 characters.");
  session.say(room, text, { ask: { choices: choices.length ? choices : ["ok"], until_s: seconds, ...(to.length && { to }) } });
}

export function openSettings(page) {
  const { session, store } = page;
  const actions = [["Keys and commands", openHelp]];
  if (session.ignored.size) actions.push(["Ignored people…", () => openIgnored(page)]);
  if (session.isAdmin) actions.push(["Bans and mutes…", () => openBans(page)]);
  const forget = () => {
    store.clear();
    location.replace("/");
  };
  const question = "Forget your name, token and unsent messages in this browser?";
  actions.push(["Sign out…", () => confirm(question, "Sign out", forget)]);
  const name = form([{ label: "Your name", value: session.name, maxLength: 64 }], [["Change", async (value) => {
    await session.rename(value);
    closeDialog();
  }]], "inline");
  const status = (frame) => async (text) => {
    await session.request({ type: "away", ...frame, ...(frame.away && { text }) });
    closeDialog();
  };
  const buttons = [["Set", status({ away: true })], ...(session.isAway ? [["I am back", status({ away: false })]] : [])];
  const away = form([{ label: "Away (optional: why)", maxLength: 120 }], buttons, "inline");
  open("Settings", [menu(actions), name, away, alerts.offer()]);
}

function openIgnored(page) {
  const { session } = page;
  open("Ignored people", [menu([...session.ignored].map((name) => [`Stop ignoring ${visibleLine(name)}`, () => session.ignore(name, false)]))]);
}

export function openHelp() {
  help([...KEYS, ...COMMANDS.map(({ name, hint, help: text }) => [`/${name}${hint ? ` ${hint}` : ""}`, text])]);
}

export async function browse(page) {
  const answer = await page.attempt(() => page.session.request({ type: "list" }));
  if (answer) chooseRoom(answer.rooms, page.join);
}

export function search(page, query = "") {
  const { session, room } = page;
  const find = async (words) => (await session.request({ type: "search", room: room.name, query: words, limit: 30 })).items.map(postOf).reverse();
  searchRoom(visibleLine(room.title), room.hues, query, find, (post) => page.jump(room, post.id));
}

/** Ask for a name, or for a token if the server wants one; then `enter`. */
export function login({ session, store }, reason, enter) {
  const needsToken = session.refusal?.code === "unauthorised";
  const submit = (value) => {
    if (!value && !needsToken) throw new Error("Enter a name.");
    session[needsToken ? "token" : "name"] = value;
    store.set(needsToken ? "token" : "name", value);
    session.refusal = null;
    closeDialog();
    enter();
  };
  askName({ name: session.name, reason: visibleLine(reason), needsToken, submit });
}
