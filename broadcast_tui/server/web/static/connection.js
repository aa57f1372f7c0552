// Keeps a WebSocket connection to the server that this page came from, and opens it again when it is lost.

const FIRST_DELAY = 0.5;
const DELAY_MAX = 30;
const STABLE_MS = 30_000; // a connection that lasted this long resets the delay
const SILENT_MS = 60_000;
const ANSWER_MS = 8_000;

export class Connection {
  /** connecting, online, waiting or refused */
  state = "connecting";
  reason = "";
  /** When the next attempt begins, in milliseconds of `Date.now()`. */
  retryAt = 0;
  #socket = null;
  #failures = 0;
  #openedAt = 0;
  #heardAt = 0;
  #timer = 0;

  constructor(session, report) {
    this.session = session;
    this.report = report;
    // Phones cut connections of pages in the background without telling them.
    document.addEventListener("visibilitychange", () => document.hidden || this.wake());
    window.addEventListener("online", () => this.wake());
    setInterval(() => document.hidden || this.#probe(), SILENT_MS / 4);
  }

  open() {
    clearTimeout(this.#timer);
    this.#drop();
    this.#become("connecting", "");
    const url = new URL("/", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url.href, "broadcast-tui.v1");
    this.#socket = socket;
    socket.onopen = () => {
      this.#openedAt = performance.now();
      this.session.connected((text) => socket.send(text));
    };
    socket.onmessage = ({ data }) => {
      this.#heardAt = performance.now();
      this.session.receive(data);
      if (this.session.refusal) this.close(this.session.refusal.message);
      else if (this.state === "connecting" && this.session.welcomed) this.#become("online", "");
    };
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
  }

  /** Connect now if not connected; check a connection that is silent. */
  wake() {
    if (this.state === "waiting") this.open();
    else this.#probe();
  }

  /** Close for good; `open` starts again. */
  close(reason) {
    clearTimeout(this.#timer);
    this.#drop();
    this.#become("refused", reason);
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.session.disconnected();
  }

  #closed(code, reason) {
    this.#socket = null;
    this.session.disconnected();
    const { refusal, drainSpread, retryAfter } = this.session;
    if (refusal || (code >= 4500 && code < 4600)) {
      this.session.refusal ??= { code: code === 4500 ? "unauthorised" : "", message: reason, isName: false };
      this.#become("refused", this.session.refusal.message || "The server closed the connection.");
      return;
    }
    if (this.#openedAt && performance.now() - this.#openedAt > STABLE_MS) this.#failures = 0;
    const ceiling = Math.min(DELAY_MAX, FIRST_DELAY * 2 ** this.#failures);
    // Random, so that the clients of a restarted server do not come back all at once.
    let delay = Math.max(retryAfter, ceiling * (0.5 + Math.random() / 2));
    if (drainSpread !== null) delay = Math.max(retryAfter, drainSpread * Math.random());
    this.session.drainSpread = null; // for the first attempt only: the server may take longer
    const wasOpen = this.#openedAt > 0;
    this.#openedAt = 0;
    this.#failures = Math.min(this.#failures + 1, 16);
    this.retryAt = Date.now() + 1000 * delay;
    this.#become("waiting", reason || (wasOpen ? "The connection was lost." : "The server cannot be reached."));
    this.#timer = setTimeout(() => this.open(), 1000 * delay);
  }

  /** Find out whether a silent connection still works. The browser answers pings without telling the page. */
  async #probe() {
    const socket = this.#socket;
    const [room] = this.session.rooms.values();
    if (this.state !== "online" || !room || performance.now() - this.#heardAt < SILENT_MS / 2) return;
    const timer = setTimeout(() => {
      if (socket !== this.#socket) return;
      this.#drop();
      this.#closed(1006, "");
    }, ANSWER_MS);
    await this.session.loadMembers(room).catch(() => {});
    clearTimeout(timer);
  }

  #become(state, reason) {
    this.state = state;
    this.reason = reason;
    this.report();
  }
}
