// What is being heard: a recording, or a live Space. It goes on while one looks at other pages, and comes back after a
// reload where it stopped.
import { effect, signal } from "@preact/signals";
import {
  LiveLinkDocument,
  PlayableDocument,
  RecordingLiveDocument,
  type PersonFragment,
  type RecordingStatus,
} from "../documents";
import type { Gap } from "../parts/waveform";
import { say } from "../parts/said";
import { ask, Refused } from "../wire/client";
import { follow } from "../wire/follow";
import { session } from "../wire/session";
import { attach, audio, beginsAt, detach, type Trouble } from "./media";
import { keepPlayer, keepPosition, keepRate, keptPlayer, keptPosition, keptRate } from "./positions";

export interface Track {
  kind: "recording" | "live" | "copy";
  /** Of the recording, or of the live Space. */
  id: string;
  spaceId: string;
  title: string;
  host: PersonFragment;
}

export type Phase = "loading" | "playing" | "paused" | "over";

export const track = signal<Track | null>(null);
export const phase = signal<Phase>("paused");
/** Whether the listener has waited for so long that it should be said. */
export const isSlow = signal(false);
export const positionMs = signal(0);
export const durationMs = signal(0);
export const startMs = signal(0);
export const peaks = signal<readonly number[]>([]);
export const gaps = signal<readonly Gap[]>([]);
export const rate = signal(keptRate());
export const canShare = signal(false);
export const canClip = signal(false);
/** Where what is heard now ends, when it is a part. */
export const untilMs = signal<number | null>(null);
/** Why it stopped and will not go on. */
export const why = signal<string | null>(null);

const GONE: Partial<Record<RecordingStatus, string>> = {
  DELETED: "The host deleted this recording.",
  EXPIRED: "This recording has expired.",
  TAKEN_DOWN: "A moderator took this recording down.",
  PURGED: "This recording is gone for good.",
  FAILED: "Nothing was recorded: no audio was received.",
};
export const reason = (status: RecordingStatus): string => GONE[status] ?? "This recording cannot be played.";

const NEARLY_MS = 3_000;

let baseMs = 0;
let isAttached = false;
let unfollow: () => void = () => undefined;
let ticket = 0;

/** Play a recording; from where the listener stopped, if nothing else is asked for. */
export async function playRecording(id: string, hint: Omit<Track, "kind" | "id">, fromMs?: number, toMs?: number): Promise<void> {
  if (track.value?.id === id && track.value.kind === "recording" && why.value === null && isAttached) {
    if (fromMs !== undefined) seek(fromMs);
    untilMs.value = toMs ?? null;
    return resume();
  }
  begin({ kind: "recording", id, ...hint });
  untilMs.value = toMs ?? null;
  await prepare(id, fromMs, true);
}

/** Listen to a live Space. */
export async function playLive(spaceId: string, hint: Omit<Track, "kind" | "id">): Promise<void> {
  if (track.value?.id === spaceId && why.value === null && isAttached) return resume();
  const mine = begin({ kind: "live", id: spaceId, ...hint });
  try {
    await tuneIn(spaceId, mine);
  } catch (error) {
    failed(mine, error);
  }
}

async function tuneIn(spaceId: string, mine: number): Promise<void> {
  const { space } = await ask(LiveLinkDocument, { id: spaceId });
  if (mine !== ticket) return;
  if (!space?.live) return over(space?.state === "LIVE" ? "You were removed from this Space, or cannot listen to it." : "This Space is over.");
  await attach({ url: space.live.url, fromS: 0, isLive: true }, trouble);
  isAttached = true;
  await start();
}

const AGAIN_AFTER_MS = 1_000;

/** A recording that is deleted takes its parts along, and the Space goes on: with others. */
async function listenAgain(live: Track): Promise<void> {
  const mine = ++ticket;
  stopSound();
  phase.value = "loading";
  await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER_MS));
  if (mine !== ticket) return;
  try {
    await tuneIn(live.id, mine);
  } catch (error) {
    failed(mine, error);
  }
}

