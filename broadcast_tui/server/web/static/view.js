// The rows of a room's log: days, the unread line, posts, and the lines between them.

import { h } from "./dom.js";
import { render } from "./markdown.js";
import { colorOf, mentions, visible, visibleLine } from "./text.js";

const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
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
  const hasUnread = firstUnread && room.posts.some((post) => post.seq >= firstUnread.seq && post.sender !== own.name);
  let day = "";
  let line = 0;
  const addDay = (at) => {
    const label = DAY.format(at);
    if (label === day) return;
    day = label;
    rows.push({ key: `day ${label}`, version: "", make: () => h("div", { className: "day" }, label) });
  };
  const addLinesBefore = (seq) => {
    for (; line < room.lines.length && room.lines[line].after < seq; line += 1) {
      const { key, text, kind } = room.lines[line];
      rows.push({ key: `line ${key}`, version: "", make: () => h("div", { className: `line ${kind ?? ""}` }, visibleLine(text)) });
    }
  };
  if (room.hasOlder) {
    const make = () => h("div", { className: "older" }, h("button", { onclick: () => act("older") }, "Older messages"));
    rows.push({ key: "older", version: "", make });
  }
  for (const post of room.posts) {
    addLinesBefore(post.seq);
    addDay(post.at);
    if (hasUnread && post === firstUnread) {
      rows.push({ key: "unread", version: "", make: () => h("div", { className: "unread" }, "Unread messages") });
    }
    const quoted = post.re ? room.post(post.re) : null;
    rows.push({
      key: `post ${post.seq}`,
      version: JSON.stringify([own.name, post, quoted?.text, quoted?.sender]),
      make: () => postElement(post, quoted, own.name, act),
    });
  }
  addLinesBefore(Infinity);
  for (const entry of [...room.expected.values(), ...own.outbox.of(room.name)]) {
    if (entry.frame.type !== "message") continue;
    const isUnsure = own.outbox.isUnsure(entry);
    const make = () => pendingElement(entry, own.name, isUnsure, act);
    rows.push({ key: `own ${entry.nonce}`, version: String(isUnsure), make });
  }
  return rows;
}

/** A name in its color. It cannot change the direction of what surrounds it. */
export function nameElement(name) {
  return h("bdi", { className: `c${colorOf(name)}` }, visibleLine(name));
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

function postElement(post, quoted, ownName, act) {
  const isMention = post.sender !== ownName && mentions(post.text, ownName);
  const classes = ["post", post.deleted && "deleted", isMention && "mention"].filter(Boolean).join(" ");
  const meta = h("div", { className: "meta" }, h("strong", {}, nameElement(post.sender)), timeElement(post.at));
  if (post.edited) meta.append(h("small", {}, "edited"));
  if (post.pinned) meta.append(h("small", {}, `📌 pinned by ${visibleLine(post.pinned.by)}`));
  const element = h("article", { className: classes, tabIndex: -1, id: `post-${post.seq}` });
  element.dataset.seq = post.seq;
  if (post.re) element.append(quoteElement(post, quoted, act));
  element.append(meta);
  if (post.deleted) {
    const reason = post.deleted.reason ? `: ${visibleLine(post.deleted.reason)}` : ".";
    element.append(h("div", { className: "text" }, `Deleted by ${visibleLine(post.deleted.by)}${reason}`));
    return element;
  }
  element.append(...textElements(post.text).filter(Boolean));
  if (post.ask) element.append(...questionElements(post, ownName, act));
  const reactions = Object.entries(post.reactions);
  if (reactions.length) {
    const chips = reactions.map(([key, { count, names }]) => {
      const isOn = names.includes(ownName);
      const who = `${names.map(visibleLine).join(", ")}${count > names.length ? ", …" : ""}`;
      const onclick = () => act("react", post, { key, on: !isOn });
      const attributes = { title: who, "aria-label": `${key} ${count}: ${who}`, "aria-pressed": isOn, "data-focus": `r${key}` };
      return h("button", { ...attributes, onclick }, `${visibleLine(key)} ${count}`);
    });
    element.append(h("div", { className: "chips" }, ...chips));
  }
  const label = `Actions for the message of ${visibleLine(post.sender)}`;
  element.append(h("button", { className: "icon more", "aria-label": label, "data-focus": "more", onclick: () => act("menu", post) }, "⋯"));
  return element;
}

function quoteElement(post, quoted, act) {
  const text = quoted && (quoted.deleted ? "deleted" : visibleLine(quoted.text).slice(0, 200));
  const parts = quoted ? [nameElement(quoted.sender), `: ${text}`] : ["an earlier message"];
  return h("button", { className: "quote", onclick: () => act("jump", post, post.re), "data-focus": "quote" }, "↪ ", ...parts);
}

function questionElements(post, ownName, act) {
  const { ask, tally, closed } = post;
  const until = new Date(ask.until);
  const isOpen = !closed && until > Date.now();
  const buttons = ask.choices.map((choice) => {
    const { count, names } = tally[choice] ?? { count: 0, names: [] };
    const attributes = { "aria-pressed": names.includes(ownName), "data-focus": `a${choice}`, disabled: !isOpen };
    const title = names.map(visibleLine).join(", ");
    return h("button", { ...attributes, title, onclick: () => act("answer", post, choice) }, `${visibleLine(choice)} · ${count}`);
  });
  const answered = Object.values(tally).reduce((sum, { count }) => sum + count, 0);
  const waiting = post.waiting.length ? ` Waiting for ${post.waiting.map(visibleLine).join(", ")}.` : "";
  const state = isOpen ? `Open until ${DAY_TIME.format(until)}.${waiting}` : "Closed.";
  const hint = `${answered}${ask.of ? ` of ${ask.of}` : ""} answered. ${state}`;
  return [h("div", { className: "chips", role: "group", "aria-label": "Answers" }, ...buttons), h("p", { className: "hint" }, hint)];
}

function pendingElement(entry, name, isUnsure, act) {
  const { message } = entry.frame;
  const state = isUnsure ? "It is not known whether this was sent." : "sending…";
  const meta = h("div", { className: "meta" }, h("strong", {}, nameElement(name)), h("small", {}, state));
  const element = h("article", { className: "post pending", tabIndex: -1 }, meta, ...textElements(message).filter(Boolean));
  if (isUnsure) {
    const button = (label, again) => h("button", { onclick: () => act("unsure", null, { nonce: entry.nonce, again }) }, label);
    element.append(h("div", { className: "chips" }, button("Send again", true), button("Discard", false)));
  }
  return element;
}
