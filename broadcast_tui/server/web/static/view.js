// The rows of a room's log: days, the unread line, posts, and the lines between them.

import { h } from "./dom.js";
import { plainLine, render } from "./markdown.js";
import { dateOf, isOpen } from "./posts.js";
import { NameHues, mentions, visible, visibleLine } from "./text.js";

const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const ACTION = "/me "; // how an action begins, as on the wire
const FOLD_LINES = 14; // longer posts are folded
const FOLD_CHARS = 1600;
const SOON_MS = 5 * 60_000;
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/**
 * The rows of a room, from the top, for `reconcile`.
 * @param own `{name, outbox}`: the user's name and unsent entries.
 * @param act `act(action, post, detail)` is called for what the user does with a post.
 */
export function rowsOf(room, own, act) {
  const rows = [];
  const firstUnread = room.firstUnread(room.unreadAfter);
  const hasUnread = firstUnread && room.posts.some((post) => post.seq >= firstUnread.seq && room.counts(post, own.name));
  const replies = repliesOf(room);
  let former = null; // the post right above
  let day = "";
  let line = 0;
  const add = (key, make, version = "") => {
    former = null;
    rows.push({ key, version, make });
  };
  const addDay = (at) => {
    const label = DAY.format(at);
    if (label === day) return;
    day = label;
    add(`day ${label}`, () => h("div", { className: "day" }, label));
  };
  const addLinesBefore = (seq) => {
    for (; line < room.lines.length && room.lines[line].after < seq; line += 1) {
      const { key, text, kind } = room.lines[line];
      add(`line ${key}`, () => h("div", { className: `line ${kind ?? ""}` }, h("span", {}, visibleLine(text))), text);
    }
  };
  if (room.hasOlder) add("older", () => h("div", { className: "older" }, h("button", { onclick: () => act("older") }, "Older messages")));
  for (const post of room.posts) {
    addLinesBefore(post.seq);
    if (room.ignored.has(post.sender)) continue;
    addDay(post.at);
    if (hasUnread && post === firstUnread) add("unread", () => h("div", { className: "unread" }, "Unread messages"));
    rows.push(postRow(post, room, own, act, { follows: follows(post, former), replies: replies.get(post.seq) }));
    former = post;
  }
  addLinesBefore(Infinity);
  if (!room.posts.length && !room.hasOlder && room.cursor.synced) {
    const text = room.isDirect ? "Nobody has written anything yet." : "Nobody has written anything yet. Say hello, or send others the address of this page.";
    add("empty", () => h("p", { className: "empty" }, text));
  }
  rows.push(...pendingRows(room, own, act, () => true));
  return rows;
}

/** The rows of a thread: its posts, and replies that are not sent. */
export function threadRows(room, posts, root, own, act) {
  const visiblePosts = posts.filter((post) => !room.ignored.has(post.sender));
  return [
    ...visiblePosts.map((post) => postRow(post, room, own, act, { isThread: true })),
    ...pendingRows(room, own, act, ({ re }) => re === root),
  ];
}

/** The number of loaded replies in each thread, by the seq of its first post. */
export function repliesOf(room) {
  const counts = new Map();
  for (const { root, deleted } of room.posts) if (root && !deleted) counts.set(root, (counts.get(root) ?? 0) + 1);
  return counts;
}

/** Whether a post goes on where the one above ended: the same person, soon after. */
function follows(post, former) {
  const isPlain = !post.re && !post.edited && !post.pinned && !post.deleted;
  return isPlain && former?.sender === post.sender && !former.deleted && post.at - former.at < SOON_MS;
}

function postRow(post, room, own, act, context) {
  const quoted = post.re && !context.isThread ? room.post(post.re) : null;
  const isWhole = room.expanded.has(post.seq);
  return {
    key: `post ${post.seq}`,
    version: JSON.stringify([own.name, post, quoted?.text, quoted?.sender, context, isWhole, isOpen(post)]),
    make: () => postElement(post, quoted, own.name, act, room.hues, { ...context, isWhole }),
  };
}

function pendingRows(room, own, act, isShown) {
  const entries = [...room.expected.values(), ...own.outbox.of(room.name)];
  return entries.filter(({ frame }) => frame.type === "message" && isShown(frame)).map((entry) => {
    const isUnsure = own.outbox.isUnsure(entry);
    return { key: `own ${entry.nonce}`, version: String(isUnsure), make: () => pendingElement(entry, nameElement(own.name, room.hues), isUnsure, act) };
  });
}

/** A name in its color: that in a room, or before others take it. It cannot change the direction around it. */
export function nameElement(name, hues = new NameHues(), isGuest = false) {
  return h("bdi", { className: `c${hues.of(name, isGuest)}` }, visibleLine(name));
}

/** The text of a post, with a warning below it if a link imitates another host. */
export function textElements(text) {
  const { nodes, hosts } = render(visible(text));
  const warning = hosts.size ? h("p", { className: "warning" }, `⚠ Links to ${[...hosts].join(", ")}`) : null;
  return [h("div", { className: "text" }, ...nodes), warning];
}

/** When something was posted: the time, and in full as a title. */
export function timeElement(at, full = false) {
  const shown = full ? DAY_TIME.format(at) : TIME.format(at);
  return h("time", { dateTime: at.toISOString(), title: DAY_TIME.format(at) }, shown);
}