/** The review copy, by its own short-lived link: no position is kept of it, and nobody can share it. */
export async function playCopy(id: string, copy: { durationMs: number; gaps: readonly Gap[]; space: { id: string; title: string; host: PersonFragment } }, url: string): Promise<void> {
  const { space, durationMs: length } = copy;
  begin({ kind: "copy", id, spaceId: space.id, title: `Review copy: ${space.title}`, host: space.host });
  durationMs.value = length;
  gaps.value = copy.gaps;
  baseMs = 0;
  await attach({ url, fromS: 0 }, (kind) => over(kind === "gone" ? "This opening has ended. Open the copy again." : "This browser cannot play it."));
  isAttached = true;
  await start();
}

function begin(next: Track): number {
  keepNow();
  stopSound();
  track.value = next;
  phase.value = "loading";
  why.value = null;
  positionMs.value = durationMs.value = startMs.value = 0;
  peaks.value = gaps.value = [];
  canShare.value = next.kind === "live";
  canClip.value = false;
  untilMs.value = null;
  return ++ticket;
}

async function prepare(id: string, fromMs: number | undefined, thenPlay: boolean): Promise<void> {
  const mine = ticket;
  try {
    const { recording } = await ask(PlayableDocument, { id });
    if (mine !== ticket) return;
    if (recording === null) return over("This recording is not there.");
    track.value = { kind: "recording", id, spaceId: recording.space.id, title: recording.space.title, host: recording.space.host };
    durationMs.value = recording.durationMs;
    startMs.value = recording.startOffsetMs;
    peaks.value = recording.waveform;
    gaps.value = recording.gaps;
    canShare.value = recording.viewerCanShare;
    canClip.value = session.peek() !== null && (recording.space.clipsAllowed || recording.space.host.id === session.peek()?.me.id);
    if (recording.playback === null) return over(reason(recording.status));
    watch(recording.space.id);
    const kept = fromMs ?? keptPosition(id, recording.viewerPositionMs);
    const nearly = Math.min(NEARLY_MS, recording.durationMs / 10);
    const asked = kept > recording.durationMs - nearly ? 0 : kept;
    positionMs.value = Math.max(recording.startOffsetMs, asked);
    keepPlayer(id);
    if (!thenPlay) return void (phase.value = "paused");
    const url = recording.playback.url;
    baseMs = recording.startOffsetMs > 0 ? await beginsAt(url, recording.startedAt) : 0;
    if (mine !== ticket) return;
    await attach({ url, fromS: Math.max(0, positionMs.value - baseMs) / 1000 }, trouble);
    isAttached = true;
    await start();
  } catch (error) {
    failed(mine, error);
  }
}

/** A recording can be taken away at any moment: whoever hears it is told why. */
function watch(spaceId: string): void {
  unfollow();
  unfollow = follow(RecordingLiveDocument, { spaceId }, {
    on: ({ recording, status }) => {
      const is = recording?.status ?? status;
      if (is !== null && is !== "AVAILABLE" && track.value?.kind === "recording") over(reason(is));
    },
    onRefused: () => over("This recording is not there any more."),
  });
}

async function start(): Promise<void> {
  audio.playbackRate = track.value?.kind === "live" ? 1 : rate.value;
  try {
    await audio.play();
  } catch (error) {
    // The browser wants a tap of its own for it; any other failure comes as trouble.
    if (error instanceof DOMException && error.name === "NotAllowedError") phase.value = "paused";
  }
}

function failed(mine: number, error: unknown): void {
  if (mine !== ticket) return;
  phase.value = "paused";
  if (error instanceof Refused) over(error.message);
  else say(error instanceof Error ? error.message : String(error), { bad: true });
}

function trouble(kind: Trouble): void {
  const now = track.value;
  if (now === null || why.value !== null) return;
  if (kind === "broken") return over("This browser cannot play it.");
  if (now.kind === "live") return void listenAgain(now);
  void loadAgain(now);
}

