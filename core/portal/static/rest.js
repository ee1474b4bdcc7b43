// Reads JSON from the API. Every request ends: by its answer, by its limit, or by the caller's signal.

const LIMIT_MS = 8_000;

/** Why an answer is missing, in words for the page; `status` is that of a refusal, else 0. */
export class Unanswered extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** The JSON at a relative URL with these query parameters; throws Unanswered, or AbortError of `signal`. */
export async function read(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams(parameters).toString();
  const limit = AbortSignal.timeout(LIMIT_MS);
  const options = { signal: signal ? AbortSignal.any([signal, limit]) : limit, cache: "no-store" };
  try {
    const answer = await fetch(query ? `${path}?${query}` : path, options);
    const body = await answer.json();
    if (answer.ok) return body;
    throw new Unanswered(body.detail ?? body.title ?? `the core answered ${answer.status}`, answer.status);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw error instanceof Unanswered ? error : new Unanswered(explain(error));
  }
}

function explain(error) {
  if (error.name === "TimeoutError") return `no answer within ${LIMIT_MS / 1000} s`;
  if (error instanceof SyntaxError) return "the answer was not JSON";
  return "the core cannot be reached";
}

/**
 * Calls `task(signal)` now and then every `everyMs` after it has ended, until the returned function is
 * called. At most one call is under way. A hidden page waits.
 */
export function repeat(task, everyMs) {
  const stop = new AbortController();
  let timer = 0;
  const turn = async () => {
    if (!document.hidden) await task(stop.signal);
    if (!stop.signal.aborted) timer = setTimeout(turn, everyMs);
  };
  turn();
  return () => {
    stop.abort();
    clearTimeout(timer);
  };
}
