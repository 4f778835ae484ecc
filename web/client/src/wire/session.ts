// Who is signed in. The token lies in this tab alone, or on the device where the person asked for that
// (docs/decisions/0011-a-token-in-the-tab.md). It is sent as a header, so no other site can send it for us.
import { computed, signal } from "@preact/signals";

export interface Me {
  id: string;
  handle: string;
  name: string;
  avatarUrl: string | null;
}

export interface Session {
  token: string;
  expiresAt: string;
  me: Me;
}

const KEY = "spaces.session";

function read(store: Storage): Session | null {
  try {
    const kept = JSON.parse(store.getItem(KEY) ?? "null") as Session | null;
    return kept !== null && Date.parse(kept.expiresAt) > Date.now() ? kept : null;
  } catch {
    return null;
  }
}

export const session = signal<Session | null>(read(sessionStorage) ?? read(localStorage));
export const me = computed<Me | null>(() => session.value?.me ?? null);

export function signedIn(next: Session, keep: boolean): void {
  forget();
  (keep ? localStorage : sessionStorage).setItem(KEY, JSON.stringify(next));
  session.value = next;
}

export function renamed(person: Me): void {
  const now = session.value;
  if (now === null || JSON.stringify(now.me) === JSON.stringify(person)) return;
  const store = sessionStorage.getItem(KEY) === null ? localStorage : sessionStorage;
  session.value = { ...now, me: person };
  store.setItem(KEY, JSON.stringify(session.value));
}

export function forget(): void {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
  session.value = null;
}

// Signing out in one tab signs out the others that share the token.
addEventListener("storage", (event) => {
  if (event.storageArea !== localStorage || event.key !== KEY || sessionStorage.getItem(KEY) !== null) return;
  session.value = read(localStorage);
});
