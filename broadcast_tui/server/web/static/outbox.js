// Own posts and notes that the server has not acknowledged, kept until it does, also when the page is closed.
//
// Invariants: an entry leaves only when the server has acknowledged or rejected it, or its author has
// discarded it; it keeps its nonce, by which the server recognizes it. Of each room, one entry is on its way at
// a time, so that a temporary error does not change their order. Two tabs may send the same entry: the server
// stores it once.

import { randomId } from "./store.js";

/** The server remembers nonces for 10 minutes: an older entry that was sent could be stored a second time. */
const NONCE_MS = 9 * 60_000;

export class Outbox {
  /** When to send again, in milliseconds of `performance.now()`: the server asked to wait. */
  notBefore = 0;

  constructor(store) {
    this.store = store;
    this.entries = store.values("outbox.").sort((one, other) => one.at - other.at);
    this.onItsWay = new Set();
  }

  /** Queue a frame without a nonce, `message` or `note`. */
  add(frame) {
    const nonce = randomId();
    const at = Math.max(Date.now(), (this.entries.at(-1)?.at ?? 0) + 1);
    const entry = { nonce, at, sentAt: 0, frame: { ...frame, nonce } };
    this.entries.push(entry);
    this.#save(entry);
    return entry;
  }

  get(nonce) {
    return this.entries.find((entry) => entry.nonce === nonce);
  }

  /** The entries to a room, in order. */
  of(room) {
    return this.entries.filter((entry) => entry.frame.room === room);
  }

  /** Whether the server may have stored an entry: then the own name must not change. */
  get inFlight() {
    return this.entries.some((entry) => entry.sentAt);
  }

  /** Whether only its author can say whether it should be sent again. */
  isUnsure(entry) {
    return Boolean(entry.sentAt) && !this.onItsWay.has(entry.nonce) && Date.now() - entry.sentAt > NONCE_MS;
  }

  /** Remove an entry that is stored, rejected or discarded; returns it. */
  remove(nonce) {
    const entry = this.get(nonce);
    if (entry) {
      this.entries.splice(this.entries.indexOf(entry), 1);
      this.onItsWay.delete(nonce);
      this.store.remove(`outbox.${nonce}`);
    }
    return entry;
  }

  /** Send an unsure entry once more, as a new one. */
  renew(nonce) {
    const entry = this.remove(nonce);
    return entry && this.add(entry.frame);
  }

  /** A connection ended: what was on its way is sent again. */
  disconnected() {
    this.onItsWay.clear();
    this.notBefore = 0;
  }

  /** A temporary error: send it again after `delay` milliseconds, and nothing before. */
  retry(nonce, delay) {
    const entry = this.get(nonce);
    entry.sentAt = 0; // it was not stored
    this.#save(entry);
    this.onItsWay.delete(nonce);
    this.notBefore = Math.max(this.notBefore, performance.now() + delay);
  }

  /** The posts that notes and replies are about have other ids in a new epoch. */
  follow(room, follow) {
    for (const entry of this.of(room)) {
      if (entry.frame.re) {
        entry.frame.re = follow(entry.frame.re);
        this.#save(entry);
      }
    }
  }

  /** Mark the frames to send now as sent, and return them. */
  due(isReady) {
    if (performance.now() < this.notBefore) return [];
    const busy = new Set();
    for (const nonce of this.onItsWay) busy.add(this.get(nonce).frame.room);
    const frames = [];
    for (const entry of this.entries) {
      const { room } = entry.frame;
      if (busy.has(room) || !isReady(room) || this.isUnsure(entry)) continue;
      busy.add(room);
      this.onItsWay.add(entry.nonce);
      if (!entry.sentAt) {
        // The time of the first attempt: from then on, the server may know it.
        entry.sentAt = Date.now();
        this.#save(entry);
      }
      frames.push(entry.frame);
    }
    return frames;
  }

  #save(entry) {
    this.store.set(`outbox.${entry.nonce}`, entry);
  }
}
