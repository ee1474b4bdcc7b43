// What is said of rounds, scores and their absence. Pure functions of the API's answers; times are Unix seconds.

import * as write from "../format.js";

export const STEPS = ["frozen", "committed", "revealed", "signed", "finalized"];
const OPEN_ROUNDS = 3; // a round's last window closes at the end of the second voting epoch after its own
const LATE_ROUNDS = 3;
const ROUND_S = 90;
const MISSED = { frozen: "not committed", committed: "not revealed", revealed: "not signed", signed: "not finalized" };

/** How a round stands: {kind: "done"|"open"|"missed", word}. `newest` is the newest round's number. */
export function verdict(round, newest) {
  if (round.finalized) return round.revealed ? { kind: "done", word: "finalized" } : { kind: "missed", word: "finalized without us" };
  if (newest - round.voting_round_id < OPEN_ROUNDS) return { kind: "open", word: round.state };
  return { kind: "missed", word: MISSED[round.state] ?? round.state };
}

/** The five steps of a round: {name, done, at}. A round that is finalized is so whoever relayed it. */
export function steps(round) {
  return STEPS.map((name) => {
    const at = round.steps?.[name] ?? null;
    return { name, at, done: at !== null || (name === "finalized" && round.finalized) };
  });
}

/** A share as a percentage, to a tenth; 1 and 0 without it. */
export function percent(share) {
  if (share === null || share === undefined) return write.NOTHING;
  return share === 1 || share === 0 ? `${share * 100} %` : `${(share * 100).toFixed(1)} %`;
}

/** A chain's whole number with its decimals: (6400012, 2) is "64,000.12"; negative decimals are zeros. */
export function scaled(value, decimals) {
  if (value === null || value === undefined) return write.NOTHING;
  if (decimals <= 0) return write.price(String(value) + (value ? "0".repeat(-decimals) : ""));
  const digits = String(Math.abs(value)).padStart(decimals + 1, "0");
  return (value < 0 ? "−" : "") + write.price(`${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`);
}

/** A distance in ppm with its sign, rounded to what matters. */
export function ppm(distance) {
  if (distance === null || distance === undefined) return write.NOTHING;
  if (Math.abs(distance) < 100) return write.signed(distance, 1);
  return (distance < 0 ? "−" : "+") + write.price(Math.abs(distance).toFixed(0));
}

/** Feeds without a value of ours first, then the farthest from the median. */
export function worstFirst(feeds) {
  const weight = (feed) => (feed.distance_ppm === null ? Infinity : Math.abs(feed.distance_ppm));
  return [...feeds].sort((one, other) => (weight(one) === weight(other) ? 0 : weight(other) - weight(one)));
}

/** Why no round is shown, from the refusal's text or from an empty list: {title, text, next}. */
export function absence(refusal) {
  if (refusal) {
    return {
      title: "No provider runs here",
      text: `This core makes prices and takes part in no voting rounds: ${refusal}.`,
      next: "docs/provider.md tells how to become a provider. To see rounds pass on this machine: chrono up --market simulated --chain local",
    };
  }
  return {
    title: "No round yet",
    text: "A provider is configured, and it has not frozen a round so far.",
    next: "chrono provider run takes part in rounds; chrono provider doctor says what is missing.",
  };
}

/** Whether rounds stopped coming: a sentence, or nothing. `at` is the server's time. */
export function silence(rounds, at) {
  const frozen = rounds.map((round) => round.steps?.frozen ?? null).filter((time) => time !== null);
  if (!frozen.length) return "";
  const [newest, oldest] = [Math.max(...frozen), Math.min(...frozen)];
  const numbers = rounds[0].voting_round_id - rounds[rounds.length - 1].voting_round_id;
  const epoch = numbers > 0 && newest > oldest ? (newest - oldest) / numbers : ROUND_S;
  if (at - newest < LATE_ROUNDS * epoch) return "";
  return `The newest round was frozen ${write.duration(at - newest)} ago. Is chrono provider run up? chrono provider doctor says what is missing.`;
}
