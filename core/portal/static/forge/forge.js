// The Forge page: reads what the estimator has learned every few seconds and shows it.

import { byId, element, say } from "../dom.js";
import * as write from "../format.js";
import { Unanswered, read, repeat } from "../rest.js";
import { coverage, percent, trust } from "./plots.js";

const STATE_MS = 5_000;
const LEGS_MS = 30_000;
const API = "../v1/forge";

let legs = [];

repeat((signal) => guarded(async () => {
  const [state, found] = await Promise.all([
    read(API, {}, signal), read(`${API}/anomalies`, { limit: 100 }, signal),
  ]);
  showState(state);
  showAnomalies(found.anomalies, found.at);
}), STATE_MS);

repeat((signal) => guarded(async () => {
  const [learned, skill] = await Promise.all([read(`${API}/legs`, {}, signal), read(`${API}/skill`, {}, signal)]);
  legs = learned.legs;
  showCoverage(skill);
  byId("trust").replaceChildren(trust(legs));
  showChoices();
  showLegs();
}), LEGS_MS);

byId("feed").addEventListener("change", showLegs);

async function guarded(task) {
  try {
    await task();
    word("live", "Connected");
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Unanswered)) throw error;
    word("lost", error.message);
  }
}

function word(state, text) {
  byId("connection").dataset.state = state;
  say(byId("connection-word"), text);
}

function showState(state) {
  say(byId("server-time"), write.clock(state.at));
  const ago = (at) => (at === null ? "never" : `${write.duration(state.at - at)} ago`);
  const hidden = Object.entries(state.hidden_quotes).map(([venue, quote]) => `${write.name(venue)}: ${quote}`);
  const facts = {
    "Model version": state.version,
    "Running for": write.duration(state.at - state.began_at),
    "Went on from": state.restored_from === null ? "nothing" : `a memory of ${write.moment(state.restored_from, state.at)}`,
    "Memory saved": ago(state.saved_at),
    "Rounds learned from": write.price(state.rounds_learned),
    "Newest round": ago(state.newest_round_at),
    "Markets known": `${state.legs_taught} of ${state.legs}`,
    "Hidden quotes": hidden.join(", ") || "none",
  };
  byId("state").replaceChildren(
    ...Object.entries(facts).map(([name, text]) => element("div", {}, element("dt", {}, name), element("dd", {}, text))),
  );
}

function showAnomalies(found, now) {
  byId("anomaly-rows").replaceChildren(...found.map((each) => anomalyRow(each, now)));
  byId("anomalies").hidden = found.length === 0;
  byId("anomalies-note").hidden = found.length > 0;
  say(byId("anomalies-note"), "None since the start.");
}

function anomalyRow(each, now) {
  const [venue, pair] = each.leg.split(":");
  const lasts = each.ended_at === null;
  const row = element(
    "tr",
    { "data-leg": each.leg, "data-lasts": lasts ? "yes" : "no" },
    element("td", {}, write.moment(each.began_at, now)),
    element("td", {}, lasts ? `${write.duration(now - each.began_at)}, still` : write.duration(each.ended_at - each.began_at)),
    element("td", {}, write.name(venue)),
    element("td", {}, pair),
    element("td", { class: "right" }, write.signed(each.off_bps, 1)),
    element("td", { class: "right" }, each.score.toFixed(1)),
    element("td", {}, ...each.reasons.map((reason) => element("span", { class: "reason" }, reason))),
  );
  return row;
}

function showCoverage(skill) {
  const told = skill.coverage === null
    ? `No finished round yet; the target is ${percent(skill.coverage_target)}.`
    : `${percent(skill.coverage)} of ${write.count(skill.coverage_rounds, "median")} fell into the stated band; the target is ${percent(skill.coverage_target)}.`;
  say(byId("coverage-note"), told);
  byId("coverage").replaceChildren(...(skill.coverage === null ? [] : [coverage(skill.feeds, skill.coverage_target)]));
}

function showChoices() {
  const feeds = [...new Set(legs.map((leg) => leg.feed))];
  const choice = byId("feed");
  if (choice.options.length === feeds.length) return;
  const chosen = choice.value || "BTC/USD";
  choice.replaceChildren(...feeds.map((feed) => element("option", { value: feed }, feed)));
  choice.value = feeds.includes(chosen) ? chosen : feeds[0];
}

function showLegs() {
  const shown = legs.filter((leg) => leg.feed === byId("feed").value);
  byId("leg-rows").replaceChildren(...shown.map(legRow));
}

function legRow(leg) {
  const pair = leg.leg.split(":")[1];
  const figures = [
    percent(leg.reliability), percent(leg.trust), write.signed(leg.bias_bps, 2), write.signed(leg.venue_offset_bps, 2),
    leg.noise_bps.toFixed(2), percent(leg.lag_share),
  ];
  const quote = leg.hidden_quote
    ? element("td", { class: "hidden-quote" }, `${leg.hidden_quote}, though called USD`)
    : element("td", {}, pair.split("/")[1]);
  return element(
    "tr",
    { "data-leg": leg.leg },
    element("td", {}, write.name(leg.venue)),
    element("td", {}, pair),
    ...figures.map((text) => element("td", { class: "right" }, text)),
    quote,
  );
}
