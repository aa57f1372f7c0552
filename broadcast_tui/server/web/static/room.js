// A room as this client knows it: its posts, the lines between them, and how far its user has read.

import { Cursor } from "./cursor.js";
import { followed, formatPosition, parsePosition } from "./position.js";
import { applyNote, forgetNotesAbove, merge, postOf } from "./posts.js";
import { NameHues } from "./text.js";

const POSTS_MAX = 1500;
const LINES_MAX = 200;
const NAMES_SHOWN = 6; // in one line

export class Room {
  cursor = new Cursor();
  posts = []; // ascending by seq
  lines = []; // {after: seq, at, text, kind}: gaps, joins, leaves, notices
  topic = "";
  online = 0;
  members = [];
  hues = new NameHues();
  other = ""; // of a room for direct messages: the name of the other person
  hasOlder = false;
  isLoading = false; // older posts
  isFilling = false; // a gap
  /** Posts that are acknowledged and have not arrived: outbox entries by the id of their post. */
  expected = new Map();
  /** The last position that the user has seen, and the one after which the unread line is drawn. */
  read = null;
  unreadAfter = null;
  /** The seqs of long posts that are shown as a whole. */
  expanded = new Set();
  #bySeq = new Map();
  #last = 0; // seq of the last entry that was added: lines are drawn after it
  #start = null; // the first entry that was loaded, perhaps a note
  #pageNotes = null;

  /** @param ignored The names of people whose posts are hidden. */
  constructor(name, store, ignored) {
    this.name = name;
    this.store = store;
    this.ignored = ignored;
    this.read = parsePosition(store.get(`read.${name}`, ""));
    this.unreadAfter = this.read;
  }

  get isDirect() {
    return this.name.startsWith("@");
  }

  get title() {
    return this.isDirect ? this.other || "Direct messages" : `#${this.name}`;
  }

  post(seq) {
    return this.#bySeq.get(seq);
  }

  /** The id of the entry before which older ones are requested; null if nothing is loaded. */
  get startId() {
    return this.#start && formatPosition(this.#start);
  }

  /** Add an entry that the cursor has released; returns the new post, if it is one. */
  add(frame) {
    this.#start ??= frame.position;
    this.#last = frame.position.seq;
    if (frame.type === "note") {
      this.#note(frame);
      return null;
    }
    const post = postOf(frame);
    this.posts.push(post);
    this.#bySeq.set(post.seq, post);
    this.expected.delete(post.id);
    return post;
  }

