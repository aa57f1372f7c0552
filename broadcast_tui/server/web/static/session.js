// The client side of protocol v1, without a network: frames in, frames and reports out. One session spans many
// connections.
//
// Invariants: posts and notes reach a room in order, each once; an own one is sent again until the server
// acknowledges or rejects it.

import { Outbox } from "./outbox.js";
import { followed, formatPosition, parsePosition } from "./position.js";
import { Room } from "./room.js";
import { randomId } from "./store.js";

const LAST = 50; // posts to show of a room that is entered for the first time
const PAGE = 50;
const FILL_PAGE = 200;
const DIRECTS_MAX = 30;
const ROOM_CODES = ["bad_room", "too_many_rooms"];
const NAME_CODES = ["bad_name", "name_taken", "name_reserved"];

/** The server's answer to a request that failed; `code` is empty if the connection was lost. */
export class RequestFailed extends Error {
  constructor(message, code = "") {
    super(message);
    this.code = code;
  }
}

export class Session {
  /** @param report Called with the name of an event and its details; "changed" for everything on the screen. */
  constructor(store, report) {
    this.store = store;
    this.report = report;
    this.outbox = new Outbox(store);
    this.rooms = new Map();
    this.name = store.get("name", "");
    this.token = store.get("token", "");
    this.limits = { message_bytes: 0 };
    /** The names of people whose posts the user does not want to see. */
    this.ignored = new Set(store.get("ignored", []));
    this.isAdmin = false;
    this.isAway = false;
    this.welcomed = false;
    /** Why the server does not let us in: `{code, message}`. Connecting again would not help. */
    this.refusal = null;
    this.drainSpread = null; // seconds over which a stopping server asked its clients to come back
    this.retryAfter = 0; // seconds that the server asked to wait before the next attempt
    this.transmit = () => {};
    this.clientId = store.get("client", "");
    if (!this.clientId) {
      this.clientId = randomId();
      store.set("client", this.clientId);
    }
    this.refs = new Map();
    this.refCount = 0;
    this.timer = 0;
  }

  // -- connection

  /** A connection is open: introduce ourselves. */
  connected(transmit) {
    this.transmit = (frame) => transmit(JSON.stringify(frame));
    this.refusal = this.drainSpread = null;
    this.retryAfter = 0;
    this.#hello();
  }

  #hello() {
    const rooms = Array.from(this.rooms.values(), (room) => ({ room: room.name, ...this.#from(room) }));
    const hello = { type: "hello", name: this.name, client_id: this.clientId, rooms, notes: true, epochs: true };
    if (this.token) hello.token = this.token;
    this.transmit(hello);
  }

  disconnected() {
    this.welcomed = false;
    this.transmit = () => {};
    this.outbox.disconnected();
    for (const room of this.rooms.values()) {
      room.cursor.disconnected();
      room.isLoading = false;
    }
    const pending = [...this.refs.values()];
    this.refs.clear();
    for (const { reject } of pending) reject(new RequestFailed("The connection was lost. Please try again."));
    this.report("changed");
  }

  #from(room) {
    const { position } = room.cursor;
    return position ? { since: formatPosition(position) } : { last: LAST };
  }

  // -- requests

  /** Send a request; resolves to its answer. `handle` sees the answer before any later frame. */
  request(frame, handle = () => {}) {
    if (!this.welcomed) return Promise.reject(new RequestFailed("You are not connected."));
    this.refCount += 1;
    const ref = `r${this.refCount}`;
    return new Promise((resolve, reject) => {
      this.refs.set(ref, { resolve, reject, handle });
      this.transmit({ ...frame, ref });
    });
  }

  /** Enter a room, or remember to do so once connected. Rejects if the server refuses it. */
  async join(written) {
    const name = roomName(written);
    if (this.rooms.has(name)) return this.rooms.get(name);
    const room = this.#newRoom(name);
    this.#saveRooms();
    if (!this.welcomed) return room;
    try {
      await this.request({ type: "join", room: name, ...this.#from(room) }, (state) => this.#enter(room, state));
    } catch (error) {
      if (error.code) this.#forget(name);
      throw error;
    }
    return room;
  }

  #newRoom(name) {
    const room = new Room(name, this.store, this.ignored);
    this.rooms.set(name, room);
    return room;
  }

  async leave(name) {
    if (this.welcomed) await this.request({ type: "leave", room: name });
    this.#forget(name);
  }

  #forget(name) {
    if (!this.rooms.delete(name)) return;
    for (const entry of this.outbox.of(name)) this.outbox.remove(entry.nonce);
    this.#saveRooms();
    this.report("left", { name });
  }

  #saveRooms() {
    const names = [...this.rooms.keys()].filter((name) => !name.startsWith("@"));
    this.store.set("rooms", names);
  }

