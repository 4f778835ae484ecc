import { useCallback, useEffect, useState } from "preact/hooks";

export interface Loaded<Value> {
  value: Value | null;
  error: unknown;
  reload: () => void;
  set: (change: (value: Value) => Value) => void;
}

/** What a page needs, asked for when it is shown, and anew when `keys` change. */
export function useLoaded<Value>(load: () => Promise<Value>, keys: readonly unknown[]): Loaded<Value> {
  const [value, setValue] = useState<Value | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let wanted = true;
    setError(null);
    load().then(
      (found) => wanted && setValue(() => found),
      (failed: unknown) => wanted && setError(failed),
    );
    return () => {
      wanted = false;
    };
  }, [...keys, round]);
  const reload = useCallback(() => setRound((count) => count + 1), []);
  const set = useCallback((change: (value: Value) => Value) => setValue((old) => (old === null ? old : change(old))), []);
  return { value, error, reload, set };
}

interface Connection<Node> {
  edges: readonly { node: Node | null }[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

interface Pages<Node, Answer> {
  /** The first answer, with what else it holds than the list. */
  answer: Answer;
  nodes: readonly Node[];
  after: string | null;
}

export interface Paged<Node, Answer> extends Loaded<Pages<Node, Answer>> {
  /** For `More`, at the end of the list. */
  more: { isThere: boolean; isFetching: boolean; hasFailed: boolean; next: () => void };
}

/** A list that goes on page by page, as long as somebody looks. `list` finds it in an answer. */
export function usePaged<Node extends { id: string }, Answer>(
  read: (after: string | null) => Promise<Answer>,
  list: (answer: Answer) => Connection<Node> | null | undefined,
  keys: readonly unknown[],
): Paged<Node, Answer> {
  const [isFetching, setFetching] = useState(false);
  const [hasFailed, setFailed] = useState(false);
  const open = (answer: Answer): Pages<Node, Answer> => {
    const found = list(answer);
    const after = found?.pageInfo.hasNextPage ? found.pageInfo.endCursor : null;
    return { answer, nodes: found?.edges.flatMap(({ node }) => node ?? []) ?? [], after };
  };
  const loaded = useLoaded(async () => open(await read(null)), keys);
  const after = loaded.value?.after ?? null;
  const next = (): void => {
    if (after === null || isFetching) return;
    setFetching(true);
    setFailed(false);
    read(after)
      .then((answer) => {
        const page = open(answer);
        loaded.set((now) => {
          // It was read anew meanwhile.
          if (now.after !== after) return now;
          const known = new Set(now.nodes.map(({ id }) => id));
          return { ...now, nodes: [...now.nodes, ...page.nodes.filter(({ id }) => !known.has(id))], after: page.after };
        });
      })
      .catch(() => setFailed(true))
      .finally(() => setFetching(false));
  };
  return { ...loaded, more: { isThere: after !== null, isFetching, hasFailed, next } };
}
