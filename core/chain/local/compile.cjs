// Compiles the .sol files beside it with npm's solc and prints contracts.json. Run from a folder that has
// solc 0.8.28:
//   npm install solc@0.8.28 && node /path/to/compile.cjs > /path/to/contracts.json
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");
const solc = require(require.resolve("solc", { paths: [process.cwd()] }));

const names = fs.readdirSync(__dirname).filter((name) => name.endsWith(".sol")).sort();
const sources = names.map((name) => [name, fs.readFileSync(path.join(__dirname, name), "utf8")]);
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