  /** Open the direct messages with a person; resolves to their room. */
  async direct(name) {
    const { room, with: other, note } = await this.request({ type: "direct", name });
    const joined = await this.join(room);
    joined.other = other;
    if (note) joined.addLine(note, "notice");
    return joined;
  }

  async rename(name) {
    if (this.outbox.inFlight) {
      // The server recognizes what we send again by the name.
      throw new RequestFailed("Wait until your messages are sent.");
    }
    if (this.welcomed) await this.request({ type: "rename", name }, (answer) => this.#setName(answer.name));
    else this.#setName(name);
  }

  #setName(name) {
    this.name = name;
    this.store.set("name", name);
    this.report("changed");
  }

  /** Load older posts of a room. */
  async loadOlder(room) {
    if (room.isLoading || !room.hasOlder || !this.welcomed) return;
    room.pageRequested();
    const from = room.startId ? { before: room.startId } : { latest: true };
    try {
      const frame = { type: "history", room: room.name, limit: PAGE, ...from };
      await this.request(frame, (page) => room.pageArrived(parsed(page)));
      this.report("changed");
    } finally {
      if (room.isLoading) room.pageArrived(null);
    }
  }

  /** Ask who is in a room. */
  async loadMembers(room) {
    const answer = await this.request({ type: "presence", room: room.name });
    room.online = answer.online;
    room.members = answer.members;
    const own = room.members.find(({ name }) => name === this.name);
    if (own) this.isAway = own.away !== undefined;
    this.report("changed");
  }

  /** The bans and mutes in force; rejects if the user is not an admin. */
  async bans() {
    const answer = await this.request({ type: "bans" });
    this.isAdmin = true;
    return answer.items;
  }

  /** Hide the posts of a person, or show them again. */
  ignore(name, isIgnored) {
    if (isIgnored) this.ignored.add(name);
    else this.ignored.delete(name);
    this.store.set("ignored", [...this.ignored]);
    this.report("changed");
  }

  // -- own posts and notes

  /** Queue a post; `fields` are the id `re` of the post that it replies to, and `ask` of a question. */
  say(room, message, fields = {}) {
    this.#queue({ type: "message", room: room.name, message, ...fields });
  }

  /** Queue a change of a post: `note` is its kind, `fields` what belongs to it. */
  note(room, re, note, fields = {}) {
    this.#queue({ type: "note", room: room.name, note, re, ...fields });
  }

