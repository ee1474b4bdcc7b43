// The price stream: one WebSocket at a time, subscribed to every feed, opened again when it is lost.
//
// Knows the messages and their order. Does not know what is done with prices.
//
//   client {"op": "subscribe", "feeds": ["*"]}
//   server {"type": "snapshot", "sequence", "at", "prices"}
//          {"type": "update", "sequence", "previous", "at", "prices", "conflated"?}
//          {"type": "heartbeat", "sequence", "at"}      {"type": "subscribed", ...}
//          {"type": "error", "problem"}

const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 30_000;
export const SILENCE_MS = 20_000; // heartbeats come far more often: longer silence is a dead connection
const WATCH_MS = 1_000;
const RESUBSCRIBE_MS = 5_000; // at most one request for a new snapshot in this time

/** How long to wait before attempt n (0, 1, ...): doubling up to a bound, the upper half of it at random. */
export function backoff(attempt, random = Math.random) {
  const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(attempt, 16));
  return ceiling / 2 + (random() * ceiling) / 2;
}

/**
 * The stream at `url`. The listener's methods: up(), down({reason, retryAt}), opening(), heard(at),
 * prices(list, isSnapshot), gap({after, missed}), problem(text). `retryAt` is on performance.now().
 */
export class Stream {
  #url;
  #listener;
  #socket = null;
  #attempt = 0;
  #retry = 0;
  #heardAt = 0;
  #askedAt = 0;
  settled = false; // a snapshot came on this connection
  sequence = null;
  facts = { updates: 0, gaps: 0, missed: 0, conflated: 0, reconnects: -1 };

  constructor(url, listener) {
    this.#url = url;
    this.#listener = listener;
  }

  /** Open now, and keep open until the page goes away. */
  start() {
    setInterval(() => this.#watch(), WATCH_MS);
    window.addEventListener("online", () => this.retryNow());
    window.addEventListener("offline", () => this.#lose("this device is offline"));
    this.#open();
  }

  /** Do not wait for the back-off to end. */
  retryNow() {
    if (this.#socket) return;
    clearTimeout(this.#retry);
    this.#open();
  }

  #open() {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.settled = false;
    this.#heardAt = performance.now();
    this.#listener.opening();
    const mine = (act) => (event) => this.#socket === socket && act(event);
    socket.addEventListener("open", mine(() => this.#subscribe()));
    socket.addEventListener("message", mine((event) => this.#receive(event.data)));
    socket.addEventListener("close", mine((event) => this.#lose(closing(event))));
  }

  #subscribe() {
    this.#askedAt = performance.now();
    this.#socket.send(JSON.stringify({ op: "subscribe", feeds: ["*"] }));
  }

  #lose(reason) {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    socket.close();
    const wait = backoff(this.#attempt);
    this.#attempt += 1;
    this.#retry = setTimeout(() => this.#open(), wait);
    this.#listener.down({ reason, retryAt: performance.now() + wait });
  }

  #watch() {
    if (this.#socket && performance.now() - this.#heardAt > SILENCE_MS) {
      this.#lose(`nothing was heard for ${SILENCE_MS / 1000} s`);
    }
  }

  #receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      this.#listener.problem("The core sent a message that is not JSON.");
      return;
    }
    this.#heardAt = performance.now();
    if (Number.isFinite(message.at)) this.#listener.heard(message.at);
    if (message.type === "snapshot") this.#snapshot(message);
    else if (message.type === "update") this.#update(message);
    else if (message.type === "error") this.#listener.problem(problemText(message.problem));
  }

  #snapshot(message) {
    this.sequence = message.sequence;
    const first = !this.settled;
    this.settled = true;
    this.#attempt = 0;
    this.#listener.prices(message.prices, true);
    if (!first) return;
    this.facts.reconnects += 1;
    this.#listener.up();
  }

  #update(message) {
    if (!this.settled) return;
    if (message.previous !== this.sequence) this.#missed(message.previous);
    this.sequence = message.sequence;
    this.facts.updates += 1;
    this.facts.conflated += message.conflated ?? 0;
    this.#listener.prices(message.prices, false);
  }

  #missed(previous) {
    const missed = Math.max(1, previous - this.sequence);
    this.facts.gaps += 1;
    this.facts.missed += missed;
    this.#listener.gap({ after: this.sequence, missed });
    if (performance.now() - this.#askedAt > RESUBSCRIBE_MS) this.#subscribe();
  }
}

function closing(event) {
  if (event.code === 1006) return "the core cannot be reached";
  if (event.code === 1001 || event.code === 1012) return "the core is stopping";
  return `the core closed the connection: ${event.reason || `code ${event.code}`}`;
}

function problemText(problem) {
  return problem?.detail ?? problem?.title ?? "The core reported an error without saying which.";
}
