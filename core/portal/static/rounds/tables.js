// The page's three tables: hit rates, rounds, one round's feeds. They show what they are given.

import { byId, element, say } from "../dom.js";
import * as write from "../format.js";
import { percent, ppm, scaled, steps, verdict, worstFirst } from "./words.js";

const RATES = [
  ["primary_share", "Primary band", "inside the weighted quartiles of all providers' values"],
  ["secondary_share", "Secondary band", "within each feed's own band around the median"],
  ["half_percent_share", "0.5 % band", "within half a percent of the median"],
];
const BANDS = [["primary", "primary", "P"], ["secondary", "secondary", "S"], ["half_percent", "0.5 %", "½"]];

export class Hits {
  #root = byId("hits");
  #over = byId("hits-over");

  show(score) {
    const over = `${score.feeds.length ? `${write.count(score.feeds.length, "feed")}, ` : ""}the last ${write.count(score.rounds, "finished round")}`;
    say(this.#over, score.rounds ? over : "No finished round yet.");
    const cards = RATES.map(([key, name, meaning]) => [name, percent(score[key]), meaning]);
    cards.push(["Revealed", score.rounds ? `${score.revealed} of ${score.rounds}` : write.NOTHING, "rounds in which our values count"]);
    this.#root.replaceChildren(
      ...cards.map(([name, rate, meaning]) => element("div", {}, element("dt", {}, name), element("dd", { class: "num" }, rate), element("dd", { class: "meaning" }, meaning))),
    );
  }

  none(why) {
    this.#root.replaceChildren();
    say(this.#over, why ? `The scores are not known now: ${why}.` : "There are none without a provider.");
  }
}

export class RoundTable {
  #rows = byId("round-rows");
  #open;

  constructor(open) {
    this.#open = open;
    this.#rows.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (!row || event.target.closest("a")) return;
      this.#open(Number(row.dataset.round));
    });
  }

  /** Rows are made anew only where something changed, so that focus stays. */
  show(rounds, selected) {
    const newest = rounds[0]?.voting_round_id ?? 0;
    const known = new Map([...this.#rows.children].map((row) => [row.dataset.key, row]));
    const rows = rounds.map((round) => {
      const key = JSON.stringify([round, verdict(round, newest)]);
      const row = known.get(key) ?? roundRow(round, newest);
      row.dataset.key = key;
      row.classList.toggle("selected", round.voting_round_id === selected);
      return row;
    });
    const same = rows.length === this.#rows.children.length && rows.every((row, place) => row === this.#rows.children[place]);
    if (!same) this.#rows.replaceChildren(...rows);
  }
}

function roundRow(round, newest) {
  const { kind, word } = verdict(round, newest);
  const root = round.merkle_root;
  const right = (text, kind = "") => element("td", { class: `right num ${kind}` }, text);
  return element(
    "tr",
    { "data-round": round.voting_round_id, "data-kind": kind },
    element("th", { scope: "row" }, element("a", { href: `#${round.voting_round_id}`, class: "num" }, String(round.voting_round_id))),
    element("td", { class: "c-steps" }, stepDots(round), element("span", { class: "pill" }, word)),
    element("td", { class: "c-root" }, root ? element("code", { title: root }, `${root.slice(0, 10)}…`) : write.NOTHING),
    right(percent(round.primary_share)),
    right(percent(round.secondary_share)),
    right(percent(round.half_percent_share), "c-half"),
  );
}

/** Five dots, each with its time; the state's word stands beside them. */
function stepDots(round) {
  return element(
    "ol",
    { class: "steps" },
    ...steps(round).map(({ name, at, done }) => {
      const told = done ? `${name}${at === null ? "" : ` ${write.clock(at)}`}` : `not ${name}`;
      return element("li", { "data-done": done ? "yes" : "no", title: told }, element("span", { class: "unseen" }, told));
    }),
  );
}

export class FeedTable {
  #rows = byId("feed-rows");
  #empty = byId("feeds-empty");
  #rates = new Map();
  #round = null;

  show(round) {
    this.#round = round;
    this.#draw();
  }

  none(number, why) {
    this.#round = null;
    this.#rows.replaceChildren();
    say(byId("feeds-title"), `Round ${number}`);
    say(byId("feeds-note"), "");
    this.#say(`This round is not known: ${why}.`);
  }

  /** Hit rates by feed over the last rounds. */
  rates(feeds) {
    this.#rates = new Map(feeds.map((feed) => [feed.feed, feed]));
    if (this.#round) this.#draw();
  }

  #draw() {
    const { voting_round_id: number, feeds, finalized, revealed } = this.#round;
    say(byId("feeds-title"), `Round ${number}`);
    say(byId("feeds-note"), finalized && !revealed ? "We revealed nothing in this round, so nothing is scored." : "");
    this.#rows.replaceChildren(...worstFirst(feeds).map((feed) => feedRow(feed, this.#rates.get(feed.feed))));
    this.#say(feeds.length ? "" : "A round's feeds are known once it is finalized.");
  }

  #say(text) {
    say(this.#empty, text);
    this.#empty.hidden = !text;
  }
}

function feedRow(feed, rate) {
  const right = (text, kind = "") => element("td", { class: `right num ${kind}` }, text);
  const bands = BANDS.map(([key, name, short]) => {
    const told = `${feed[key] ? "in" : "outside"} the ${name} band`;
    return element("span", { class: "band", "data-hit": feed[key] ? "yes" : "no", "data-short": short, title: told }, name);
  });
  return element(
    "tr",
    { "data-feed": feed.feed },
    element("th", { scope: "row" }, feed.feed),
    right(scaled(feed.value, feed.decimals), "c-chain"),
    right(scaled(feed.ours, feed.decimals), "c-ours"),
    right(ppm(feed.distance_ppm)),
    right(feed.rank === null ? write.NOTHING : `${feed.rank} of ${feed.providers}`),
    element("td", { class: "c-bands" }, ...(feed.ours === null ? [element("span", { class: "why" }, "no value of ours")] : bands)),
    right(percent(rate?.primary_share), "c-rate"),
    right(percent(rate?.secondary_share), "c-rate"),
  );
}
