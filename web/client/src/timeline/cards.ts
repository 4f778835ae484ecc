// The cards of the timeline. They change where they stand, and new ones wait until they are asked for.
import { signal } from "@preact/signals";
import { LiveCountsDocument, TimelineDocument, type CardFragment } from "../documents";
import { ask } from "../wire/client";
import { me } from "../wire/session";

const PAGE = 20;

export const cards = signal<CardFragment[] | null>(null);
export const fresh = signal<CardFragment[]>([]);
export const error = signal<unknown>(null);
export const more = signal<string | null>(null);
export const isFetching = signal(false);

let round = 0;

export async function load(): Promise<void> {
  const mine = ++round;
  error.value = null;
  try {
    const { timeline } = await ask(TimelineDocument, { first: PAGE, after: null });
    if (mine !== round) return;
    cards.value = timeline.edges.flatMap(({ node }) => node ?? []);
    fresh.value = [];
    more.value = timeline.pageInfo.hasNextPage ? timeline.pageInfo.endCursor : null;
  } catch (failed) {
    if (mine === round) error.value = failed;
  }
}

export async function loadMore(): Promise<void> {
  const after = more.value;
  if (after === null || isFetching.value) return;
  isFetching.value = true;
  error.value = null;
  const mine = round;
  try {
    const { timeline } = await ask(TimelineDocument, { first: PAGE, after });
    if (mine !== round) return;
    const known = new Set(cards.value?.map(({ id }) => id));
    const page = timeline.edges.flatMap(({ node }) => node ?? []);
    cards.value = [...(cards.value ?? []), ...page.filter(({ id }) => !known.has(id))];
    more.value = timeline.pageInfo.hasNextPage ? timeline.pageInfo.endCursor : null;
  } catch (failed) {
    if (mine === round) error.value = failed;
  } finally {
    isFetching.value = false;
  }
}

/** A card of one's own is shown at once; there is nothing to be surprised by. */
export function addCard(card: CardFragment): void {
  if (cards.value === null) return;
  fresh.value = fresh.value.filter(({ id }) => id !== card.id);
  cards.value = [card, ...cards.value.filter(({ id }) => id !== card.id)];
}

export function removeCard(itemId: string): void {
  cards.value = cards.value?.filter(({ id }) => id !== itemId) ?? null;
  fresh.value = fresh.value.filter(({ id }) => id !== itemId);
}

/** What an action has changed on every card of a Space, before the server tells it too. */
export function changeSpace(spaceId: string, change: Partial<CardFragment["space"]>): void {
  cards.value =
    cards.value?.map((card) =>
      card.space.id === spaceId ? { ...card, space: { ...card.space, ...change } } : card,
    ) ?? null;
}

export function take(event: { kind: string; itemId: string | null; item: CardFragment | null }): void {
  const { item, itemId } = event;
  if (itemId === null) return;
  if (item === null) return removeCard(itemId);
  const swap = (list: CardFragment[]) => list.map((card) => (card.id === itemId ? item : card));
  if (cards.value?.some(({ id }) => id === itemId)) cards.value = swap(cards.value);
  else if (fresh.value.some(({ id }) => id === itemId)) fresh.value = swap(fresh.value);
  else if (event.kind === "ADDED" && item.author.id !== me.peek()?.id) fresh.value = [item, ...fresh.value];
  else if (event.kind === "ADDED") addCard(item);
}

export function showFresh(): void {
  cards.value = [...fresh.value, ...(cards.value ?? [])];
  fresh.value = [];
  scrollTo({ top: 0, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

export async function count(): Promise<void> {
  const ids = [...new Set(cards.value?.filter(({ space }) => space.state === "LIVE").map(({ space }) => space.id))];
  if (ids.length === 0 || document.hidden) return;
  const { nodes } = await ask(LiveCountsDocument, { ids: ids.slice(0, 30) });
  for (const node of nodes) if (node && "participantCount" in node) changeSpace(node.id, node);
}
