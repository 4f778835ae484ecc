// Lock screen and media keys.
import { effect } from "@preact/signals";
import * as player from "./player";

const STEP_S = 15;

export function connectMediaSession(): void {
  if (!("mediaSession" in navigator)) return;
  const { mediaSession } = navigator;
  const handlers: [MediaSessionAction, MediaSessionActionHandler][] = [
    ["play", () => player.resume()],
    ["pause", () => player.pause()],
    ["stop", () => player.close()],
    ["seekbackward", ({ seekOffset }) => player.seek(player.positionMs.value - (seekOffset ?? STEP_S) * 1000)],
    ["seekforward", ({ seekOffset }) => player.seek(player.positionMs.value + (seekOffset ?? STEP_S) * 1000)],
    ["seekto", ({ seekTime }) => seekTime !== undefined && player.seek(seekTime * 1000)],
  ];
  for (const [action, handler] of handlers) mediaSession.setActionHandler(action, handler);
  effect(() => {
    const now = player.track.value;
    mediaSession.metadata =
      now === null
        ? null
        : new MediaMetadata({
            title: now.title,
            artist: now.host.name,
            album: "Spaces",
            artwork: [{ src: "/assets/icon.svg", type: "image/svg+xml" }],
          });
  });
  effect(() => {
    const phase = player.phase.value;
    mediaSession.playbackState = player.track.value === null ? "none" : phase === "playing" ? "playing" : "paused";
  });
  effect(() => {
    const duration = player.durationMs.value / 1000;
    if (player.track.value?.kind !== "recording" || duration <= 0) return;
    const position = Math.min(duration, player.positionMs.value / 1000);
    mediaSession.setPositionState({ duration, position, playbackRate: player.rate.value });
  });
}
