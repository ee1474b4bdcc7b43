// The panel of one feed: what its price rests on now, and where it has been.

import * as chart from "./chart.js";
import { byId, element, say } from "./dom.js";
import * as write from "./format.js";
import { Unanswered, read, repeat } from "./rest.js";
import { ageNow, stateWord, verdict } from "./row.js";

const SOURCES_MS = 2_000;
const HISTORY_MS = 30_000;
const DAY_S = 86_400;
const REASONS = {
  used: "used",
  no_data: "nothing received",
  stale: "too old",
  dead_venue: "not answering",
  no_price: "no usable price",
  no_conversion: "no rate to USD",
  outlier: "outlier",
  unconfirmed: "unconfirmed",
};

export class Detail {
  #clock;
  #price; // a function of the feed: its last price
  #panel = byId("detail");
  #narrow = window.matchMedia("(max-width: 68rem)");
  #stops = [];
  #connected = false;
  feed = null;

  constructor(clock, price, onClose) {
    this.#clock = clock;
    this.#price = price;
    byId("detail-close").addEventListener("click", onClose);
    this.#panel.addEventListener("cancel", (event) => {
      event.preventDefault();
      onClose();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.feed && !event.defaultPrevented) onClose();
    });
    this.#narrow.addEventListener("change", () => this.feed && this.#unfold());
  }

  /** Show a feed, in place of the one shown before. */
  open(feed) {
    this.#halt();
    this.feed = feed;
    say(byId("detail-title"), feed);
    byId("legs").replaceChildren();
    byId("legs-routes").hidden = true;
    byId("detail-chart").replaceChildren(element("p", { class: "note" }, "Reading the history."));
    this.show();
    this.#unfold();
    this.#stops = [
      repeat((signal) => this.#readSources(feed, signal), SOURCES_MS),
      repeat((signal) => this.#readHistory(feed, signal), HISTORY_MS),
    ];
  }

  close() {
    this.#halt();
    this.feed = null;
    if (this.#panel.open) this.#panel.close();
    document.documentElement.classList.remove("with-detail");
  }

  connection(connected) {
    this.#connected = connected;
    this.show();
  }

  /** Show the feed's last price and its age now. */
  show() {
    if (!this.feed) return;
    const price = this.#price(this.feed);
    const view = { connected: this.#connected, now: this.#clock.now() };
    const { state, why } = price ? verdict(price, view) : { state: "none", why: "no such feed was received" };
    this.#panel.dataset.state = state;
    say(byId("detail-price"), write.price(price?.price));
    say(byId("detail-state"), stateWord(state));
    say(byId("detail-why"), why);
    if (price) this.#facts(price);
  }

  #unfold() {
    if (this.#panel.open) this.#panel.close();
    document.documentElement.classList.add("with-detail");
    if (this.#narrow.matches) this.#panel.showModal();
    else this.#panel.show();
  }

  #halt() {
    for (const stop of this.#stops) stop();
    this.#stops = [];
  }

  #facts(price) {
    const now = this.#clock.now();
    const width = write.bandBps(price.band_low, price.band_high);
    const facts = [
      ["Band", Number.isFinite(width) ? `${write.price(price.band_low)} – ${write.price(price.band_high)}` : write.NOTHING],
      ["Half width", Number.isFinite(width) ? `${write.bps(width)} bp` : write.NOTHING],
      ["Newest tick", ageText(ageNow(price, now))],
      ["Median", write.price(price.median)],
      ["Venues", `${price.venues_used} of ${price.venues_listed}`],
      ["VWAP", write.price(price.vwap)],
      ["TWAP", write.price(price.twap)],
    ];
    const list = byId("detail-facts");
    if (!list.children.length) {
      list.append(...facts.map(([name]) => element("div", {}, element("dt", {}, name), element("dd", { class: "num" }))));
    }
    facts.forEach(([, text], place) => say(list.children[place].lastChild, text));
  }

  async #readSources(feed, signal) {
    const note = byId("legs-note");
    try {
      const { sources, price } = await read("v1/prices/sources", { feed }, signal);
      note.hidden = sources.length > 0;
      say(note, "No venue that Chrono reads lists this asset.");
      const estimate = Number(price ?? NaN); // of the same pass as its sources
      const used = sources.filter((leg) => leg.reason === "used");
      const unused = sources.filter((leg) => leg.reason !== "used");
      byId("legs").replaceChildren(...[...used, ...unused].map((leg) => legRow(leg, estimate)));
      say(byId("legs-routes"), routesText(sources));
      byId("legs-routes").hidden = !byId("legs-routes").textContent;
    } catch (error) {
      if (!(error instanceof Unanswered)) return;
      say(note, `The sources are not known now: ${error.message}.`);
      note.hidden = false;
    }
  }

  async #readHistory(feed, signal) {
    const target = byId("detail-chart");
    try {
      const now = this.#clock.now() || Date.now() / 1000;
      const query = { feed, interval: "1m", from: Math.floor(now - DAY_S), to: Math.ceil(now) };
      const candles = chart.parse((await read("v1/prices/history", query, signal)).candles, now);
      if (!candles.length) {
        target.replaceChildren(element("p", { class: "note" }, "Nothing is recorded of this feed in the last 24 hours."));
        return;
      }
      const span = chart.draw(target, feed, candles, now);
      say(byId("detail-chart-title"), `Last ${span < 3_600 ? write.count(span / 60, "minute") : write.count(span / 3_600, "hour")}`);
    } catch (error) {
      if (!(error instanceof Unanswered)) return;
      target.replaceChildren(element("p", { class: "note" }, `The history is not known now: ${error.message}.`));
    }
  }
}

function ageText(age) {
  return Number.isFinite(age) ? `${write.duration(age)} ago` : "none yet";
}

/** By which collectors the legs came last, as a sentence; nothing where it is not told. */
export function routesText(sources) {
  const counts = new Map();
  for (const { route } of sources) if (route) counts.set(route, (counts.get(route) ?? 0) + 1);
  const told = [...counts].sort(([one], [other]) => one.localeCompare(other));
  if (told.length === 1) return `Seen by the collector ${told[0][0]}.`;
  return told.length ? `Last seen by the collectors ${told.map(([name, count]) => `${name} (${count})`).join(", ")}.` : "";
}

/** A leg's row. A leg without weight says why in the weight's place. */
function legRow(leg, estimate) {
  const used = leg.reason === "used";
  const number = leg.price === null ? NaN : Number(leg.price);
  const away = (number / estimate - 1) * 10_000;
  const fate = used ? weight(leg) : element("td", { class: "right reason" }, REASONS[leg.reason] ?? write.words(leg.reason));
  const cell = (text, kind = "") => element("td", { class: `right num ${kind}` }, text);
  return element(
    "tr",
    { class: used ? "used" : "unused", "data-reason": leg.reason },
    element("th", { scope: "row", ...(leg.route && { title: `seen by the collector ${leg.route}` }) }, write.name(leg.venue)),
    element("td", {}, leg.symbol),
    cell(write.price(leg.price)),
    cell(Math.abs(away) >= 1_000 ? `${write.signed(away / 100, 0)} %` : write.signed(away, 1), "away"),
    fate,
    cell(write.coarse(leg.age_s ?? NaN)),
  );
}

function weight(leg) {
  const percent = `${(Number(leg.weight) * 100).toFixed(1)} %`;
  return element("td", { class: "right num" }, element("meter", { min: 0, max: 1, value: leg.weight, "aria-hidden": "true" }), element("span", {}, percent));
}
