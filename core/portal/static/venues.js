// The strip of venues: how each treats the collectors now.

import { byId, element, say } from "./dom.js";
import * as write from "./format.js";
import { Unanswered, read, repeat } from "./rest.js";

const REFRESH_MS = 4_000;
const SILENT_S = 30; // a collector reports with every batch, every few seconds
const WORDS = {
  starting: "starting",
  healthy: "healthy",
  rate_limited: "rate limited",
  banned: "banned",
  forbidden: "forbidden",
  geo_blocked: "blocked in this country",
  failing: "failing",
  probing: "trying again",
};
const KINDS = { healthy: "good", starting: "waiting", probing: "waiting" };
const GRAVITY = { good: 0, waiting: 1, bad: 2 };

/** What to show of one report: {kind, text, more}. A report of a silent collector says nothing of today. */
export function verdict(report, now) {
  const silence = now - report.heard_at;
  if (silence > SILENT_S) return { kind: "bad", text: "collector is silent", more: `for ${write.coarse(silence)}` };
  const kind = KINDS[report.state] ?? "bad";
  const word = WORDS[report.state] ?? write.words(report.state);
  const lasting = report.since ? `for ${write.coarse(now - report.since)}` : "";
  if (kind !== "bad") return { kind, text: word, more: lasting };
  const code = report.code ? ` (${report.code})` : "";
  if (!(report.retry_at > now)) return { kind, text: word + code, more: lasting };
  return { kind, text: `${word}${code} until ${write.clock(report.retry_at)}`, more: `${write.coarse(report.retry_at - now)} left` };
}

/** One verdict a venue: of several collectors' reports the gravest, with how many say so. */
export function strip(reports, now) {
  const byVenue = new Map();
  for (const report of reports) {
    const verdicts = byVenue.get(report.venue) ?? [];
    byVenue.set(report.venue, [...verdicts, verdict(report, now)]);
  }
  return [...byVenue].map(([venue, verdicts]) => {
    const worst = verdicts.reduce((one, other) => (GRAVITY[other.kind] > GRAVITY[one.kind] ? other : one));
    const same = verdicts.filter(({ kind }) => kind === worst.kind).length;
    const share = same < verdicts.length ? `, at ${same} of ${verdicts.length} collectors` : "";
    return { ...worst, venue, text: worst.text + share };
  });
}

export class Venues {
  #clock;
  #list = byId("venues");
  #note = byId("venues-note");
  #reports = [];

  constructor(clock) {
    this.#clock = clock;
  }

  start() {
    repeat((signal) => this.#read(signal), REFRESH_MS);
  }

  /** Let the times count. */
  tick() {
    const now = this.#clock.now() || Date.now() / 1000;
    const verdicts = strip(this.#reports, now);
    while (this.#list.children.length < verdicts.length) this.#list.append(card());
    while (this.#list.children.length > verdicts.length) this.#list.lastChild.remove();
    verdicts.forEach((told, place) => {
      const root = this.#list.children[place];
      const [, name, more, state] = root.children;
      root.dataset.venue = told.venue;
      root.dataset.kind = told.kind;
      say(name, write.name(told.venue));
      say(state, told.text);
      say(more, told.more);
    });
  }

  async #read(signal) {
    let failure = "";
    try {
      this.#reports = (await read("v1/venues", {}, signal)).venues;
    } catch (error) {
      if (!(error instanceof Unanswered)) return;
      failure = `The venues' states are not known now: ${error.message}.`;
    }
    say(this.#note, failure || (this.#reports.length ? "" : "No collector has reported on a venue yet."));
    this.#note.hidden = !this.#note.textContent;
    this.#list.classList.toggle("unknown", failure !== "");
    this.tick();
  }
}

function card() {
  return element(
    "li",
    {},
    element("span", { class: "dot" }),
    element("strong", { class: "venue-name" }),
    element("small", { class: "num" }),
    element("span", { class: "venue-state num" }),
  );
}
