// Notifications: only while the page is hidden, only if the user has asked for them, by default only of mentions.

import { h } from "./dom.js";
import { plainLine } from "./markdown.js";
import { mentions, visibleLine } from "./text.js";

const TEXT_MAX = 200;

/** The levels of a room. In direct messages, everything counts as a mention. */
export const LEVELS = [["mentions", "mentions of me"], ["all", "all messages"], ["off", "nothing"]];

export function levelOf(store, room) {
  const level = store.get(`notify.${room.name}`, "mentions");
  return LEVELS.some(([known]) => known === level) ? level : "mentions";
}

export function setLevel(store, room, level) {
  store.set(`notify.${room.name}`, level);
}

/** Whether a post is to a person, by name or in direct messages. */
export function isMention(room, post, name) {
  return post.sender !== name && (room.isDirect || mentions(post.text, name));
}

/** Notify the user of a post, if it is due; a click on the notification calls `show`. */
export function notify(store, room, post, name, show) {
  const level = levelOf(store, room);
  if (!document.hidden || level === "off" || window.Notification?.permission !== "granted") return;
  if (level === "mentions" && !isMention(room, post, name)) return;
  try {
    const title = room.isDirect ? visibleLine(post.sender) : `${visibleLine(post.sender)} in ${visibleLine(room.title)}`;
    const notification = new Notification(title, { body: plainLine(post.text).slice(0, TEXT_MAX), tag: post.id });
    notification.onclick = () => {
      window.focus();
      notification.close();
      show(room);
    };
  } catch {
    // Some phones show notifications of service workers only.
  }
}

/** What the user can do to be notified at all: a button, or an explanation; null if there is nothing to do. */
export function offer() {
  const { Notification } = window;
  const hint = (text) => h("p", { className: "hint" }, text);
  if (!Notification || !window.isSecureContext) return hint("Notifications need a browser that has them, and TLS.");
  if (Notification.permission === "granted") return null;
  if (Notification.permission === "denied") return hint("Notifications are blocked in the settings of the browser.");
  const onclick = async ({ currentTarget }) => currentTarget.replaceWith((await Notification.requestPermission(), offer()) ?? hint("Notifications are on."));
  return h("button", { type: "button", onclick }, "Turn on notifications");
}
