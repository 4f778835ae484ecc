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
