// Packs npm's pyodide into the bundle that workerd loads instead of downloading Cloudflare's own build.
//
// One unpacked Cap'n Proto message of workerd's type `Bundle { modules :List(Module) }`, in one segment:
//
//     root -> Bundle (1 pointer) -> list of Module (2 data words, 3 pointers each)
//     Module   bytes 0-1 the kind, bytes 2-3 the union's tag; pointers: name, content, declaration
//
// The glue code expects a browser. What it may have of one, workerd's own wrappers give; each replacement is
// counted, so that another release of pyodide fails here and not later.
import { readFile, writeFile, mkdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";

const INTERNAL = 2;
const SRC = 0, WASM = 1, DATA = 2;
const WORD = 8;
const MODULE_DATA_WORDS = 1, MODULE_POINTERS = 3;
const PRELUDE = `
import { addEventListener, getRandomValues, location, monotonicDateNow, newWasmModule, wasmInstantiate }
  from "pyodide-internal:builtin_wrappers";
`;
const REPLACEMENTS = [
  ["async function _createPyodideModule", "export async function _createPyodideModule"],
  ["new WebAssembly.Module(", "new newWasmModule("],
  ["WebAssembly.instantiate(", "wasmInstantiate("],
  ["Date.now()", "monotonicDateNow()"],
  ["crypto.getRandomValues(", "getRandomValues(Module,"],
  ["getMemory(metadata.", "Module.getMemoryPatched(Module,libName,metadata."],
];

/** The glue as an ES module of workerd. */
function glue(source) {
  let text = source;
  for (const [from, to] of REPLACEMENTS) {
    if (!text.includes(from)) throw new Error(`this pyodide has no "${from}": its pin and this file must change together`);
    text = text.replaceAll(from, to);
  }
  return Buffer.from(PRELUDE + text);
}

/** The message's bytes: `modules` is a list of [name, tag, content]. */
function encode(modules) {
  const stride = MODULE_DATA_WORDS + MODULE_POINTERS;
  const listAt = 2; // after the root pointer and the Bundle's pointer
  const tableWords = listAt + 1 + modules.length * stride;
  const texts = modules.map(([name]) => Buffer.from(name + "\0"));
  let words = tableWords;
  const places = modules.map(([, , content], i) => {
    const nameAt = words;
    words += Math.ceil(texts[i].length / WORD);
    const contentAt = words;
    words += Math.ceil(content.length / WORD);
    return { nameAt, contentAt };
  });
  const out = Buffer.alloc(WORD + words * WORD);
  out.writeUInt32LE(words, 4); // one segment
  const segment = out.subarray(WORD);
  structPointer(segment, 0, 1, 0, 1);
  listPointer(segment, 1, listAt, 7, modules.length * stride);
  segment.writeUInt32LE(modules.length << 2, listAt * WORD);
  segment.writeUInt16LE(MODULE_DATA_WORDS, listAt * WORD + 4);
  segment.writeUInt16LE(MODULE_POINTERS, listAt * WORD + 6);
  modules.forEach(([, tag, content], i) => {
    const at = listAt + 1 + i * stride;
    segment.writeUInt16LE(INTERNAL, at * WORD);
    segment.writeUInt16LE(tag, at * WORD + 2);
    listPointer(segment, at + MODULE_DATA_WORDS, places[i].nameAt, 2, texts[i].length);
    listPointer(segment, at + MODULE_DATA_WORDS + 1, places[i].contentAt, 2, content.length);
    texts[i].copy(segment, places[i].nameAt * WORD);
    content.copy(segment, places[i].contentAt * WORD);
  });
  return out;
}

function structPointer(segment, at, target, dataWords, pointers) {
  segment.writeInt32LE((target - at - 1) << 2, at * WORD);
  segment.writeUInt16LE(dataWords, at * WORD + 4);
  segment.writeUInt16LE(pointers, at * WORD + 6);
}

function listPointer(segment, at, target, elementSize, count) {
  segment.writeInt32LE(((target - at - 1) << 2) | 1, at * WORD);
  segment.writeUInt32LE(((count << 3) | elementSize) >>> 0, at * WORD + 4);
}

/** Write the bundle to `path` from the folder of npm's pyodide; another process never sees half of it. */
export async function packBundle(pyodideDir, path) {
  const read = (name) => readFile(join(pyodideDir, name));
  const bundle = encode([
    ["pyodideRuntime-internal:pyodide.asm", SRC, glue(await readFile(join(pyodideDir, "pyodide.asm.mjs"), "utf8"))],
    ["pyodideRuntime-internal:pyodide.asm.wasm", WASM, await read("pyodide.asm.wasm")],
    ["pyodideRuntime-internal:python_stdlib.zip", DATA, await read("python_stdlib.zip")],
  ]);
  await mkdir(dirname(path), { recursive: true });
  const beside = `${path}.${process.pid}`;
  await writeFile(beside, bundle);
  await rename(beside, path);
}

if (process.argv[1] === import.meta.filename) await packBundle(process.argv[2], process.argv[3]);