function postElement(post, quoted, ownName, act, hues, { follows: isNext, replies, isWhole, isThread }) {
  const isMention = post.sender !== ownName && mentions(post.text, ownName);
  const isAction = !post.deleted && post.text.startsWith(ACTION);
  const kinds = { deleted: post.deleted, mention: isMention, next: isNext, action: isAction, own: post.sender === ownName };
  const classes = Object.keys(kinds).filter((kind) => kinds[kind]);
  const meta = h("div", { className: "meta" }, h("strong", {}, nameElement(post.sender, hues)), timeElement(post.at));
  if (post.edited) meta.append(h("small", {}, "edited"));
  if (post.pinned) meta.append(h("small", {}, `📌 pinned by ${visibleLine(post.pinned.by)}`));
  const element = h("article", { className: ["post", ...classes].join(" "), tabIndex: -1 });
  element.dataset.seq = post.seq;
  if (post.re && !isThread) element.append(quoteElement(post, quoted, act, hues));
  element.append(meta);
  if (post.deleted) {
    const reason = post.deleted.reason ? `: ${visibleLine(post.deleted.reason)}` : ".";
    element.append(h("div", { className: "text" }, `Deleted by ${visibleLine(post.deleted.by)}${reason}`));
    return element;
  }
  const isGone = post.seq < 0; // of a former log: nothing can be done with it
  const [text, warning] = textElements(isAction ? post.text.slice(ACTION.length) : post.text);
  if (isAction) text.prepend(nameElement(post.sender, hues), " ");
  element.append(...[text, warning].filter(Boolean));
  const lines = post.text.split("\n").length;
  if (!isWhole && (lines > FOLD_LINES || post.text.length > FOLD_CHARS)) {
    text.classList.add("folded");
    const label = lines > FOLD_LINES ? `Show all ${lines} lines` : "Show all of it";
    element.append(h("button", { className: "unfold", "data-focus": "unfold", onclick: () => act("unfold", post) }, label));
  }
  if (post.ask) element.append(...questionElements(post, ownName, act));
  const chips = Object.entries(post.reactions).map(([key, { count, names }]) => {
    const isOn = names.includes(ownName);
    const who = `${names.map(visibleLine).join(", ")}${count > names.length ? ", …" : ""}`;
    const onclick = () => act("react", post, { key, on: !isOn });
    const attributes = { title: who, "aria-label": `${visibleLine(key)} ${count}: ${who}`, "aria-pressed": isOn, "data-focus": `r${key}`, disabled: isGone };
    return h("button", { ...attributes, onclick }, `${visibleLine(key)} ${count}`);
  });
  if (replies && !isThread && !isGone) {
    const label = replies === 1 ? "1 reply" : `${replies} replies`;
    chips.push(h("button", { className: "replies", "data-focus": "thread", onclick: () => act("thread", post) }, label));
  }
  if (chips.length) element.append(h("div", { className: "chips" }, ...chips));
  const label = `Actions for the message of ${visibleLine(post.sender)}`;
  if (!isGone) element.append(h("button", { className: "icon more", "aria-label": label, "data-focus": "more", onclick: () => act("menu", post) }, "⋯"));
  return element;
}

function quoteElement(post, quoted, act, hues) {
  const parts = quoted ? [nameElement(quoted.sender, hues), `: ${quoted.deleted ? "deleted" : plainLine(quoted.text)}`] : ["an earlier message"];
  return h("button", { className: "quote", onclick: () => act("jump", post, post.re), "data-focus": "quote" }, "↪ ", ...parts);
}

function questionElements(post, ownName, act) {
  const { ask, tally } = post;
  const until = dateOf(ask.until);
  const buttons = ask.choices.map((choice) => {
    const { count, names } = Object.hasOwn(tally, choice) ? tally[choice] : { count: 0, names: [] };
    const attributes = { "aria-pressed": names.includes(ownName), "data-focus": `a${choice}`, disabled: !isOpen(post) };
    const title = names.map(visibleLine).join(", ");
    return h("button", { ...attributes, title, onclick: () => act("answer", post, choice) }, `${visibleLine(choice)} · ${count}`);
  });
  const answered = Object.values(tally).reduce((sum, { count }) => sum + count, 0);
  const waiting = post.waiting.length ? ` Waiting for ${post.waiting.map(visibleLine).join(", ")}.` : "";
  const state = isOpen(post) ? `Open until ${DAY_TIME.format(until)}.${waiting}` : "Closed.";
  const hint = `${answered}${ask.of ? ` of ${ask.of}` : ""} answered. ${state}`;
  return [h("div", { className: "chips", role: "group", "aria-label": "Answers" }, ...buttons), h("p", { className: "hint" }, hint)];
}

function pendingElement(entry, name, isUnsure, act) {
  const { message } = entry.frame;
  const state = isUnsure ? "It is not known whether this was sent." : "sending…";
  const meta = h("div", { className: "meta" }, h("strong", {}, name), h("small", {}, state));
  const element = h("article", { className: "post pending", tabIndex: -1 }, meta, ...textElements(message));
  if (isUnsure) {
    const button = (label, again) => h("button", { onclick: () => act("unsure", null, { nonce: entry.nonce, again }) }, label);
    element.append(h("div", { className: "chips" }, button("Send again", true), button("Discard", false)));
  }
  return element;
}
