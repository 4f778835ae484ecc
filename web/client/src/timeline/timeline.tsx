// Cards, newest activity first. They change where they stand; what is new waits behind a button, so that nothing jumps.
import { useEffect } from "preact/hooks";
import { TimelineLiveDocument } from "../documents";
import { More } from "../parts/more";
import { Empty, Failed, Skeletons } from "../parts/states";
import { follow } from "../wire/follow";
import { me } from "../wire/session";
import { Card } from "./card";
import { cards, count, error, fresh, isFetching, load, loadMore, more, showFresh, take } from "./cards";

const COUNT_EVERY_MS = 10_000;

let owner: string | null = null;

/** Follow the timeline for as long as it is shown. */
function useTimeline(): void {
  useEffect(() => {
    const viewer = me.value?.id ?? null;
    if (owner !== viewer) cards.value = null;
    owner = viewer;
    // Followed first and read then: what happens in between comes by both, and is one card.
    const stop = follow(TimelineLiveDocument, {}, { on: take, onLost: () => void load() });
    void load();
    const timer = setInterval(() => void count().catch(() => undefined), COUNT_EVERY_MS);
    return () => {
      stop();
      clearInterval(timer);
    };
  }, [me.value?.id]);
}

export function Timeline() {
  useTimeline();
  const shown = cards.value;
  const waiting = fresh.value.length;
  return (
    <>
      <h1 class="unseen">Timeline</h1>
      <div class="pill-place" aria-live="polite">
        {waiting > 0 && (
          <button class="pill" onClick={showFresh}>
            ↑ {waiting} new {waiting === 1 ? "item" : "items"}
          </button>
        )}
      </div>
      {shown === null ? (
        error.value === null ? (
          <Skeletons />
        ) : (
          <Failed error={error.value} again={() => void load()} />
        )
      ) : shown.length === 0 ? (
        <Nothing />
      ) : (
        <div class="cards">
          {shown.map((card) => (
            <Card key={card.id} card={card} />
          ))}
        </div>
      )}
      <More
        isThere={shown !== null && more.value !== null}
        isFetching={isFetching.value}
        hasFailed={error.value !== null}
        next={() => void loadMore()}
      />
    </>
  );
}

function Nothing() {
  return me.value === null ? (
    <Empty icon="wave" title="It is quiet here">
      <p>Nobody is live, and nothing was recorded yet. Sign in and open the first Space.</p>
      <a class="button primary" href="/sign-in">
        Sign in
      </a>
    </Empty>
  ) : (
    <Empty icon="wave" title="Your timeline is empty">
      <p>What you and the people you follow do appears here.</p>
      <p class="row">
        <a class="button primary" href="/new">
          Start a Space
        </a>
        <a class="button" href="/people">
          Find people
        </a>
      </p>
    </Empty>
  );
}
