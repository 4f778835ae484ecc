// What a page shows while there is nothing else to show.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { isConnected, isOnline } from "../wire/client";
import { Icon, type IconName } from "./icons";

export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Tried again by itself when the network is back. */
export function Failed({ error, again }: { error: unknown; again: () => void }) {
  const isBack = isOnline.value && isConnected.value;
  const was = useRef(isBack);
  useEffect(() => {
    if (isBack && !was.current) again();
    was.current = isBack;
  }, [isBack]);
  return (
    <div class="empty" role="alert">
      <Icon name="cloud" />
      <h2>{error instanceof Error ? error.message : "Something went wrong."}</h2>
      <button class="button" onClick={again}>
        Try again
      </button>
    </div>
  );
}

/** As large as what comes, so that nothing moves when it comes. */
export function Skeletons({ count = 3 }: { count?: number }) {
  return (
    <div class="skeletons" role="status">
      <span class="unseen">Loading</span>
      {Array.from({ length: count }, (_, index) => (
        <div class="skeleton" key={index} aria-hidden="true">
          <span />
          <b />
        </div>
      ))}
    </div>
  );
}
