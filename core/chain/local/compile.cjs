// Compiles the .sol files beside it, or the one that is named, with npm's solc and prints what contracts.json
// holds. Run from a folder that has solc 0.8.28:
//   npm install solc@0.8.28 && node /path/to/compile.cjs > /path/to/contracts.json
//   node /path/to/compile.cjs /path/to/ChronoPrices.sol > /path/to/ChronoPrices.json
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");
const solc = require(require.resolve("solc", { paths: [process.cwd()] }));

const beside = fs.readdirSync(__dirname).filter((name) => name.endsWith(".sol")).sort();
const files = process.argv[2] ? [process.argv[2]] : beside.map((name) => path.join(__dirname, name));
const sources = files.map((file) => [path.basename(file), fs.readFileSync(file, "utf8")]);
const compiled = JSON.parse(solc.compile(JSON.stringify({
  language: "Solidity",
  sources: Object.fromEntries(sources.map(([name, content]) => [name, { content }])),
  settings: {
    evmVersion: "paris",
    optimizer: { enabled: true, runs: 200 },
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
  },
})));
const errors = (compiled.errors || []).filter((each) => each.severity === "error");
if (errors.length) {
  console.error(errors.map((each) => each.formattedMessage).join("\n"));
  process.exit(1);
}
const contracts = {};
for (const [name, made] of Object.values(compiled.contracts).flatMap(Object.entries)) {
  if (made.evm.bytecode.object) contracts[name] = { abi: made.abi, bytecode: made.evm.bytecode.object };
}
const sha256 = crypto.createHash("sha256").update(sources.map(([, content]) => content).join("")).digest("hex");
console.log(JSON.stringify({ solc: solc.version(), source_sha256: sha256, contracts }));
