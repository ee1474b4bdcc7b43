// The server's time, as far as this page can know it from the times in the server's messages.
//
// An age shown on the page is the server's age of the price plus the time since, on this clock. It must
// never be too young, so within one connection the clock never goes back: a message that was held up on
// the way would otherwise make its old prices look fresh. A new connection sets it anew.

/** Keeps the server's time in Unix seconds. `steady` and `wall` are this machine's clocks in ms. */
export class ServerClock {
  #steady;
  #wall;
  #heard = null;
  #renew = true;

  constructor(steady = () => performance.now(), wall = () => Date.now()) {
    this.#steady = steady;
    this.#wall = wall;
  }

  /** The next message is the first of a new connection. */
  renew() {
    this.#renew = true;
  }

  /** A message says that it is `at` now. */
  hear(at) {
    const steady = this.#steady();
    const expected = this.#renew ? -Infinity : this.#heard.at + (steady - this.#heard.steady) / 1000;
    this.#heard = { at: Math.max(at, expected), steady, wall: this.#wall() };
    this.#renew = false;
  }

  /** The time now; NaN before the first message. */
  now() {
    if (!this.#heard) return NaN;
    // Some systems stop the steady clock while they sleep; the wall clock then tells what was slept.
    const passed = Math.max(this.#steady() - this.#heard.steady, this.#wall() - this.#heard.wall);
    return this.#heard.at + passed / 1000;
  }

  /** Milliseconds since the last message; Infinity before the first. */
  silence() {
    return this.#heard ? this.#steady() - this.#heard.steady : Infinity;
  }
}
