// Questions and changes over HTTP, subscriptions over one WebSocket.
import { signal } from "@preact/signals";
import { Client, fetchExchange, subscriptionExchange, type CombinedError } from "@urql/core";
import { createClient } from "graphql-ws";
import type { ErrorCode, ProblemFragment, TypedDocumentString } from "../documents";
import { forget, session } from "./session";

/** What the server would not do, in its own words. */
export class Refused extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly path: readonly string[] = [],
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
  }
}

/** The server could not be reached. */
export class Unreachable extends Error {
  constructor() {
    super("The server cannot be reached. Check your connection.");
  }
}

/** Whether the socket stands; before the first try it is taken to. */
export const isConnected = signal(true);
export const isOnline = signal(navigator.onLine);
addEventListener("online", () => (isOnline.value = true));
addEventListener("offline", () => (isOnline.value = false));

const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 4_000;

function authorization(): Record<string, string> {
  const token = session.peek()?.token;
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

// Reconnecting is done by `follow`, which knows the cursor to go on from.
let missingPong: ReturnType<typeof setTimeout> | undefined;
const socket = createClient({
  url: new URL("/graphql", location.href.replace(/^http/, "ws")).href,
  connectionParams: authorization,
  lazy: true,
  retryAttempts: 0,
  keepAlive: PING_EVERY_MS,
  onNonLazyError: () => undefined,
  on: {
    connected: () => (isConnected.value = true),
    closed: () => {
      clearTimeout(missingPong);
      isConnected.value = false;
    },
    // A network that is cut says nothing: a pong that does not come is how one hears of it.
    ping: (received) => {
      if (!received) missingPong = setTimeout(() => socket.terminate(), PONG_WITHIN_MS);
    },
    pong: (received) => {
      if (received) clearTimeout(missingPong);
    },
  },
});

export const client = new Client({
  url: "/graphql",
  preferGetMethod: false,
  requestPolicy: "network-only",
  fetchOptions: () => ({ headers: authorization(), cache: "no-store" }),
  exchanges: [
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query = "", variables }) => ({
        subscribe: (sink) => ({
          unsubscribe: socket.subscribe(
            { query, variables: variables as Record<string, unknown> },
            { ...sink, next: (result) => sink.next(result as Parameters<typeof sink.next>[0]) },
          ),
        }),
      }),
    }),
  ],
});

/** Somebody else asks from now on: what is open was asked for by the one before. */
export function newVisitor(): void {
  socket.terminate();
}

/** What went wrong, as one of our two errors. */
export function problem(error: CombinedError): Error {
  const first = error.graphQLErrors[0];
  if (first === undefined) return new Unreachable();
  const code = (first.extensions["code"] as ErrorCode | undefined) ?? "UNAVAILABLE";
  const wait = first.extensions["retryAfterMs"];
  if (code === "UNAUTHENTICATED" && session.peek() !== null) forget();
  return new Refused(code, first.message, [], typeof wait === "number" ? wait : null);
}

/** The answer to a query. Throws Refused or Unreachable. */
export async function ask<Answer, Variables extends object>(
  document: TypedDocumentString<Answer, Variables>,
  variables: Variables,
): Promise<Answer> {
  const { data, error } = await client.query(document.toString(), variables).toPromise();
  if (error !== undefined) throw problem(error);
  return data as Answer;
}

type Payload = { errors: readonly ProblemFragment[] };

const AGAIN_AFTER_MS = [400, 1_500];

/** The payload of a mutation. The same key goes with every try, so that what was done is not done twice. */
export async function tell<Answer extends { [Field in keyof Answer]: Payload }, Input>(
  document: TypedDocumentString<Answer, { input: Input }>,
  input: Input,
): Promise<Answer[keyof Answer]> {
  const fetchOptions = {
    headers: { ...authorization(), "Idempotency-Key": newKey() },
    cache: "no-store" as const,
  };
  for (let failed = 0; ; failed++) {
    const { data, error } = await client.mutation(document.toString(), { input }, { fetchOptions }).toPromise();
    if (error === undefined) return checked(data as Answer);
    const pause = AGAIN_AFTER_MS[failed];
    if (error.networkError === undefined || pause === undefined) throw problem(error);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

function checked<Answer extends { [Field in keyof Answer]: Payload }>(data: Answer): Answer[keyof Answer] {
  const payload = Object.values(data)[0] as Answer[keyof Answer];
  const first = payload.errors[0];
  if (first === undefined) return payload;
  throw new Refused(first.code, first.message, first.path ?? [], first.retryAfterMs ?? null);
}

// randomUUID is there on secure addresses alone; a server in one's own network often has none.
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
