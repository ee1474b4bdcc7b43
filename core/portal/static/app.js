// Builds the page's parts and joins them: the stream feeds the board, the board opens the detail.

import { Board } from "./board.js";
import { ServerClock } from "./clock.js";
import { Detail } from "./detail.js";
import { byId, say } from "./dom.js";
import * as write from "./format.js";
import { Unanswered, read, repeat } from "./rest.js";
import { Stream } from "./stream.js";
import { Venues } from "./venues.js";

const TICK_MS = 500;
const ABOUT_MS = 60_000;
const NOTICE_MS = 12_000;
const MARKETS = { simulated: "Simulated market", replay: "Replayed market", live: "Live markets" };

const clock = new ServerClock();
const board = new Board();
const venues = new Venues(clock);
const detail = new Detail(clock, (feed) => board.price(feed), close);
const banner = { lostAt: NaN, retryAt: null, noticeUntil: 0 };

const stream = new Stream(new URL("v1/stream", location.href.replace(/^http/, "ws")).href, {
  opening() {
    banner.retryAt = null;
    clock.renew();
    word(Number.isNaN(banner.lostAt) ? "connecting" : "lost", Number.isNaN(banner.lostAt) ? "Connecting" : "Reconnecting");
  },
  up() {
    banner.lostAt = NaN;
    hideBanner();
    connection(true);
    word("live", "Connected");
  },
  down({ reason, retryAt }) {
    if (Number.isNaN(banner.lostAt)) banner.lostAt = clock.now() || 0;
    banner.retryAt = retryAt;
    connection(false);
    word("lost", "Not connected");
    showBanner("lost", "The price stream is lost.", lostText(reason));
  },
  heard(at) {
    clock.hear(at);
    if (!stream.settled) word("connecting", "Waiting for the first estimate");
  },
  prices(list, isSnapshot) {
    board.apply(list, isSnapshot, clock.now());
    detail.show();
  },
  gap({ after, missed }) {
    notice("Updates were missed.", `${write.count(missed, "update")} after number ${after}; a whole snapshot was asked for.`);
  },
  problem: (text) => notice("The core reports a problem.", text),
});

function connection(connected) {
  board.connection(connected);
  detail.connection(connected);
}

function word(state, text) {
  byId("connection").dataset.state = state;
  say(byId("connection-word"), text);
}

function lostText(reason) {
  const shown = banner.lostAt ? ` The prices below are those of ${write.clock(banner.lostAt)} UTC, not live.` : "";
  return `${reason[0].toUpperCase()}${reason.slice(1)}.${shown}`;
}

function showBanner(kind, title, text) {
  const root = byId("banner");
  root.dataset.kind = kind;
  say(byId("banner-title"), title);
  say(byId("banner-text"), text);
  byId("banner-retry").hidden = kind !== "lost";
  root.hidden = false;
}

function hideBanner() {
  byId("banner").hidden = true;
  say(byId("banner-title"), "");
  say(byId("banner-text"), "");
}

/** Something worth saying once, that does not outlive a lost connection's banner. */
function notice(title, text) {
  if (!Number.isNaN(banner.lostAt)) return;
  banner.noticeUntil = performance.now() + NOTICE_MS;
  showBanner("notice", title, text);
}

function tick() {
  const now = clock.now();
  board.tick(now);
  venues.tick();
  detail.show();
  say(byId("server-time"), Number.isNaN(now) ? "" : `${write.clock(now)} UTC`);
  const lost = !Number.isNaN(banner.lostAt);
  if (!lost && banner.noticeUntil && performance.now() > banner.noticeUntil) {
    banner.noticeUntil = 0;
    hideBanner();
  }
  const wait = banner.retryAt === null ? null : Math.max(0, Math.ceil((banner.retryAt - performance.now()) / 1000));
  say(byId("banner-countdown"), !lost ? "" : wait === null ? "Trying now." : `Trying again in ${wait} s.`);
  say(byId("stream-facts"), streamText());
}

function streamText() {
  const { updates, gaps, missed, conflated, reconnects } = stream.facts;
  if (stream.sequence === null) return "Nothing received yet.";
  const parts = [`Stream number ${stream.sequence}`, write.count(updates, "update")];
  if (conflated) parts.push(`${conflated} merged on the way`);
  parts.push(gaps ? `${write.count(gaps, "gap")} (${missed} missed)` : "no gaps");
  if (reconnects > 0) parts.push(write.count(reconnects, "reconnect"));
  return `${parts.join(", ")}.`;
}

/** Which market and network this core serves, where it says so. */
async function readAbout(signal) {
  for (const path of ["health", "v1/feeds"]) {
    try {
      const about = await read(path, {}, signal);
      if (about.market) showMarket(about.market);
      if (about.network) say(byId("tagline"), `Prices for the ${write.name(about.network)} network`);
      if (about.market) return;
    } catch (error) {
      if (!(error instanceof Unanswered)) return;
    }
  }
}

function showMarket(market) {
  const badge = byId("market");
  say(badge, MARKETS[market] ?? write.name(market));
  badge.dataset.market = market;
  badge.hidden = false;
}

/** The address names the open feed, so that it can be sent to someone and the back button closes it. */
function follow() {
  const feed = decodeURIComponent(location.hash.slice(1));
  const before = detail.feed;
  if (feed.includes("/")) {
    if (feed !== before) detail.open(feed);
  } else if (before) {
    detail.close();
    board.focus(before);
  }
  board.select(detail.feed);
}

function close() {
  if (!detail.feed) return;
  history.pushState(null, "", location.pathname + location.search);
  follow();
}

byId("banner-retry").addEventListener("click", () => stream.retryNow());
window.addEventListener("hashchange", follow);
window.addEventListener("popstate", follow);
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, textarea") || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  byId("search").focus();
});
setInterval(tick, TICK_MS);
stream.start();
venues.start();
repeat(readAbout, ABOUT_MS);
follow();
