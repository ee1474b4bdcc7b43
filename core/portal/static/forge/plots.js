// Two pictures as SVG: shares of covered medians by feed, and trust by feed and venue.

import { shape } from "../dom.js";
import * as write from "../format.js";

const FLOOR = 0.5; // shares below it are drawn at the bottom

/** One dot a feed: the share of medians inside its band, beside the target. */
export function coverage(feeds, target) {
  const known = feeds.filter((feed) => feed.coverage !== null);
  const [width, height, left, bottom] = [960, 180, 44, 58];
  const x = (place) => left + ((place + 0.5) * (width - left - 8)) / Math.max(known.length, 1);
  const y = (share) => 8 + (1 - Math.max(share - FLOOR, 0) / (1 - FLOOR)) * (height - bottom - 8);
  const label = `Band coverage of ${write.count(known.length, "feed")}, target ${percent(target)}`;
  const picture = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (const share of [FLOOR, 0.75, 1]) {
    picture.append(shape("line", { class: "line", x1: left, x2: width - 8, y1: y(share), y2: y(share) }));
    picture.append(shape("text", { x: left - 6, y: y(share) + 4, "text-anchor": "end" }, percent(share)));
  }
  picture.append(shape("line", { class: "target", x1: left, x2: width - 8, y1: y(target), y2: y(target) }));
  known.forEach((feed, place) => {
    const kind = feed.coverage >= target - 0.02 ? "good" : "under";
    const told = `${feed.feed}: ${percent(feed.coverage)} of ${write.count(feed.coverage_rounds, "round")}`;
    picture.append(shape("circle", { class: kind, cx: x(place), cy: y(feed.coverage), r: 4 }, shape("title", {}, told)));
    const turn = `rotate(-60 ${x(place)} ${height - bottom + 16})`;
    const text = { x: x(place), y: height - bottom + 16, "text-anchor": "end", transform: turn };
    picture.append(shape("text", text, feed.feed.split("/")[0]));
  });
  return picture;
}

/** A square a feed and venue, the fuller the more the least trusted of the venue's markets counts. */
export function trust(legs) {
  const feeds = [...new Set(legs.map((leg) => leg.feed))];
  const venues = [...new Set(legs.map((leg) => leg.venue))].sort();
  const [size, left, top] = [14, 96, 54];
  const [width, height] = [left + feeds.length * size + 28, top + venues.length * size + 4];
  const least = new Map();
  for (const leg of legs) {
    const key = `${leg.feed} ${leg.venue}`;
    if (!(least.get(key)?.trust <= leg.trust)) least.set(key, leg);
  }
  const label = `Trust in the markets of ${write.count(venues.length, "venue")} and ${write.count(feeds.length, "feed")}`;
  const picture = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  feeds.forEach((feed, column) => {
    const x = left + column * size + 10;
    const text = { x, y: top - 6, transform: `rotate(-60 ${x} ${top - 6})` };
    picture.append(shape("text", text, feed.split("/")[0]));
  });
  venues.forEach((venue, row) => {
    const y = top + row * size;
    picture.append(shape("text", { x: left - 8, y: y + 10, "text-anchor": "end" }, write.name(venue)));
    feeds.forEach((feed, column) => {
      const leg = least.get(`${feed} ${venue}`);
      const place = { x: left + column * size + 1, y: y + 1, width: size - 2, height: size - 2, rx: 2 };
      if (!leg) return;
      const told = `${leg.leg}: trust ${percent(leg.trust)}, reliable ${percent(leg.reliability)}`;
      const drawn = { class: "cell", "fill-opacity": (0.12 + 0.88 * leg.trust).toFixed(3), ...place };
      picture.append(shape("rect", drawn, shape("title", {}, told)));
    });
  });
  return picture;
}

export function percent(share) {
  return Number.isFinite(share) ? `${(share * 100).toFixed(share === 1 || share === 0 ? 0 : 1)} %` : write.NOTHING;
}
