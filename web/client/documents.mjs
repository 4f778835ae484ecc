// Types and texts of our operations, from the schema that the server serves: an operation that asks for what the schema
// lacks fails here. Writes src/documents.ts, which git ignores.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { codegen } from "@graphql-codegen/core";
import * as typedDocumentNode from "@graphql-codegen/typed-document-node";
import * as operations from "@graphql-codegen/typescript-operations";
import { buildSchema, parse, validate } from "graphql";

const folder = new URL("src/documents/", import.meta.url);
const schema = parse(readFileSync(new URL("../../schema/schema.graphql", import.meta.url), "utf8"));
const documents = readdirSync(folder)
  .sort()
  .map((name) => ({ location: name, document: parse(readFileSync(new URL(name, folder), "utf8")) }));

const whole = { kind: "Document", definitions: documents.flatMap(({ document }) => document.definitions) };
const problems = validate(buildSchema(readFileSync(new URL("../../schema/schema.graphql", import.meta.url), "utf8")), whole);
for (const problem of problems) console.error(problem.message);
if (problems.length > 0) process.exit(1);

const scalars = { ByteCount: "number", Date: "string", DateTime: "string" };
const config = {
  scalars,
  useTypeImports: true,
  enumsAsTypes: true,
  enumType: "string-literal",
  skipTypename: true,
  documentMode: "string",
  dedupeFragments: true,
  strictScalars: true,
};
const text = await codegen({
  filename: "documents.ts",
  schema,
  documents,
  config,
  plugins: [{ operations: {} }, { typedDocumentNode: {} }],
  pluginMap: { operations, typedDocumentNode },
});
writeFileSync(new URL("src/documents.ts", import.meta.url), text);
