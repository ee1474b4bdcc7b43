// How numbers and times are written. Pure functions of their arguments; times are Unix seconds.

export const NOTHING = "–";
const DAY_S = 86_400;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A price as the API wrote it, its whole part grouped: "67123.10" is "67,123.10". */
export function price(text) {
  if (text === null || text === undefined) return NOTHING;
  const [whole, fraction] = String(text).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** A number of the page's own making, to as many significant digits as prices near it need. */
export function measured(value, digits = 6) {
  if (!Number.isFinite(value)) return NOTHING;
  const decimals = value === 0 ? 2 : digits - 1 - Math.floor(Math.log10(Math.abs(value)));
  return price(value.toFixed(Math.min(Math.max(decimals, 2), 12)));
}

/** Half of a band's width against its middle, in basis points; NaN without a band. */
export function bandBps(low, high) {
  if (low === null || high === null || low === undefined || high === undefined) return NaN;
  const [bottom, top] = [Number(low), Number(high)];
  return ((top - bottom) / (top + bottom)) * 10_000;
}

export function bps(value) {
  if (!Number.isFinite(value)) return NOTHING;
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : price(value.toFixed(0));
}

/** A number with its sign always written, and a true minus. */
export function signed(value, decimals) {
  if (!Number.isFinite(value)) return NOTHING;
  const text = Math.abs(value).toFixed(decimals);
  if (Number(text) === 0) return text;
  return (value < 0 ? "−" : "+") + text;
}

/** A duration in one or two units: "0.4 s", "48 s", "3 m 20 s", "2 h 5 m", "3 d 4 h". */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return NOTHING;
  const whole = Math.max(0, Math.floor(seconds));
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${whole % 60} s`;
  if (whole < DAY_S) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} m`;
  return `${Math.floor(whole / DAY_S)} d ${Math.floor((whole % DAY_S) / 3600)} h`;
}

/** The first unit of a duration only: "3 m". For narrow columns. */
export function coarse(seconds) {
  return duration(seconds).replace(/^(\d+ [mhd]) .*$/, "$1");
}

/** A time of day, UTC: "18:42:07". */
export function clock(at) {
  return iso(at).slice(11, 19);
}

/** A time of day to the minute, with its date where that is not the day of `now`: "21 Nov 18:42". */
export function moment(at, now) {
  const text = iso(at);
  const time = text.slice(11, 16);
  if (text.slice(0, 10) === iso(now).slice(0, 10)) return time;
  return `${Number(text.slice(8, 10))} ${MONTHS[Number(text.slice(5, 7)) - 1]} ${time}`;
}

/** A whole time, for a `datetime` attribute or a title. */
export function iso(at) {
  return Number.isFinite(at) ? new Date(at * 1000).toISOString() : "";
}

const NAMES = { okx: "OKX", gecko: "GeckoTerminal", dexscreener: "DexScreener" };

/** A venue's or a network's code as a name: "Kraken", "OKX". */
export function name(code) {
  return NAMES[code] ?? String(code).charAt(0).toUpperCase() + String(code).slice(1);
}

/** A code such as "dead_venue" as words. */
export function words(code) {
  return String(code).toLowerCase().replaceAll("_", " ");
}

export function count(number, one, many = `${one}s`) {
  return `${price(number)} ${number === 1 ? one : many}`;
}
