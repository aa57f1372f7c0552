// The dialogs. One element shows them all, one at a time: the browser keeps the focus in it, and closes it on Escape.

import { byId, h } from "./dom.js";
import { nameElement, textElements, timeElement } from "./view.js";
import { visibleLine } from "./text.js";

const EMOJI = ["👍", "✅", "🎉", "👀", "😄", "🙏", "🚀", "👎"];

/** Show a dialog with a title; it can be closed unless `isRequired`. */
function open(title, children, isRequired = false) {
  const dialog = byId("dialog");
  const close = isRequired ? null : h("div", { className: "actions" }, h("button", { type: "button", onclick: closeDialog }, "Close"));
  dialog.replaceChildren(h("h2", { id: "dialog-title" }, title), ...children, ...(close ? [close] : []));
  dialog.oncancel = (event) => isRequired && event.preventDefault();
  dialog.onclose = () => isRequired && dialog.showModal(); // a second Escape closes it all the same
  if (!dialog.open) dialog.showModal();
  (dialog.querySelector("[autofocus]") ?? dialog.querySelector("input, button"))?.focus();
}

export function closeDialog() {
  byId("dialog").onclose = null;
  byId("dialog").close();
}

/** A form with text fields; `submit` gets their values, and may throw an error to show. */
function form(fields, label, submit, className = "") {
  const error = h("p", { className: "error", role: "alert" });
  const inputs = fields.map(({ label: text, ...attributes }) => [text, h("input", { autocomplete: "off", ...attributes })]);
  const labels = inputs.map(([text, input]) => h("label", {}, text, input));
  const button = h("button", { className: "primary" }, label);
  const element = h("form", { noValidate: true, className }, ...labels, error, h("div", { className: "actions" }, button));
  element.onsubmit = async (event) => {
    event.preventDefault();
    try {
      await submit(...inputs.map(([, input]) => input.value.trim()));
    } catch (failure) {
      error.textContent = failure.message;
    }
  };
  return element;
}

/** Ask for a name, and for a token if the server wants one. */
export function askName({ name, reason, needsToken, submit }) {
  const fields = needsToken
    ? [{ label: "Token", type: "password", required: true }]
    : [{ label: "Your name", value: name, maxLength: 64, autocomplete: "nickname", required: true }];
  const about = reason ? [h("p", { className: "error", role: "alert" }, reason)] : [];
  if (needsToken) about.push(h("p", {}, "This server lets in only people with a token. Open the link of your invite, or enter the token."));
  open(needsToken ? "A token is needed" : "What is your name?", [...about, form(fields, "Enter", submit)], true);
}

/** What can be done with a post. `actions` are pairs of a label and a function. */
export function postMenu(post, actions, react) {
  const run = (action) => () => {
    closeDialog();
    action();
  };
  const emoji = EMOJI.map((key) => h("button", { "aria-label": `React with ${key}`, onclick: run(() => react(key)) }, key));
  const own = form([{ label: "Another reaction", maxLength: 16 }], "React", (key) => {
    if (!key) return;
    closeDialog();
    react(key);
  }, "inline");
  const buttons = actions.map(([label, action]) => h("button", { onclick: run(action) }, label));
  const title = [nameElement(post.sender), ", ", timeElement(post.at, true)];
  open(h("span", {}, ...title), [h("div", { className: "stack" }, h("div", { className: "chips" }, ...emoji)), own, h("div", { className: "stack" }, ...buttons)]);
}

/** Ask whether to do something that cannot be undone. */
export function confirm(question, label, action) {
  const yes = h("button", { className: "primary", onclick: () => { closeDialog(); action(); } }, label);
  open(question, [h("div", { className: "stack" }, yes)]);
}

/** Search a room; `find` resolves to posts, `show` shows one. */
export function searchRoom(title, find, show) {
  const results = h("div", { className: "stack", "aria-live": "polite" });
  const search = form([{ label: "Words", type: "search" }], "Search", async (query) => {
    if (!query) return;
    const posts = await find(query);
    results.replaceChildren(...(posts.length ? posts.map((post) => resultElement(post, () => show(post))) : ["Nothing was found."]));
  }, "inline");
  open(`Search in ${title}`, [search, results]);
}

/** Show posts that are not loaded. */
export function showPosts(title, posts) {
  open(title, [h("div", { className: "stack" }, ...posts.map((post) => h("div", {}, ...resultContent(post))))]);
}

function resultElement(post, onclick) {
  return h("button", { className: "result", onclick }, ...resultContent(post, true));
}

function resultContent(post, isPlain = false) {
  const meta = h("div", { className: "meta" }, h("strong", {}, nameElement(post.sender)), timeElement(post.at, true));
  const text = post.deleted ? "This message was deleted." : post.text;
  // A button must not contain links.
  const content = isPlain ? [h("div", { className: "text" }, visibleLine(text))] : textElements(text).filter(Boolean);
  return [meta, ...content];
}

/** Choose one of the server's rooms, or name another one. */
export function chooseRoom(rooms, join) {
  const field = form([{ label: "Name of the room", maxLength: 64, autocapitalize: "none" }], "Join", join, "inline");
  const buttons = rooms.map(({ room, online, topic }) =>
    h("button", { className: "result", onclick: () => join(room) }, h("bdi", {}, `#${room}`), ` · ${online} online${topic ? ` · ${visibleLine(topic)}` : ""}`));
  open("Join a room", [field, h("div", { className: "stack" }, ...buttons)]);
}

/** Settings; `actions` are pairs of a label and a function, which close the dialog unless they open another. */
export function settings(name, rename, actions) {
  const field = form([{ label: "Your name", value: name, maxLength: 64 }], "Change", async (value) => {
    await rename(value);
    closeDialog();
  }, "inline");
  const buttons = actions.map(([label, action]) => h("button", { onclick: () => { closeDialog(); action(); } }, label));
  open("Settings", [field, h("div", { className: "stack" }, ...buttons)]);
}