  #note(note) {
    const target = parsePosition(note.re);
    if (target?.epoch !== note.position.epoch) return;
    const post = this.post(target.seq);
    if (post) applyNote(post, note);
    // The server may have read the page before the note was written, and send it afterwards.
    else this.#pageNotes?.push(note);
  }

  addLine(text, kind) {
    const line = { after: this.#last, text, kind, names: [], key: nextKey() };
    this.lines.push(line);
    if (this.lines.length > LINES_MAX) this.lines.shift();
    return line;
  }

  /** People joined or left: those who do so one after the other share a line. */
  addPeople(event, names) {
    let line = this.lines.at(-1);
    if (line?.kind !== event || line.after !== this.#last) line = this.addLine("", event);
    line.names = [...line.names.filter((name) => !names.includes(name)), ...names];
    const more = line.names.length - NAMES_SHOWN;
    const shown = more > 1 ? [...line.names.slice(0, NAMES_SHOWN), `${more} others`] : line.names;
    const last = shown.length > 1 ? ` and ${shown.at(-1)}` : "";
    line.text = `${last ? shown.slice(0, -1).join(", ") : shown[0]}${last} ${event === "join" ? "joined" : "left"}`;
  }

  /** A page of older posts is requested. */
  pageRequested() {
    this.isLoading = true;
    this.#pageNotes = [];
  }

  /** A page of older entries arrived; null if the request failed. */
  pageArrived(page) {
    this.isLoading = false;
    const notes = this.#pageNotes ?? [];
    this.#pageNotes = null;
    if (!page) return;
    this.hasOlder = page.more;
    const first = parsePosition(page.items[0]?.id);
    if (!first || first.epoch !== this.cursor.position?.epoch) return;
    if (!this.#start || first.seq < this.#start.seq) this.#start = first;
    const older = [];
    for (const item of page.items) {
      if (item.type === "note") continue;
      const read = postOf(item);
      const known = this.post(read.seq);
      if (known) merge(known, read);
      else {
        older.push(read);
        this.#bySeq.set(read.seq, read);
      }
    }
    this.posts = [...older, ...this.posts].sort((one, other) => one.seq - other.seq);
    for (const note of notes) this.#note(note);
  }

  /** Drop the oldest posts of a long log; they can be loaded again. */
  trim() {
    if (this.posts.length <= POSTS_MAX) return;
    for (const post of this.posts.splice(0, this.posts.length - POSTS_MAX / 2)) this.#bySeq.delete(post.seq);
    this.#start = parsePosition(this.posts[0].id);
    this.hasOlder = true;
  }

  /**
   * The room has gone on in another log, after the position `end`. The posts that are here stay, above those
   * to come: their seqs become negative.
   */
  restart(end) {
    const shift = Math.max(0, (this.posts.at(-1)?.seq ?? -1) + 1);
    const moved = (seq) => (seq ? seq - shift : 0);
    for (const post of this.posts) Object.assign(post, { seq: post.seq - shift, re: moved(post.re), root: moved(post.root) });
    this.#bySeq = new Map(this.posts.map((post) => [post.seq, post]));
    this.lines = this.lines.map((line) => ({ ...line, after: Math.min(line.after - shift, -1) }));
    this.#last = -1;
    this.#start = null;
    this.#pageNotes &&= [];
    this.hasOlder = false;
    this.expanded.clear();
    this.expected.clear();
    this.read = this.unreadAfter = end;
    this.#saveRead();
  }

  /** The room has gone on in another epoch: the posts that are the same have new ids. */
  follow(change) {
    const kept = [];
    for (const post of this.posts) {
      const position = followed(parsePosition(post.id), change);
      if (position) {
        post.id = formatPosition(position);
        forgetNotesAbove(post, change.seq);
        kept.push(post);
      } else this.#bySeq.delete(post.seq);
    }
    this.posts = kept;
    this.lines = this.lines.map((line) => ({ ...line, after: Math.min(line.after, change.seq) }));
    this.#last = Math.min(this.#last, change.seq);
    const common = { epoch: change.epoch, seq: change.seq };
    this.#start = this.#start && (followed(this.#start, change) ?? common);
    this.read = this.read && (followed(this.read, change) ?? common);
    this.unreadAfter = this.unreadAfter && (followed(this.unreadAfter, change) ?? common);
    this.#pageNotes &&= [];
    this.#saveRead();
    const expected = new Map();
    for (const [id, entry] of this.expected) {
      const position = followed(parsePosition(id), change);
      if (position) expected.set(formatPosition(position), entry);
    }
    this.expected = expected;
  }

  /** The room is entered: what is in it before the first visit counts as read, but not what only we can read. */
  startReading(head) {
    if (this.read) return;
    this.read = this.isDirect ? { epoch: head.epoch, seq: 0 } : head;
    this.unreadAfter = this.read;
    this.#saveRead();
  }

  /** The user has seen everything up to here. */
  markRead() {
    const { position } = this.cursor;
    if (!position || (this.read?.epoch === position.epoch && this.read.seq >= position.seq)) return false;
    this.read = position;
    this.#saveRead();
    return true;
  }

  /** A post arrived while the user watched, or is the user's own: no unread line is drawn before it. */
  watched(post, isOwn) {
    if (isOwn || this.firstUnread(this.unreadAfter) === post) this.unreadAfter = parsePosition(post.id);
  }

  /** Draw the unread line after what has been read so far. */
  moveUnreadLine() {
    this.unreadAfter = this.read;
  }

  /** The first post after a position; undefined if there is none, or the position is of another log. */
  firstUnread(position) {
    if (!position || position.epoch !== this.cursor.position?.epoch) return undefined;
    return this.posts.find((post) => post.seq > position.seq);
  }

  /** Whether a post counts as one to read. */
  counts(post, ownName) {
    return post.sender !== ownName && !post.deleted && !this.ignored.has(post.sender);
  }

  /** The loaded posts of others that are unread. */
  unread(ownName) {
    const first = this.firstUnread(this.read);
    return first ? this.posts.filter((post) => post.seq >= first.seq && this.counts(post, ownName)) : [];
  }

  #saveRead() {
    if (this.read) this.store.set(`read.${this.name}`, formatPosition(this.read));
  }
}

let keys = 0;

function nextKey() {
  keys += 1;
  return keys;
}
