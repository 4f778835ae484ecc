import { useEffect, useRef } from "preact/hooks";

const AHEAD = "800px";

interface Shown {
  isThere: boolean;
  isFetching: boolean;
  hasFailed: boolean;
  next: () => void;
}

/** At the end of a list: asks for the next page before one gets there. */
export function More({ isThere, isFetching, hasFailed, next }: Shown) {
  const end = useRef<HTMLButtonElement>(null);
  const latest = useRef(next);
  latest.current = next;
  useEffect(() => {
    // A page that is short leaves the end in sight: so it is looked at anew after each.
    if (!isThere || isFetching || hasFailed) return;
    const seen = new IntersectionObserver(([entry]) => entry?.isIntersecting && latest.current(), { rootMargin: AHEAD });
    if (end.current) seen.observe(end.current);
    return () => seen.disconnect();
  }, [isThere, isFetching, hasFailed]);
  if (!isThere) return null;
  return (
    <button class="button more" ref={end} onClick={next} disabled={isFetching}>
      {isFetching ? "Loading …" : hasFailed ? "Could not load more. Try again" : "Show more"}
    </button>
  );
}
