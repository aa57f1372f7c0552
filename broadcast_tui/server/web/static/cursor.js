// The position of this client in one room: finds gaps, orders entries, drops duplicates.
//
// Invariants: everything up to and including `position` was released; entries, that is posts and notes, are
// released in order, each once; a gap is filled from the history or reported, never skipped silently.

const AHEAD_MAX = 2000; // live entries kept while a gap before them is filled; later ones are fetched again

export class Cursor {
  /** The last entry that was released; null until the room is entered for the first time. */
  position = null;
  /** Whether the replay is complete on this connection. Own posts are sent only then. */
  synced = false;
  #gapEnd = null;
  #ahead = [];

  /** Whether a gap is being filled: the caller then requests the history after `position`. */
  get filling() {
    return this.#gapEnd !== null;
  }

  /** Forget the state of the connection; entries that were kept will be replayed. */
  disconnected() {
    this.synced = false;
    this.#gapEnd = null;
    this.#ahead = [];
  }

  /** The server confirmed the entry into the room, and replays `missed` entries up to `head`. */
  enteredAt(head, missed) {
    this.synced = false;
    this.position ??= { epoch: head.epoch, seq: head.seq - Math.max(0, Math.min(missed, head.seq)) };
  }

  /** A live or replayed entry; returns what can be released: entries and `{gap, count, reason}`. */
  received(entry) {
    const { epoch, seq } = entry.position;
    if (this.position?.epoch !== epoch) {
      const gaps = this.position ? [{ gap: true, count: null, reason: "epoch" }] : [];
      this.#goTo(entry.position);
      return [...gaps, entry];
    }
    if (seq <= this.position.seq) return [];
    if (this.#gapEnd === null && seq === this.position.seq + 1) {
      this.position = entry.position;
      return [entry];
    }
    this.#gapEnd ??= seq - 1;
    this.#ahead.push(entry);
    if (this.#ahead.length > AHEAD_MAX) {
      this.#gapEnd = seq;
      this.#ahead = [];
    }
    return [];
  }

  /** The server will not send the entries up to and including `end`. */
  gap(end, reason) {
    const known = this.position?.epoch === end.epoch;
    if (known && end.seq <= this.position.seq) return [];
    if (reason === "lagged" && known) {
      this.#gapEnd = Math.max(end.seq, this.#gapEnd ?? 0);
      return [];
    }
    const count = known ? end.seq - this.position.seq : null;
    this.#goTo(end);
    return [{ gap: true, count, reason }];
  }

  /**
   * The room goes on in another epoch, after seq `end`. Returns what is lost: `{withdrawn}` is the first seq
   * that is gone, or a gap.
   */
  fork(change, end) {
    if (this.position?.epoch !== change.former) return [];
    const { epoch, seq } = change;
    const before = this.position.seq;
    const released = before > seq ? [{ withdrawn: seq + 1 }] : [];
    this.position = { epoch, seq: Math.min(before, seq) };
    this.#ahead = this.#ahead
      .filter((entry) => entry.position.seq <= seq)
      .map((entry) => ({ ...entry, position: { epoch, seq: entry.position.seq } }));
    if (before > seq) this.#gapEnd = null;
    if (this.#gapEnd !== null) {
      const last = end > seq ? end : Math.min(this.#gapEnd, seq);
      this.#gapEnd = last > this.position.seq ? last : null;
    } else if (end > seq) {
      this.position = { epoch, seq: end };
      released.push({ gap: true, count: end - seq, reason: "epoch" });
    }
    return released;
  }

  /** A page of the history after `position`, ascending; an empty page means that there is no more. */
  filled(entries) {
    const released = [];
    let fresh = 0;
    for (const entry of entries) {
      const { epoch, seq } = entry.position;
      if (epoch !== this.position.epoch || seq <= this.position.seq) continue;
      fresh += 1;
      released.push(...this.#jumpTo(seq - 1), entry);
      this.position = entry.position;
    }
    if (this.#gapEnd === null) return released;
    if (!fresh) released.push(...this.#jumpTo(this.#gapEnd));
    if (this.position.seq >= this.#gapEnd) {
      const ahead = this.#ahead;
      this.#gapEnd = null;
      this.#ahead = [];
      for (const entry of ahead) released.push(...this.received(entry));
    }
    return released;
  }

  #jumpTo(seq) {
    const count = seq - this.position.seq;
    if (count <= 0) return [];
    this.position = { epoch: this.position.epoch, seq };
    return [{ gap: true, count, reason: "trimmed" }];
  }

  #goTo(position) {
    this.position = position;
    this.#gapEnd = null;
    this.#ahead = [];
  }
}
