// Posts as this client knows them, and what notes change in them.

import { parsePosition } from "./position.js";

const KINDS = ["edit", "delete", "pin", "react", "answer"];

/** The time in a timestamp; that of the epoch if it is not one. */
export function dateOf(timestamp) {
  const date = new Date(timestamp);
  return Number.isNaN(date.getTime()) ? new Date(0) : date;
}

/** Whether a post is a question that can be answered. */
export function isOpen({ ask, seq, closed }) {
  return Boolean(ask) && seq > 0 && !closed && dateOf(ask.until) > Date.now();
}

/** Whether a post is an open question to a person, who has not answered it. */
export function isWaitingFor(post, name) {
  if (!isOpen(post) || post.sender === name) return false;
  const isAsked = !post.ask.to?.length || post.ask.to.includes(name);
  return isAsked && !Object.values(post.tally).some(({ names }) => names.includes(name));
}

/** The post in a `message` frame. `applied` has the seq of the last note of each kind. */
export function postOf(frame) {
  const position = parsePosition(frame.id);
  return {
    seq: position.seq,
    id: frame.id,
    sender: frame.sender,
    text: frame.message ?? "",
    at: dateOf(frame.timestamp),
    re: parsePosition(frame.re)?.seq ?? 0,
    root: parsePosition(frame.root)?.seq ?? 0,
    folded: frame.as ?? 0,
    applied: {},
    edited: frame.edited ?? "",
    deleted: frame.deleted ?? null,
    pinned: frame.pinned ?? null,
    reactions: frame.reactions ?? {},
    ask: frame.ask ?? null,
    tally: frame.tally ?? {},
    waiting: frame.waiting ?? [],
    closed: frame.closed ?? "",
  };
}

/** Change a post as a `note` frame says; returns whether it did. */
export function applyNote(post, note) {
  const seq = parsePosition(note.id)?.seq ?? 0;
  if (!note.now || seq <= knownSeq(post, note.note)) return false;
  const { message: text, ...state } = note.now;
  takePart(post, { text, ...state }, note.note, seq);
  return true;
}

/** Take the newer parts of the same post from a page of the history. */
export function merge(post, read) {
  for (const kind of KINDS) {
    const seq = knownSeq(read, kind);
    if (seq > knownSeq(post, kind)) takePart(post, read, kind, seq);
  }
}

/** After a fork, the notes above `seq` are lost, and others can take their places. */
export function forgetNotesAbove(post, seq) {
  post.folded = Math.min(post.folded, seq);
  for (const kind of Object.keys(post.applied)) post.applied[kind] = Math.min(post.applied[kind], seq);
}

function knownSeq(post, kind) {
  return Math.max(post.folded, post.applied[kind] ?? 0);
}

function takePart(post, source, kind, seq) {
  post.applied[kind] = seq;
  const deleted = source.deleted ?? post.deleted;
  if (deleted) {
    // Nothing can follow a deletion, whatever the order in which notes arrive.
    Object.assign(post, { text: "", deleted, edited: "", pinned: null, reactions: {}, ask: null, tally: {} });
  } else if (kind === "edit") {
    post.text = source.text ?? "";
    post.edited = source.edited ?? "";
  } else if (kind === "pin") {
    post.pinned = source.pinned ?? null;
  } else if (kind === "react") {
    post.reactions = source.reactions ?? {};
  } else if (kind === "answer") {
    post.ask = source.ask ?? post.ask;
    post.tally = source.tally ?? {};
    post.waiting = source.waiting ?? [];
    post.closed = source.closed ?? "";
  }
}
