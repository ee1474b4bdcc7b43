// What miniflare is told of the Worker: read from wrangler.toml, so that tests run what is deployed.
//
// A key of wrangler.toml that is not known here is an error: it would be deployed and never tested.
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { parse } from "smol-toml";

const KNOWN = new Set([
  "name", "main", "compatibility_date", "compatibility_flags", "vars", "triggers", "migrations", "queues",
  "durable_objects", "observability", "limits", "workers_dev",
]);

/** The options of one Worker; `extra` are flags that only this machine needs. */
export async function workerOptions({ root, pythonModules, vars, secrets, extra = [] }) {
  const config = parse(await readFile(join(root, "wrangler.toml"), "utf8"));
  for (const key of Object.keys(config)) {
    if (!KNOWN.has(key)) throw new Error(`wrangler.toml has "${key}", which worker_options.mjs does not know`);
  }
  const given = config.vars ?? {};
  const strangers = Object.keys(vars ?? {}).filter((name) => !(name in given));
  if (strangers.length) throw new Error(`not in wrangler.toml's [vars]: ${strangers}`);
  return {
    name: config.name,
    modules: await modulesOf(root, resolve(root, config.main), pythonModules),
    modulesRoot: root,
    rootPath: root,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: [...config.compatibility_flags, ...extra],
    bindings: { ...given, ...vars, ...secrets },
    durableObjects: durableObjectsOf(config),
    queueProducers: Object.fromEntries(
      (config.queues?.producers ?? []).map(({ binding, queue }) => [binding, { queueName: queue }]),
    ),
    queueConsumers: Object.fromEntries(
      (config.queues?.consumers ?? []).map((consumer) => [consumer.queue, {
        maxBatchSize: consumer.max_batch_size,
        maxBatchTimeout: consumer.max_batch_timeout,
        maxRetries: consumer.max_retries,
        retryDelay: consumer.retry_delay,
        deadLetterQueue: consumer.dead_letter_queue,
      }]),
    ),
  };
}

/** How often wrangler.toml's crons fire, in seconds; only "every minute" is known, all that is used. */
export async function cronIntervalS(root) {
  const crons = parse(await readFile(join(root, "wrangler.toml"), "utf8")).triggers?.crons ?? [];
  if (crons.some((cron) => cron !== "* * * * *")) throw new Error(`a cron that is not "* * * * *": ${crons}`);
  return crons.length ? 60 : null;
}

function durableObjectsOf(config) {
  const migrations = config.migrations ?? [];
  const inSqlite = new Set(migrations.flatMap((migration) => migration.new_sqlite_classes ?? []));
  const made = new Set([...inSqlite, ...migrations.flatMap((migration) => migration.new_classes ?? [])]);
  return Object.fromEntries(
    (config.durable_objects?.bindings ?? []).map(({ name, class_name: className }) => {
      if (!made.has(className)) throw new Error(`no migration of wrangler.toml makes the class ${className}`);
      return [name, { className, useSQLite: inSqlite.has(className) }];
    }),
  );
}

/** The entry first, then what wrangler bundles: Python files of its folder, and the vendored modules. */
async function modulesOf(root, main, pythonModules) {
  const folder = dirname(main);
  const place = (name) => join(root, name);
  const ours = (await filesIn(folder)).filter((file) => (
    file.endsWith(".py") && file !== main && !file.startsWith(join(folder, "chrono", "client") + sep) // as wrangler.py
  ));
  const vendored = await filesIn(pythonModules);
  const at = async (file, name) => ({
    type: name.endsWith(".py") ? "PythonModule" : "Data",
    path: place(name),
    contents: await readFile(file),
  });
  return Promise.all([
    at(main, relative(folder, main)),
    ...ours.map((file) => at(file, relative(folder, file))),
    ...vendored.map((file) => at(file, join("python_modules", relative(pythonModules, file)))),
  ]);
}

async function filesIn(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((file) => !file.includes(`${sep}__pycache__${sep}`) && !file.includes(".dist-info"))
    .sort();
}