const SOON_AGAIN_MS = 5_000;
let isLoadingAgain = false;
let loadedAgainAt = -Infinity;

/** A link lives as long as the recording and a quarter of an hour, and what was trimmed off is not served any more. */
async function loadAgain({ id }: Track): Promise<void> {
  if (isLoadingAgain) return;
  if (performance.now() - loadedAgainAt < SOON_AGAIN_MS) return over("This recording cannot be played at the moment.");
  const mine = ticket;
  isLoadingAgain = true;
  phase.value = "loading";
  try {
    const { recording } = await ask(PlayableDocument, { id });
    if (mine !== ticket) return;
    if (recording?.playback) await prepare(id, positionMs.value, true);
    else over(recording ? reason(recording.status) : "This recording is not there any more.");
  } catch {
    if (mine === ticket) over("The server cannot be reached.");
  } finally {
    isLoadingAgain = false;
    loadedAgainAt = performance.now();
  }
}

function over(because: string): void {
  stopSound();
  why.value = because;
  phase.value = "over";
  keepPlayer(null);
}

function stopSound(): void {
  unfollow();
  unfollow = () => undefined;
  isAttached = false;
  audio.pause();
  detach();
}

export function close(): void {
  keepNow();
  stopSound();
  ticket++;
  track.value = null;
  keepPlayer(null);
}

export function resume(): void {
  const now = track.value;
  if (now === null || why.value !== null) return;
  if (isAttached) return void start();
  if (now.kind === "copy") return;
  phase.value = "loading";
  void (now.kind === "live" ? playLive(now.id, now) : prepare(now.id, positionMs.value, true));
}

export function pause(): void {
  audio.pause();
}

export function toggle(): void {
  if (phase.value === "playing") pause();
  else resume();
}

export function seek(toMs: number): void {
  const to = Math.min(Math.max(toMs, startMs.value), Math.max(0, durationMs.value - 200));
  positionMs.value = to;
  untilMs.value = null;
  if (isAttached) audio.currentTime = Math.max(0, to - baseMs) / 1000;
  keepNow();
}

export function setRate(next: number): void {
  rate.value = next;
  keepRate(next);
  if (track.value?.kind !== "live") audio.playbackRate = next;
}

function keepNow(): void {
  const now = track.value;
  if (now?.kind === "recording" && why.value === null && positionMs.value > 0) keepPosition(now.id, positionMs.value);
}

const SLOW_AFTER_MS = 600;
effect(() => {
  isSlow.value = false;
  if (phase.value !== "loading") return undefined;
  const late = setTimeout(() => (isSlow.value = true), SLOW_AFTER_MS);
  return () => clearTimeout(late);
});

audio.addEventListener("playing", () => (phase.value = "playing"));
audio.addEventListener("waiting", () => {
  if (!audio.paused) phase.value = "loading";
});
audio.addEventListener("pause", () => {
  if (why.value === null && phase.value !== "loading") phase.value = "paused";
  keepNow();
});
audio.addEventListener("ended", () => {
  if (track.value?.kind === "live") return over("This Space is over.");
  phase.value = "paused";
  positionMs.value = durationMs.value;
});
audio.addEventListener("timeupdate", () => {
  if (!isAttached || audio.seeking || audio.readyState < 2) return;
  positionMs.value = track.value?.kind === "live" ? audio.currentTime * 1000 : baseMs + audio.currentTime * 1000;
  if (untilMs.value === null || positionMs.value < untilMs.value) return;
  untilMs.value = null;
  audio.pause();
});

const KEEP_EVERY_MS = 8_000;
setInterval(() => {
  if (phase.value === "playing") keepNow();
}, KEEP_EVERY_MS);
addEventListener("pagehide", keepNow);

/** After a reload: what was heard, at the place where it stopped, ready to go on. */
export function comeBack(): void {
  const id = keptPlayer();
  if (id === null) return;
  ticket++;
  phase.value = "loading";
  void prepare(id, undefined, false);
}
