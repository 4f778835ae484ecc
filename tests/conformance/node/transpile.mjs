// Takes the types out of a file, unchecked: node transpile.mjs FROM.ts TO.js
import { readFileSync, writeFileSync } from "node:fs";
import typescript from "typescript";

const [from, to] = process.argv.slice(2);
const compilerOptions = { target: "es2022", module: "esnext" };
writeFileSync(to, typescript.transpileModule(readFileSync(from, "utf8"), { compilerOptions }).outputText);