  #queue(frame) {
    this.outbox.add(frame);
    this.flush();
    this.report("changed");
  }

  /** Send what is due. */
  flush() {
    if (!this.welcomed) return;
    for (const frame of this.outbox.due((name) => this.rooms.get(name)?.cursor.synced)) this.transmit(frame);
    const wait = this.outbox.notBefore - performance.now();
    clearTimeout(this.timer);
    if (wait > 0) this.timer = setTimeout(() => this.flush(), wait + 10);
  }

  /** Send an entry again that the server may have stored, or discard it. */
  resolveUnsure(nonce, again) {
    if (again) this.outbox.renew(nonce);
    else this.outbox.remove(nonce);
    this.flush();
    this.report("changed");
  }

  // -- frames from the server

  receive(text) {
    const frame = JSON.parse(text);
    const room = this.rooms.get(frame.room);
    const pending = this.refs.get(frame.ref);
    switch (frame.type) {
      case "message":
      case "note":
        if (room) this.#entry(room, frame);
        break;
      case "ack":
        this.#acknowledged(frame);
        break;
      case "error":
        this.#error(frame);
        return;
      case "welcome":
        this.#welcome(frame);
        break;
      case "synced":
        if (room?.cursor.position && !room.cursor.synced) {
          room.cursor.synced = true;
          this.#fill(room);
          this.#settleUnsure(room);
          this.flush();
        }
        break;
      case "gap":
        if (room) this.#gap(room, frame);
        break;
      case "epoch":
        if (room) this.#fork(room, { ...parsePosition(frame.from), seq: parsePosition(frame.to).seq }, frame.to);
        break;
      case "system":
        this.#system(room, frame);
        break;
      case "topic":
        if (room) {
          room.topic = frame.topic;
          room.addLine(frame.topic ? `${frame.name} set the topic: ${frame.topic}` : `${frame.name} removed the topic.`);
        }
        break;
      case "left":
        if (room && !pending) this.#forget(frame.room);
        break;
      case "direct":
        if (!pending) this.#directOpened(frame);
        break;
      case "drain":
        this.drainSpread = Math.min(Math.max(frame.spread, 0), 60);
        break;
      case "away":
        if (frame.name === this.name) this.isAway = frame.away;
        for (const each of this.rooms.values()) {
          const member = each.members.find(({ name }) => name === frame.name);
          if (member) member.away = frame.away ? frame.text ?? "" : undefined;
        }
        break;
      case "typing":
        if (room) this.report("typing", { room, name: frame.name });
        return;
    }
    if (pending) {
      this.refs.delete(frame.ref);
      pending.handle(frame);
      pending.resolve(frame);
    }
    this.report("changed");
  }

  #welcome(frame) {
    this.welcomed = true;
    this.limits = frame.limits;
    if (frame.name) this.#setName(frame.name);
    this.report("online");
    for (const state of frame.rooms) {
      // The server may spell a name in another way.
      this.#enter(this.rooms.get(state.room) ?? this.#newRoom(state.room), state);
    }
    // Only admins get an answer.
    if (this.token) this.bans().catch(() => (this.isAdmin = false));
    for (const direct of (frame.directs ?? []).slice(0, DIRECTS_MAX)) this.#directOpened(direct);
  }

  #enter(room, state) {
    const head = parsePosition(state.head);
    if (!head) return;
    if (!room.cursor.position) room.hasOlder = head.seq > 0;
    room.cursor.enteredAt(head, state.missed);
    room.startReading(head);
    room.topic = state.topic ?? "";
    room.online = state.online;
    this.report("entered", { room });
  }

  #directOpened({ room: name, with: other }) {
    if (!name.startsWith("@")) return; // others can enter it
    const known = this.rooms.get(name);
    if (known) known.other = other;
    else this.join(name).then((room) => (room.other = other)).catch(() => {}).finally(() => this.report("changed"));
  }

  #entry(room, frame) {
    const position = parsePosition(frame.id);
    if (!position) return;
    if (frame.nonce) this.#acknowledged(frame);
    this.#deliver(room, room.cursor.received({ ...frame, position }));
    this.#fill(room);
  }

  #deliver(room, released) {
    const live = room.cursor.synced && !room.cursor.filling;
    for (const [i, item] of released.entries()) {
      if (item.gap) {
        if (item.count === null) {
          const next = released[i + 1]?.position;
          room.restart(next ? { ...next, seq: next.seq - 1 } : room.cursor.position);
        }
        const [what, them] = item.count === 1 ? ["1 message is", "it"] : [item.count ? `${item.count} messages are` : "Messages are", "them"];
        room.addLine(`${what} missing here: the server does not have ${them} any more.`, "gap");
        room.expected.clear();
      } else if (item.withdrawn) {
        room.addLine("The server has lost messages. Those that are missing here were withdrawn.", "gap");
      } else {
        const isOwn = room.expected.has(item.id);
        const post = room.add(item);
        if (post) this.report("post", { room, post, live, isOwn });
      }
    }
  }

  #acknowledged({ nonce, id }) {
    const entry = this.outbox.remove(nonce);
    if (!entry) return;
    const room = this.rooms.get(entry.frame.room);
    const position = parsePosition(id);
    const at = room?.cursor.position;
    // Between the ack and the post itself, the entry stays visible as a post.
    const hasArrived = at && position && at.epoch === position.epoch && position.seq <= at.seq;
    if (room && entry.frame.type === "message" && !hasArrived) room.expected.set(id, entry);
    this.flush();
  }

  #error(frame) {
    const pending = this.refs.get(frame.ref);
    if (this.outbox.get(frame.nonce)) this.#entryRejected(frame);
    else if (pending) {
      this.refs.delete(frame.ref);
      pending.reject(new RequestFailed(frame.message, frame.code));
    } else if (!this.welcomed && ROOM_CODES.includes(frame.code) && this.rooms.size > 1) {
      // One of the rooms keeps us out: start again in the lobby.
      for (const name of [...this.rooms.keys()]) this.#forget(name);
      this.join("lobby");
      this.report("notice", { text: frame.message });
      this.#hello();
    } else if (!this.welcomed && frame.temporary && !NAME_CODES.includes(frame.code)) {
      this.retryAfter = frame.retry_after ?? 1;
    } else if (!this.welcomed) {
      this.refusal = { code: frame.code, message: frame.message, isName: NAME_CODES.includes(frame.code) };
    } else this.report("notice", { text: frame.message });
    this.report("changed");
  }

  #entryRejected({ nonce, temporary, retry_after: seconds, message }) {
    if (temporary) this.outbox.retry(nonce, 1000 * Math.min(Math.max(seconds ?? 1, 0.1), 300));
    else {
      const { frame } = this.outbox.remove(nonce);
      this.report("rejected", { frame, message });
    }
    this.flush();
  }

  #gap(room, frame) {
    const end = parsePosition(frame.to);
    const start = parsePosition(frame.from);
    if (!end) return;
    if (frame.forked && start) this.#fork(room, { epoch: start.epoch, seq: start.seq - 1 }, frame.to);
    else {
      this.#deliver(room, room.cursor.gap(end, frame.reason));
      this.#fill(room);
    }
  }

  /** Follow a room to another epoch. Up to the position `common`, in the former one, both are the same. */
  #fork(room, common, to) {
    const end = parsePosition(to);
    const change = { former: common.epoch, epoch: end.epoch, seq: common.seq };
    this.outbox.follow(room.name, (id) => {
      const position = followed(parsePosition(id), change);
      return position ? formatPosition(position) : id;
    });
    const released = room.cursor.fork(change, end.seq);
    room.follow(change);
    this.#deliver(room, released);
    this.#fill(room);
  }

  /** Request what is missing in a room. */
  async #fill(room) {
    if (!room.cursor.filling || room.isFilling || !this.welcomed) return;
    room.isFilling = true;
    const after = formatPosition(room.cursor.position);
    const frame = { type: "history", room: room.name, after, limit: FILL_PAGE };
    let isLost = false;
    try {
      await this.request(frame, (page) => {
        if (room.cursor.filling) this.#deliver(room, room.cursor.filled(parsed(page).items));
      });
    } catch (error) {
      const isPassing = ["rate_limited", "try_later", "draining"].includes(error.code);
      if (isPassing) await new Promise((resolve) => setTimeout(resolve, 2000));
      else if (error.code && room.cursor.filling) this.#deliver(room, room.cursor.filled([]));
      isLost = !error.code;
    }
    room.isFilling = false;
    if (!isLost) this.#fill(room);
    this.report("changed");
  }

  /** Entries that were sent long ago need no answer from the user if their posts are here. */
  #settleUnsure(room) {
    for (const entry of this.outbox.of(room.name)) {
      const isHere = (post) =>
        post.sender === this.name && post.text === entry.frame.message?.trim() && post.at >= entry.sentAt - 60_000;
      if (this.outbox.isUnsure(entry) && room.posts.some(isHere)) this.outbox.remove(entry.nonce);
    }
  }

  #system(room, frame) {
    if (!room) {
      this.report("notice", { text: frame.message });
      return;
    }
    if (frame.online !== undefined) room.online = frame.online;
    const isPresence = ["join", "leave", "rename", "online"].includes(frame.event);
    if (!isPresence) room.addLine(frame.message, frame.event);
    else if (frame.event !== "online") this.report("people", { room, ...people(frame) });
  }
}

/** What people did: `{event, names}`, or `{text}` without the number of those who are here. */
function people({ event, name, names, reason, message }) {
  const all = names?.length ? names : name ? [name] : [];
  if (all.length && !reason && (event === "join" || event === "leave")) return { event, names: all };
  return { text: message.replace(/ \d+ client\(s\) online\.$/, "") };
}

/** The name of a room as servers spell it. */
export function roomName(written) {
  if (written.startsWith("@")) return written;
  return written.trim().replace(/^#/, "").normalize("NFKC").toLowerCase().normalize("NFKC");
}

/** A page of the history, with the positions of its entries. */
function parsed(page) {
  const items = page.items.map((item) => ({ ...item, position: parsePosition(item.id) }));
  return { ...page, items: items.filter((item) => item.position) };
}
