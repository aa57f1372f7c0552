// What outlasts the page, in localStorage: it belongs to one server, since it is separate for each origin.
//
// Browsers can refuse storage (private windows, full disks). Then the page works, and forgets.

const PREFIX = "broadcast-tui.";

export class Store {
  /** @param storage A `Storage`; null to keep nothing. */
  constructor(storage) {
    this.storage = storage;
  }

  get(key, fallback) {
    try {
      return JSON.parse(this.storage.getItem(PREFIX + key)) ?? fallback;
    } catch {
      return fallback;
    }
  }

  set(key, value) {
    try {
      this.storage.setItem(PREFIX + key, JSON.stringify(value));
    } catch {
      // Full or forbidden: the value lasts as long as the page.
    }
  }

  remove(key) {
    try {
      this.storage.removeItem(PREFIX + key);
    } catch {
      // As above.
    }
  }

  /** The values whose keys start with `prefix`. */
  values(prefix) {
    return this.#keys().filter((key) => key.startsWith(prefix)).map((key) => this.get(key)).filter(Boolean);
  }

  /** Forget everything about this server. */
  clear() {
    for (const key of this.#keys()) this.remove(key);
  }

  #keys() {
    try {
      return Object.keys(this.storage).filter((key) => key.startsWith(PREFIX)).map((key) => key.slice(PREFIX.length));
    } catch {
      return [];
    }
  }
}

/** The store of this browser. */
export function openStore() {
  try {
    return new Store(window.localStorage);
  } catch {
    return new Store(null);
  }
}

/** 128 random bits: a client id, or a nonce that nobody can guess. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
