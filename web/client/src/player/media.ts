// One audio element for the whole visit, and how HLS gets into it: by the browser itself, or where it cannot, by hls.js.
import type Hls from "hls.js";

const HLS = "application/vnd.apple.mpegurl";

export const audio = document.createElement("audio");
audio.preload = "auto";
audio.id = "sound";
document.body.append(audio);

let library: Hls | null = null;

/** What became of the sound: 410 when there is nothing to hear any more. */
export type Trouble = "gone" | "broken";

export function detach(): void {
  library?.destroy();
  library = null;
  audio.onerror = null;
  audio.removeAttribute("src");
  audio.load();
}

export interface Source {
  url: string;
  /** Where to begin, in seconds of the playlist. */
  fromS: number;
  /** Who falls behind in a live Space hears what is said now, not what was. */
  isLive?: boolean;
}

/** In fragments: how far behind one may be. */
const MOST_BEHIND = 8;

/** Apple's browsers have played HLS for ever. Others have learnt it lately, and stall at the end of what grows. */
const playsItself = audio.canPlayType(HLS) !== "" && ("ManagedMediaSource" in window || !("MediaSource" in window));

/** Let the element play a playlist. Answers once it may be played. */
export async function attach(source: Source, onTrouble: (trouble: Trouble) => void): Promise<void> {
  const { url, fromS } = source;
  detach();
  if (!playsItself) return attachLibrary(source, onTrouble);
  audio.onerror = async () => {
    if (!("MediaSource" in window) || (await isGone(url))) return onTrouble("gone");
    await attachLibrary(source, onTrouble);
    await audio.play().catch(() => undefined);
  };
  audio.src = url;
  if (fromS > 0) audio.addEventListener("loadedmetadata", () => (audio.currentTime = fromS), { once: true });
}

async function attachLibrary({ url, fromS, isLive = false }: Source, onTrouble: (trouble: Trouble) => void): Promise<void> {
  const { default: Library, Events, ErrorTypes } = await import("hls.js/light").catch(() => {
    // After an update of the server the page that is open asks for what is no more.
    throw new Error("The player could not be loaded. Load this page again, and try once more.");
  });
  if (!Library.isSupported()) return onTrouble("broken");
  audio.onerror = null;
  // A worker would have to be made from a blob, which our policy forbids; audio costs little without it.
  const edge = isLive ? { liveSyncDurationCount: 3, liveMaxLatencyDurationCount: MOST_BEHIND } : {};
  const hls = new Library({ enableWorker: false, startPosition: fromS > 0 ? fromS : -1, ...edge });
  library = hls;
  hls.on(Events.ERROR, (_name, data) => {
    const status = data.response?.code ?? 0;
    // 416: the host has trimmed off what is asked for.
    if ([403, 404, 410, 416].includes(status)) onTrouble("gone");
    else if (!data.fatal) return;
    else if (data.type === ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    // The network comes back; so do we.
    else setTimeout(() => library === hls && hls.startLoad(), 2_000);
  });
  hls.loadSource(url);
  hls.attachMedia(audio);
}

async function isGone(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { cache: "no-store" });
    return [403, 404, 410].includes(answer.status);
  } catch {
    return false;
  }
}

/** Where a trimmed playlist begins, in ms since the first audio: it is cut at a fragment, so its own date says it. */
export async function beginsAt(url: string, startedAt: string | null): Promise<number> {
  const text = await (await fetch(url, { cache: "no-store" })).text();
  const date = /^#EXT-X-PROGRAM-DATE-TIME:(.+)$/m.exec(text)?.[1];
  return date !== undefined && startedAt !== null ? Math.max(0, Date.parse(date) - Date.parse(startedAt)) : 0;
}
