// The page of rounds: reads them every few seconds, and shows one round's feeds beside the list.

import { ServerClock } from "../clock.js";
import { byId, say } from "../dom.js";
import * as write from "../format.js";
import { Unanswered, read, repeat } from "../rest.js";
import { FeedTable, Hits, RoundTable } from "./tables.js";
import { absence, silence } from "./words.js";

const LIST_MS = 2_000;
const SCORE_MS = 10_000;
const ABOUT_MS = 60_000;
const TICK_MS = 500;
const LISTED = 20;
const SCORED = 960; // a day of rounds

const clock = new ServerClock();
const list = new RoundTable(open);
const feeds = new FeedTable();
const hits = new Hits();
let shown = null; // the round whose feeds are shown
let rounds = [];

/** The round that the address names, or none: then the newest finished one is shown. */
function chosen() {
  const named = location.hash.slice(1);
  return /^[0-9]{1,10}$/.test(named) ? Number(named) : null;
}

function open(number) {
  history.replaceState(null, "", number === chosen() ? location.pathname : `#${number}`);
  choose();
}

async function readRounds(signal) {
  try {
    const answer = await read("../v1/rounds", { limit: LISTED }, signal);
    clock.renew();
    clock.hear(answer.at);
    rounds = answer.rounds;
    connected(true);
    if (!rounds.length) nothing(absence(""));
    else showRounds();
    await choose(signal);
  } catch (error) {
    if (!(error instanceof Unanswered)) return;
    if (error.status === 404) {
      connected(true);
      nothing(absence(error.message));
    } else connected(false, error.message);
  }
}

function showRounds() {
  byId("nothing").hidden = true;
  byId("board").hidden = false;
  const late = silence(rounds, clock.now());
  banner(late && "Rounds have stopped.", late, "notice");
  const open_ = rounds.filter((round) => !round.finalized).length;
  say(byId("facts"), `${write.count(rounds.length, "round")} shown, ${open_} not finalized.`);
}

/** Read the chosen round, unless it is shown and can change no more. */
async function choose(signal) {
  const newest = rounds.find((round) => round.finalized)?.voting_round_id ?? null;
  const wanted = chosen() ?? newest;
  list.show(rounds, wanted);
  if (wanted === null || (shown?.voting_round_id === wanted && shown.finalized)) return;
  try {
    shown = await read(`../v1/rounds/${wanted}`, {}, signal);
    feeds.show(shown);
  } catch (error) {
    if (!(error instanceof Unanswered)) return;
    shown = null;
    feeds.none(wanted, error.message);
  }
}

async function readScore(signal) {
  try {
    const score = await read("../v1/score", { rounds: SCORED }, signal);
    hits.show(score);
    feeds.rates(score.feeds);
  } catch (error) {
    if (error instanceof Unanswered) hits.none(error.status === 404 ? "" : error.message);
  }
}

async function readAbout(signal) {
  try {
    const about = await read("../health", {}, signal);
    if (about.network) say(byId("tagline"), `Rounds on the ${write.name(about.network)} network`);
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
  }
}

function nothing({ title, text, next }) {
  byId("board").hidden = true;
  byId("nothing").hidden = false;
  banner("", "");
  say(byId("facts"), "");
  say(byId("nothing-title"), title);
  say(byId("nothing-text"), text);
  say(byId("nothing-next"), next);
}

function connected(well, why = "") {
  byId("connection").dataset.state = well ? "live" : "lost";
  say(byId("connection-word"), well ? "Connected" : "Not connected");
  if (!well) banner("The rounds cannot be read.", `${why[0].toUpperCase()}${why.slice(1)}. What is shown is not live.`);
  else if (byId("banner").dataset.kind === "lost") banner("", "");
}

function banner(title, text, kind = "lost") {
  byId("banner").dataset.kind = kind;
  byId("banner").hidden = !title;
  say(byId("banner-title"), title);
  say(byId("banner-text"), text);
}

function tick() {
  const now = clock.now();
  say(byId("server-time"), Number.isNaN(now) ? "" : `${write.clock(now)} UTC`);
}

window.addEventListener("hashchange", () => choose());
setInterval(tick, TICK_MS);
repeat(readRounds, LIST_MS);
repeat(readScore, SCORE_MS);
repeat(readAbout, ABOUT_MS);
