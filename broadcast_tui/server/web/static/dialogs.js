// The dialogs. One element shows them all, one at a time: the browser keeps the focus in it, and closes it on Escape.

import { byId, h } from "./dom.js";
import { plainLine } from "./markdown.js";
import { visibleLine } from "./text.js";
import { nameElement, textElements, timeElement } from "./view.js";

const EMOJI = ["👍", "✅", "🎉", "👀", "😄", "🙏", "🚀", "👎"];

/** Show a dialog with a title; it can be closed unless `isRequired`. `redraw` is called when the page is drawn. */
export function open(title, children, { isRequired = false, redraw = null } = {}) {
  const dialog = byId("dialog");
  const close = isRequired
    ? null
    : h("button", { className: "icon", id: "close-dialog", type: "button", "aria-label": "Close", onclick: closeDialog }, "✕");
  const bar = h("div", { className: "title" }, h("h2", { id: "dialog-title" }, title), close);
  dialog.replaceChildren(bar, ...children.filter(Boolean));
  dialog.redraw = redraw;
  // These return nothing: a handler that returns false cancels what the browser would do.
  dialog.oncancel = (event) => {
    if (isRequired) event.preventDefault();
  };
  dialog.onclick = (event) => {
    if (event.target === dialog && !isRequired) closeDialog(); // beside it
  };
  dialog.onclose = () => {
    if (isRequired) dialog.showModal(); // a second Escape closes it all the same
  };
  if (!dialog.open) dialog.showModal();
  (dialog.querySelector("input, textarea, select, button:not(#close-dialog)") ?? dialog.querySelector("button"))?.focus();
  dialog.scrollTop = 0;
}

export function closeDialog() {
  const dialog = byId("dialog");
  dialog.onclose = dialog.redraw = null;
  dialog.close();
}

/** A labeled field. `options` makes it a choice of pairs `[value, text]`, `rows` an input of several lines. */
function field({ label, options, ...attributes }) {
  const choices = options?.map(([value, text]) => h("option", { value }, text)) ?? [];
  const tag = options ? "select" : attributes.rows ? "textarea" : "input";
  const input = h(tag, { autocomplete: "off" }, ...choices);
  for (const [name, value] of Object.entries(attributes)) input[name] = value;
  return [h("label", {}, label, input), input];
}

/**
 * A form; `buttons` are pairs of a label and a function, which gets the values of the fields and may throw an
 * error to show. Enter presses the first one.
 */
export function form(fields, buttons, className = "") {
  const error = h("p", { className: "error", role: "alert" });
  const pairs = fields.map(field);
  const submits = buttons.map(([label, submit], i) => {
    const button = h("button", { className: i ? "" : "primary" }, label);
    button.submit = submit;
    return button;
  });
  const labels = pairs.map(([label]) => label);
  const element = h("form", { noValidate: true, className }, ...labels, error, h("div", { className: "actions" }, ...submits));
  element.onsubmit = async (event) => {
    event.preventDefault();
    error.textContent = "";
    try {
      await (event.submitter ?? submits[0]).submit(...pairs.map(([, input]) => input.value.trim()));
    } catch (failure) {
      error.textContent = visibleLine(failure.message);
    }
  };
  return element;
}

/** Buttons below each other, for pairs of a label and a function, which run when the dialog is closed. */
export function menu(actions) {
  const buttons = actions.map(([label, action]) => h("button", { type: "button", onclick: () => { closeDialog(); action(); } }, label));
  return h("div", { className: "stack menu" }, ...buttons);
}

/** Ask for a name, and for a token if the server wants one. */
export function askName({ name, reason, needsToken, submit }) {
  const fields = needsToken
    ? [{ label: "Token", type: "password", required: true }]
    : [{ label: "Your name", value: name, maxLength: 64, autocomplete: "nickname", required: true }];
  const about = reason ? [h("p", { className: "error", role: "alert" }, reason)] : [];
  const help = needsToken
    ? "This server lets in only people with a token. Open the link of your invite, or enter the token."
    : "Others see it beside what you write.";
  about.push(h("p", { className: "hint" }, help));
  open(needsToken ? "A token is needed" : "What is your name?", [...about, form(fields, [["Enter", submit]])], { isRequired: true });
}

/** What can be done with a post, by its author and time. `actions` are pairs of a label and a function. */
export function postMenu(author, at, actions, react) {
  const run = (key) => {
    closeDialog();
    react(key);
  };
  const emoji = EMOJI.map((key) => h("button", { "aria-label": `React with ${key}`, onclick: () => run(key) }, key));
  const own = form([{ label: "Another reaction", maxLength: 16 }], [["React", (key) => key && run(key)]], "inline");
  const title = h("span", {}, author, ", ", timeElement(at, true));
  open(title, [menu(actions), h("div", { className: "chips" }, ...emoji), own]);
}

/** Ask whether to do something that cannot be undone; `action` gets the reason if `asksReason`. */
export function confirm(question, label, action, asksReason = false) {
  const run = (reason = "") => {
    closeDialog();
    action(reason);
  };
  open(question, [form(asksReason ? [{ label: "Reason (optional)", maxLength: 120 }] : [], [[label, run], ["Cancel", closeDialog]])]);
}

/** Search a room with these colors of names; `find` resolves to posts, `show` shows one. */
export function searchRoom(title, hues, query, find, show) {
  const results = h("div", { className: "stack", "aria-live": "polite" });
  const run = async (words) => {
    if (!words) return;
    const posts = await find(words);
    results.replaceChildren(...(posts.length ? posts.map((post) => h("button", { className: "result", onclick: () => show(post) }, ...resultContent(post, hues, true))) : ["Nothing was found."]));
  };
  const search = form([{ label: "Words", enterKeyHint: "search", value: query, maxLength: 500 }], [["Search", run]], "inline");
  open(`Search in ${title}`, [search, results]);
  if (query) search.requestSubmit();
}

/** Show posts that are not loaded, of a room with these colors of names. */
export function showPosts(title, posts, hues) {
  const children = posts.length ? posts.map((post) => h("div", {}, ...resultContent(post, hues))) : ["There are none."];
  open(title, [h("div", { className: "stack" }, ...children)]);
}

function resultContent(post, hues, isPlain = false) {
  const meta = h("div", { className: "meta" }, h("strong", {}, nameElement(post.sender, hues, true)), timeElement(post.at, true));
  const text = post.deleted ? "This message was deleted." : post.text;
  // A button must not contain links.
  const content = isPlain ? [h("div", { className: "text" }, plainLine(text))] : textElements(text);
  return [meta, ...content];
}

/** Choose one of the server's rooms, or name another one. */
export function chooseRoom(rooms, join) {
  const named = form([{ label: "Name of the room", maxLength: 64, autocapitalize: "none" }], [["Join", (name) => name && join(name)]], "inline");
  const buttons = rooms.map(({ room, online, topic }) =>
    h("button", { className: "result", onclick: () => join(room).catch(() => {}) }, h("bdi", {}, `#${visibleLine(room)}`),
      h("small", {}, ` · ${online} online${topic ? ` · ${visibleLine(topic)}` : ""}`)));
  open("Join a room", [named, h("div", { className: "stack" }, ...buttons)]);
}

/** A list of terms and what they mean. */
export function help(rows) {
  const list = h("dl", {}, ...rows.flatMap(([term, text]) => [h("dt", {}, h("code", {}, term)), h("dd", {}, text)]));
  open("Keys and commands", [list]);
}
