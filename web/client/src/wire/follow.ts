// Subscriptions that come back by themselves, and go on after the last event that came: none is lost, none comes twice.
import { signal } from "@preact/signals";
import { onEnd, pipe, subscribe } from "wonka";
import type { TypedDocumentString } from "../documents";
import { client, isConnected, isOnline, problem, Refused } from "./client";

interface Following<Event> {
  /** Called with each event, in order. */
  on: (event: Event) => void;
  /** Where to begin; without it the server begins with what is so now. */
  after?: string | null;
  /** The cursor is too old to go on from: read anew. The stream begins again by itself. */
  onLost?: () => void;
  /** There is nothing to follow any more, or never was. */
  onRefused?: (error: Refused) => void;
}

/** How many are followed: the socket stands for their sake alone, and goes with the last one. */
export const following = signal(0);

const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 15_000;

/** Follow a subscription until the answered function is called. */
export function follow<Answer extends object, Variables extends { after?: string | null | undefined }>(
  document: TypedDocumentString<Answer, Variables>,
  variables: Omit<Variables, "after">,
  { on, after = null, onLost, onRefused }: Following<Answer[keyof Answer]>,
): () => void {
  let cursor = after;
  let failures = 0;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let end: () => void = () => undefined;

  const again = (): void => {
    if (stopped) return;
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures++);
    clearTimeout(timer);
    // Many come back at once when a server does.
    timer = setTimeout(begin, pause * (0.75 + Math.random() / 2));
  };
  const refused = (error: Refused): void => {
    if (error.code === "CURSOR_EXPIRED") {
      cursor = null;
      onLost?.();
    } else if (error.code === "NOT_FOUND" || error.code === "FORBIDDEN" || error.code === "UNAUTHENTICATED") {
      stop();
      onRefused?.(error);
    }
  };
  const begin = (): void => {
    timer = undefined;
    const asked = { ...variables, after: cursor } as unknown as Variables;
    end = pipe(
      client.subscription(document.toString(), asked),
      onEnd(again),
      subscribe(({ data, error }) => {
        if (error !== undefined) {
          const told = problem(error);
          if (told instanceof Refused) refused(told);
          return;
        }
        if (!data) return;
        failures = 0;
        isConnected.value = true;
        const event = Object.values(data as object)[0] as Answer[keyof Answer] & { cursor: string };
        cursor = event.cursor;
        on(event);
      }),
    ).unsubscribe;
  };
  const hurry = (): void => {
    if (stopped || timer === undefined) return;
    failures = 0;
    clearTimeout(timer);
    timer = setTimeout(begin, 50);
  };
  const stop = (): void => {
    if (stopped) return;
    stopped = true;
    following.value--;
    clearTimeout(timer);
    forgetOnline();
    end();
  };
  const forgetOnline = isOnline.subscribe((online) => {
    if (online) hurry();
  });
  following.value++;
  begin();
  return stop;
}
