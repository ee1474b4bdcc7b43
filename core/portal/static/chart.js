// A line of a feed's last hours, with its high-low range, drawn as SVG from one-minute candles.

import { element, say, shape } from "./dom.js";
import * as write from "./format.js";

const HEIGHT = 190;
const INSET = { top: 10, right: 8, bottom: 22, left: 68 };
const SPANS_S = [900, 3_600, 6 * 3_600, 24 * 3_600];
const STEPS_S = [300, 900, 3_600, 6 * 3_600]; // between labelled times, by span
const MINUTE_S = 60;
const HOLE_S = 5 * MINUTE_S; // no line is drawn over a longer silence

/** The shortest span of the chart that holds everything since `first`. */
export function spanFor(first, now) {
  return SPANS_S.find((span) => now - first <= span) ?? SPANS_S.at(-1);
}

/** Candles parted where nothing was recorded for a while. */
export function runs(candles) {
  const parts = [];
  for (const candle of candles) {
    const last = parts.at(-1)?.at(-1);
    if (last && candle.start - last.start <= HOLE_S) parts.at(-1).push(candle);
    else parts.push([candle]);
  }
  return parts;
}

/** Up to `most` round numbers within [low, high]. */
export function ticks(low, high, most = 4) {
  const rough = (high - low) / most;
  if (!(rough > 0)) return [low];
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * magnitude).find((size) => size >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) found.push(value);
  return found;
}

/** Candles as the API writes them to candles of numbers, oldest first, of the day before `now`. */
export function parse(candles, now) {
  return candles
    .map(({ start, open, high, low, close }) => ({
      start: Number(start), open: Number(open), high: Number(high), low: Number(low), close: Number(close),
    }))
    .filter((candle) => Number.isFinite(candle.close) && candle.start > now - SPANS_S.at(-1))
    .sort((one, other) => one.start - other.start);
}

/** Draw parsed candles into `target`; returns the span of the chart in seconds. */
export function draw(target, feed, candles, now) {
  const width = Math.max(240, target.clientWidth);
  const span = spanFor(candles[0].start, now);
  const scale = scales(candles, width, now - span, now);
  const summary = summarise(feed, candles, now);
  const picture = shape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": summary });
  picture.append(...grid(scale, span), ...runs(candles).flatMap((run) => strokes(run, scale)));
  const last = candles.at(-1);
  picture.append(shape("circle", { class: "last", cx: scale.x(middle(last)), cy: scale.y(last.close), r: 3 }));
  const caption = element("p", { class: "chart-caption num" }, rangeText(candles, now));
  target.replaceChildren(picture, caption);
  hover(picture, caption, candles, scale, now);
  return span;
}

const middle = (candle) => candle.start + MINUTE_S / 2;

function scales(candles, width, from, to) {
  let low = Math.min(...candles.map((candle) => candle.low));
  let high = Math.max(...candles.map((candle) => candle.high));
  const room = (high - low) * 0.06 || high * 1e-4;
  low -= room;
  high += room;
  const across = (width - INSET.left - INSET.right) / (to - from);
  const down = (HEIGHT - INSET.top - INSET.bottom) / (high - low);
  return {
    from, to, low, high, width,
    x: (at) => Number((INSET.left + (Math.min(Math.max(at, from), to) - from) * across).toFixed(2)),
    y: (price) => Number((INSET.top + (high - price) * down).toFixed(2)),
    at: (x) => from + (x - INSET.left) / across,
  };
}

function grid(scale, span) {
  const lines = [];
  const right = scale.width - INSET.right;
  const prices = ticks(scale.low, scale.high);
  for (const price of prices) {
    const y = scale.y(price);
    lines.push(shape("line", { class: "grid", x1: INSET.left, x2: right, y1: y, y2: y }));
    lines.push(shape("text", { class: "label", x: INSET.left - 8, y: y + 4, "text-anchor": "end" }, label(price, prices)));
  }
  const step = STEPS_S[SPANS_S.indexOf(span)];
  for (let at = Math.ceil(scale.from / step) * step; at <= scale.to; at += step) {
    const x = scale.x(at);
    if (x < INSET.left + 14 || x > right - 14) continue;
    lines.push(shape("line", { class: "grid", x1: x, x2: x, y1: HEIGHT - INSET.bottom, y2: HEIGHT - INSET.bottom + 4 }));
    lines.push(shape("text", { class: "label", x, y: HEIGHT - 5, "text-anchor": "middle" }, write.clock(at).slice(0, 5)));
  }
  return lines;
}

/** A price on the axis, with the decimals that tell it from its neighbours. */
function label(price, prices) {
  const step = prices.length > 1 ? prices[1] - prices[0] : price / 1_000;
  const decimals = [0, 1].map((more) => more - Math.floor(Math.log10(step) + 1e-9));
  const fits = decimals.find((count) => Math.abs(step * 10 ** count - Math.round(step * 10 ** count)) < 1e-3);
  return write.price(price.toFixed(Math.min(12, Math.max(0, fits ?? decimals[1]))));
}

function strokes(run, scale) {
  const along = (name) => run.map((candle) => `${scale.x(middle(candle))},${scale.y(candle[name])}`);
  return [
    shape("polygon", { class: "range", points: [...along("high"), ...along("low").reverse()].join(" ") }),
    shape("polyline", { class: "line", points: along("close").join(" ") }),
  ];
}

function summarise(feed, candles, now) {
  return `${feed}, from ${write.moment(candles[0].start, now)} to ${write.moment(candles.at(-1).start, now)} UTC: ${rangeText(candles, now)}`;
}

function rangeText(candles, now) {
  const low = Math.min(...candles.map((candle) => candle.low));
  const high = Math.max(...candles.map((candle) => candle.high));
  const { open, start } = candles[0];
  const change = (candles.at(-1).close / open - 1) * 100;
  return `low ${write.measured(low)}, high ${write.measured(high)}, ${write.signed(change, 2)} % since ${write.moment(start, now)}`;
}

/** Under the pointer: a line, and the candle's own numbers in the caption. */
function hover(picture, caption, candles, scale, now) {
  const resting = caption.textContent;
  const cursor = shape("line", { class: "cursor", y1: INSET.top, y2: HEIGHT - INSET.bottom, visibility: "hidden" });
  picture.append(cursor);
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const at = scale.at(((event.clientX - box.left) / box.width) * scale.width);
    const candle = nearest(candles, at);
    cursor.setAttribute("x1", scale.x(middle(candle)));
    cursor.setAttribute("x2", scale.x(middle(candle)));
    cursor.setAttribute("visibility", "visible");
    const [open, high, low, close] = ["open", "high", "low", "close"].map((name) => write.measured(candle[name]));
    say(caption, `${write.moment(candle.start, now)}  open ${open}, high ${high}, low ${low}, close ${close}`);
  });
  picture.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    say(caption, resting);
  });
}

function nearest(candles, at) {
  return candles.reduce((best, candle) => (Math.abs(middle(candle) - at) < Math.abs(middle(best) - at) ? candle : best));
}
