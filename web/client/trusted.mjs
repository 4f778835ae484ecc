// The operations of this client as the server may trust them: SHA-256 of the text as it is sent, and the text.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequest, stringifyDocument } from "@urql/core";

const source = readFileSync(new URL("src/documents.ts", import.meta.url), "utf8");
const texts = [...source.matchAll(/new TypedDocumentString\(`([^`]*)`/g)].map(([, text]) => text);
const sent = texts.map((text) => stringifyDocument(createRequest(text, {}).query));
const operations = sent.filter((text) => /^\s*(query|mutation|subscription)\b/m.test(text));
const trusted = Object.fromEntries(
  operations.map((text) => [createHash("sha256").update(text).digest("hex"), text]).sort(([a], [b]) => (a < b ? -1 : 1)),
);
writeFileSync(new URL("../../api/static/client/documents.json", import.meta.url), JSON.stringify(trusted, null, 1) + "\n");
