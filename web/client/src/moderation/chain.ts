// The chain of the audit log, checked here: whoever wants to know need not take the server's word for it.
// As services/audit.py has it: SHA-256 over the hash before, and the entry's facts with its number as JSON.
import { AuditDocument, type EntryFragment } from "../documents";
import { ask } from "../wire/client";

const FIRST = "0".repeat(64);
const KINDS: Record<string, string> = { Recording: "recording", Space: "space", User: "user", Rollout: "rollout" };
const MOST_PAGES = 200;

export interface Verdict {
  sealed: number;
  unsealed: number;
  /** The first entry that does not fit. */
  misfit: EntryFragment | null;
}

function unpack(id: string): [string, string] {
  const [type = "", key = ""] = atob(id.replaceAll("-", "+").replaceAll("_", "/")).split(":");
  return [type, key];
}

async function digest(entry: EntryFragment, before: string, number: number): Promise<string> {
  const [type, subject] = unpack(entry.subjectId);
  const facts = [
    number,
    Number(unpack(entry.id)[1]),
    Date.parse(entry.at),
    entry.actorId === null ? null : unpack(entry.actorId)[1],
    entry.action,
    KINDS[type],
    subject,
    entry.outcome,
  ];
  const bytes = new TextEncoder().encode(before + JSON.stringify(facts));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Read all of the log and follow its hashes from the first entry on. */
export async function verify(progress: (entries: number) => void): Promise<Verdict> {
  const entries: EntryFragment[] = [];
  let after: string | null = null;
  for (let page = 0; page < MOST_PAGES; page++) {
    const { moderation }: Awaited<ReturnType<typeof read>> = await read(after);
    if (moderation === null) throw new Error("Only moderators read the audit log.");
    entries.push(...moderation.auditLog.edges.flatMap(({ node }) => node ?? []));
    progress(entries.length);
    if (!moderation.auditLog.pageInfo.hasNextPage) break;
    if (page === MOST_PAGES - 1) throw new Error("The log is too long for a browser: run `spaces audit verify` on the server.");
    after = moderation.auditLog.pageInfo.endCursor;
  }
  entries.sort((a, b) => Number(unpack(a.id)[1]) - Number(unpack(b.id)[1]));
  const sealed = entries.filter(({ hash }) => hash !== null);
  let before = FIRST;
  for (const [index, entry] of sealed.entries()) {
    const expected = await digest(entry, before, index + 1);
    if (entry.hash !== expected) return { sealed: index, unsealed: entries.length - sealed.length, misfit: entry };
    before = expected;
  }
  return { sealed: sealed.length, unsealed: entries.length - sealed.length, misfit: null };
}

const read = (after: string | null) => ask(AuditDocument, { after });
