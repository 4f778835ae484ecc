// Where the listener stopped: kept by the server for those who are signed in, so that it is the same on every device,
// and in this browser for the others. And how fast they listen, here.
import { SavePositionDocument } from "../documents";
import { tell } from "../wire/client";
import { session } from "../wire/session";

const KEY = "spaces.positions";
const PLAYER = "spaces.player";
const RATE = "spaces.rate";
const MOST = 50;

type Kept = Record<string, { ms: number; at: number }>;

function all(): Kept {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}") as Kept;
  } catch {
    return {};
  }
}

export function keepPosition(id: string, ms: number): void {
  const at = Date.now();
  const positionMs = Math.round(ms);
  const kept = Object.entries({ ...all(), [id]: { ms: positionMs, at } }).sort(([, a], [, b]) => b.at - a.at);
  localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(kept.slice(0, MOST))));
  if (session.peek() === null) return;
  const listenedAt = new Date(at).toISOString();
  // What is lost here is told again in some seconds.
  tell(SavePositionDocument, { recordingId: id, positionMs, listenedAt }).catch(() => undefined);
}

/** The later of what the server and this browser know; a page that is closed often cannot tell the server. */
export function keptPosition(id: string, told: number | null): number {
  const here = all()[id];
  const isFresh = here !== undefined && Date.now() - here.at < 60_000;
  return isFresh || told === null ? (here?.ms ?? 0) : told;
}

/** What this tab plays after a reload. */
export function keepPlayer(id: string | null): void {
  if (id === null) sessionStorage.removeItem(PLAYER);
  else sessionStorage.setItem(PLAYER, id);
}

export const keptPlayer = (): string | null => sessionStorage.getItem(PLAYER);

export const RATES: readonly number[] = [0.75, 1, 1.25, 1.5, 2];

export function keptRate(): number {
  const kept = Number(localStorage.getItem(RATE));
  return RATES.includes(kept) ? kept : 1;
}

export const keepRate = (rate: number): void => localStorage.setItem(RATE, String(rate));
