// The table of feeds: which rows there are, in which order, and which of them are shown.

import { byId, say } from "./dom.js";
import * as write from "./format.js";
import { Row, ageNow } from "./row.js";

const STATE_ORDER = { none: 0, stale: 1, lost: 2, live: 3 };
const RESORT_MS = 2_000; // columns that change by themselves are put in order this often at most

/** By column: the value that orders it (a number or text), NaN last. */
const KEYS = {
  feed: (price) => price.feed,
  price: (price) => (price.price === null ? NaN : Number(price.price)),
  band: (price) => write.bandBps(price.band_low, price.band_high),
  change: (price) => (price.change_24h_percent === null ? NaN : Number(price.change_24h_percent)),
  venues: (price) => price.venues_used,
  age: (price) => ageNow(price, price.at),
  state: (price, row) => STATE_ORDER[row.state] ?? 0,
};
/** The direction that a first click gives: 1 is ascending. */
const FIRST = { feed: 1, price: -1, band: -1, change: -1, venues: 1, age: -1, state: 1 };

/** Compare two rows' values; whatever is not a number goes last in either direction. */
export function compare(one, other, direction) {
  if (typeof one === "string") return one.localeCompare(other) * direction;
  if (Number.isNaN(one) || Number.isNaN(other)) return Number(Number.isNaN(one)) - Number(Number.isNaN(other));
  return (one - other) * direction;
}

export class Board {
  #body = byId("rows");
  #rows = new Map(); // by feed, in the server's order
  #sort = { column: null, direction: 1 };
  #sortedAt = 0;
  #view = { connected: false, now: NaN };
  #selected = null;
  #wanted = { text: "", state: "all" };

  constructor() {
    for (const button of document.querySelectorAll("button[data-sort]")) {
      button.addEventListener("click", () => this.#sortBy(button.dataset.sort));
    }
    byId("search").addEventListener("input", (event) => this.#want({ text: event.target.value.trim().toLowerCase() }));
    byId("states").addEventListener("change", (event) => this.#want({ state: event.target.value }));
    this.#body.addEventListener("click", (event) => this.#clicked(event));
  }

  /** Prices came; with a snapshot, feeds that it does not name are gone. */
  apply(prices, isSnapshot, now) {
    this.#view.now = now;
    if (isSnapshot) this.#keepOnly(new Set(prices.map((price) => price.feed)));
    for (const price of prices) this.#row(price.feed).update(price, this.#view);
    this.#afterChange();
  }

  /** The connection is up, or lost. */
  connection(connected) {
    this.#view.connected = connected;
    document.documentElement.classList.toggle("lost", !connected);
    this.tick(this.#view.now);
  }

  /** It is `now`: ages count, and what nobody kept up to date says so. */
  tick(now) {
    this.#view.now = now;
    for (const row of this.#rows.values()) row.refresh(this.#view);
    this.#afterChange();
  }

  /** Mark the feed whose detail is open; null for none. */
  select(feed) {
    this.#rows.get(this.#selected)?.select(false);
    this.#rows.get(feed)?.select(true);
    this.#selected = feed;
  }

  focus(feed) {
    this.#rows.get(feed)?.focus();
  }

  /** The last price of a feed, undefined where there is none. */
  price(feed) {
    return this.#rows.get(feed)?.price;
  }

  #row(feed) {
    let row = this.#rows.get(feed);
    if (row) return row;
    row = new Row(feed);
    row.select(feed === this.#selected);
    this.#rows.set(feed, row);
    this.#body.append(row.root);
    return row;
  }

  #keepOnly(feeds) {
    for (const [feed, row] of this.#rows) {
      if (feeds.has(feed)) continue;
      row.root.remove();
      this.#rows.delete(feed);
    }
  }

  #afterChange() {
    const { column } = this.#sort;
    const settled = performance.now() - this.#sortedAt > RESORT_MS && !this.#body.matches(":hover, :focus-within");
    if (column && column !== "feed" && settled) this.#order();
    this.#filter();
  }

  #sortBy(column) {
    const again = this.#sort.column === column;
    this.#sort = { column, direction: again ? -this.#sort.direction : FIRST[column] };
    for (const header of document.querySelectorAll("th:has(> button[data-sort])")) {
      if (header.firstElementChild.dataset.sort !== column) header.removeAttribute("aria-sort");
      else header.setAttribute("aria-sort", this.#sort.direction > 0 ? "ascending" : "descending");
    }
    this.#order();
  }

  #order() {
    this.#sortedAt = performance.now();
    const { column, direction } = this.#sort;
    const key = KEYS[column];
    const ordered = [...this.#rows.values()];
    ordered.sort((one, other) => compare(key(one.price, one), key(other.price, other), direction));
    ordered.forEach((row, place) => {
      if (this.#body.children[place] !== row.root) this.#body.insertBefore(row.root, this.#body.children[place]);
    });
  }

  #want(change) {
    Object.assign(this.#wanted, change);
    const shown = this.#filter();
    say(byId("found"), `${write.count(shown, "feed")} shown`);
  }

  #filter() {
    const { text, state } = this.#wanted;
    const counts = { all: 0, live: 0, stale: 0, none: 0 };
    let shown = 0;
    for (const row of this.#rows.values()) {
      const group = row.state === "lost" ? "stale" : row.state;
      counts.all += 1;
      counts[group] = (counts[group] ?? 0) + 1;
      const hidden = (state !== "all" && state !== group) || !row.matches(text);
      if (row.root.hidden !== hidden) row.root.hidden = hidden;
      shown += hidden ? 0 : 1;
    }
    for (const target of document.querySelectorAll("[data-count]")) say(target, String(counts[target.dataset.count]));
    byId("empty").hidden = shown > 0;
    say(byId("empty"), this.#rows.size ? "No feed fits this filter." : "Waiting for the first prices.");
    return shown;
  }

  /** A click anywhere on a row opens its feed, as its link does. */
  #clicked(event) {
    const row = event.target.closest("tr[data-feed]");
    if (!row || event.target.closest("a") || !window.getSelection().isCollapsed) return;
    location.hash = row.dataset.feed;
  }
}
