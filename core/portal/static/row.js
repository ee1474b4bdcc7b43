// One feed's row: its cells, what they say of a price, and how old that is now.

import { element, say } from "./dom.js";
import * as write from "./format.js";

const STATE_WORDS = { live: "live", stale: "stale", none: "no price", lost: "not updated" };
const LATE_S = 10; // every price comes anew with every pass; the core too calls one of this age late
const DAY_S = 86_400;
const WHOLE_DAY_S = DAY_S - 3_600; // a reference younger than this is told beside the change

/** What a state is called on the page. `lost` is the page's own: live when the connection was lost. */
export function stateWord(state) {
  return STATE_WORDS[state] ?? write.words(state);
}

/**
 * The state to show and why, where `view` is {connected, now}: a price that nobody keeps up to date is not
 * live, whatever was said of it when it came.
 */
export function verdict(price, view) {
  if (price.state !== "live") return { state: price.state, why: price.why ?? "" };
  if (!view.connected) return { state: "lost", why: "connection lost" };
  const late = view.now - price.at;
  if (late > LATE_S) return { state: "stale", why: `no new estimate for ${write.coarse(late)}` };
  return { state: "live", why: price.why ?? "" };
}

/** A price's age now: what the server said, and what passed since. NaN where there is none. */
export function ageNow(price, now) {
  return price.age_s === null ? NaN : price.age_s + Math.max(0, now - price.at);
}

/** The span that a change covers, where that is not yet a day: " in 3 h". */
function since(price) {
  if (price.change_since === null) return "";
  const span = price.at - price.change_since;
  return span < WHOLE_DAY_S ? ` in ${write.coarse(span)}` : "";
}

export class Row {
  #cells = {};
  #name;
  feed;
  price = null;
  state = "none"; // as shown

  constructor(feed) {
    this.feed = feed;
    const [base, quote] = feed.split("/");
    this.#name = element("a", { href: `#${feed}`, class: "feed-name" }, base);
    if (quote) this.#name.append(element("span", {}, `/${quote}`));
    this.root = element("tr", { "data-feed": feed });
    this.#cells.why = element("p", { class: "why under" });
    this.root.append(element("th", { scope: "row", class: "c-feed" }, this.#name, this.#cells.why));
    for (const name of ["price", "band", "change", "venues", "age", "state"]) {
      this.root.append(element("td", { class: `c-${name}${name === "state" ? "" : " right num"}` }));
    }
    const [, price, band, change, venues, age, state] = this.root.cells;
    Object.assign(this.#cells, { price, change, venues, age });
    this.#cells.width = band.appendChild(element("span"));
    this.#cells.range = band.appendChild(element("small"));
    this.#cells.percent = change.appendChild(element("span"));
    this.#cells.since = change.appendChild(element("small"));
    this.#cells.pill = state.appendChild(element("span", { class: "pill" }));
    this.#cells.beside = state.appendChild(element("span", { class: "why beside" }));
    this.#cells.price.addEventListener("animationend", () => this.#cells.price.classList.remove("up", "down"));
  }

  /** Show a price that came. */
  update(price, view) {
    const before = this.price;
    this.price = price;
    const cells = this.#cells;
    if (say(cells.price, write.price(price.price)) && before?.price && price.price) {
      this.#flash(Number(price.price) - Number(before.price));
    }
    const width = write.bandBps(price.band_low, price.band_high);
    say(cells.width, Number.isFinite(width) ? `±${write.bps(width)} bp` : write.NOTHING);
    say(cells.range, Number.isFinite(width) ? `${write.price(price.band_low)} – ${write.price(price.band_high)}` : "");
    this.#change(price);
    say(cells.venues, `${price.venues_used} of ${price.venues_listed}`);
    cells.venues.classList.toggle("few", price.venues_used * 2 < price.venues_listed);
    this.refresh(view);
  }

  /** Let the age count, and show whether the price is still kept up to date. */
  refresh(view) {
    const { state, why } = verdict(this.price, view);
    this.state = state;
    say(this.#cells.age, write.coarse(ageNow(this.price, view.now)));
    if (this.root.dataset.state !== state) this.root.dataset.state = state;
    say(this.#cells.pill, stateWord(state));
    say(this.#cells.beside, why);
    say(this.#cells.why, state === "live" || state === "lost" ? "" : [stateWord(state), why].filter(Boolean).join(": "));
  }

  /** Whether the feed's name, or why it is not live, holds this text in lower case. */
  matches(text) {
    return this.feed.toLowerCase().includes(text) || this.#cells.why.textContent.toLowerCase().includes(text);
  }

  select(selected) {
    this.root.classList.toggle("selected", selected);
    if (selected) this.#name.setAttribute("aria-current", "true");
    else this.#name.removeAttribute("aria-current");
  }

  focus() {
    this.#name.focus();
  }

  #change(price) {
    const known = price.change_24h_percent !== null;
    const percent = known ? Number(price.change_24h_percent) : NaN;
    say(this.#cells.percent, known ? `${write.signed(percent, 2)} %` : write.NOTHING);
    say(this.#cells.since, known ? since(price) : "");
    this.#cells.change.dataset.sign = percent > 0 ? "up" : percent < 0 ? "down" : "";
  }

  #flash(difference) {
    const list = this.#cells.price.classList;
    list.remove("up", "down");
    void this.#cells.price.offsetWidth; // restarts the animation
    list.add(difference > 0 ? "up" : "down");
  }
}
