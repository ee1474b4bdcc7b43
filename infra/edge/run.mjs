// Runs the Worker in workerd through miniflare: `node run.mjs CONFIG.json`.
//
// CONFIG has root, pythonModules, vars, secrets, port, persist (a folder, or null), routes and watch. Prints
// `ready URL`, and ends when its standard input ends, so that no workerd outlives the one who asked for it; with
// `untilSignal` only a signal ends it.
//
// `routes` maps an origin that the Worker asks to one that answers here, for venues and core; null lets the
// origin fail as a tunnel whose other end is away. What is not in it goes out only if `live` is true. A line
// `{"routes": {...}}` on standard input replaces them.
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { Miniflare, Response } from "miniflare";
import { cronIntervalS, workerOptions } from "./worker_options.mjs";

const AWAY = 530; // what Cloudflare answers for an origin that it cannot reach

const config = JSON.parse(await readFile(process.argv[2], "utf8"));
let routes = config.routes ?? {};

async function outbound(request) {
  const url = new URL(request.url);
  if (!(url.origin in routes)) {
    return config.live ? fetch(request) : new Response(`no route to ${url.origin}`, { status: AWAY });
  }
  const base = routes[url.origin];
  if (base === null) return new Response("the origin is away", { status: AWAY });
  try {
    const method = request.method;
    const body = method === "GET" ? undefined : await request.arrayBuffer();
    const headers = new Headers(request.headers);
    for (const name of ["host", "connection", "content-length", "transfer-encoding"]) headers.delete(name);
    const answer = await fetch(base + url.pathname + url.search, { method, body, headers, redirect: "manual" });
    const kept = new Headers(answer.headers);
    kept.delete("content-encoding"); // fetch has decoded the body
    kept.delete("content-length");
    return new Response(answer.body, { status: answer.status, headers: kept });
  } catch (error) {
    console.log(`away ${base}: ${error.cause ?? error}`);
    return new Response("the origin is away", { status: AWAY });
  }
}

const options = await workerOptions({ ...config, extra: ["python_workers_development"] });
const miniflare = new Miniflare({
  host: "127.0.0.1",
  port: config.port ?? 0,
  durableObjectsPersist: config.persist ?? false,
  unsafeTriggerHandlers: true,
  outboundService: outbound,
  ...options,
});
const url = await miniflare.ready;
console.log(`ready ${url.origin}`);

let watching;
if (config.watch) {
  const watch = () => miniflare.dispatchFetch("http://localhost/cdn-cgi/handler/scheduled").catch(console.error);
  watching = setInterval(watch, 1000 * (await cronIntervalS(config.root)));
  await watch();
}

const commands = createInterface({ input: process.stdin });
commands.on("line", (line) => {
  routes = JSON.parse(line).routes;
  console.log("routed");
});
const end = async () => {
  clearInterval(watching);
  await miniflare.dispose();
  process.exit(0);
};
if (!config.untilSignal) commands.on("close", end);
process.on("SIGINT", end);
process.on("SIGTERM", end);
