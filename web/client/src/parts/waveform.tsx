// Peaks of 0 to 255 as bars. What was played is drawn over the rest, and what was lost is hatched.
import { useMemo } from "preact/hooks";

const HEIGHT = 100;
const LEAST = 5;

export interface Gap {
  startMs: number;
  endMs: number;
  cause: string;
}

const CAUSES: Record<string, string> = {
  NO_PUBLISHER: "nobody was connected",
  RESTART: "the server was away",
  DISK_FULL: "the disk was full",
  DISK_ERROR: "the disk refused",
};

export const cause = (gap: Gap): string => CAUSES[gap.cause] ?? "audio was lost";

/** At most so many bars, each the loudest of what it stands for. */
function fewer(peaks: readonly number[], count: number): readonly number[] {
  if (peaks.length <= count) return peaks;
  const step = peaks.length / count;
  return Array.from({ length: count }, (_, index) =>
    Math.max(...peaks.slice(Math.floor(index * step), Math.floor((index + 1) * step))),
  );
}

interface Drawn {
  peaks: readonly number[];
  bars: number;
  durationMs: number;
  /** Up to here it was played. */
  playedMs?: number;
  /** Before this nobody but the host hears it. */
  startMs?: number;
  gaps?: readonly Gap[];
}

export function Waveform({ peaks, bars, durationMs, playedMs = 0, startMs = 0, gaps = [] }: Drawn) {
  const shown = useMemo(() => fewer(peaks, bars), [peaks, bars]);
  const loudest = Math.max(64, ...shown);
  const width = Math.max(1, shown.length);
  const path = useMemo(
    () =>
      shown
        .map((peak, index) => {
          const half = Math.max(LEAST, (peak / loudest) * HEIGHT * 0.94) / 2;
          return `M${index + 0.5} ${HEIGHT / 2 - half}V${HEIGHT / 2 + half}`;
        })
        .join(""),
    [shown, loudest],
  );
  const percent = (ms: number): string => `${durationMs > 0 ? Math.min(100, (ms / durationMs) * 100) : 0}%`;
  const drawing = (name: string, clip?: string) => (
    <svg
      class={name}
      viewBox={`0 0 ${width} ${HEIGHT}`}
      preserveAspectRatio="none"
      {...(clip === undefined ? {} : { style: { clipPath: clip } })}
    >
      <path d={path} vector-effect="non-scaling-stroke" />
    </svg>
  );
  return (
    <span class="waveform" aria-hidden="true">
      {drawing("rest")}
      {drawing("played", `inset(0 calc(100% - ${percent(playedMs)}) 0 ${percent(startMs)})`)}
      {startMs > 0 && <i class="cut-off" style={{ width: percent(startMs) }} />}
      {gaps.map((gap) => (
        <i
          key={gap.startMs}
          class="gap"
          title={`Lost: ${cause(gap)}`}
          style={{ left: percent(gap.startMs), width: percent(Math.min(gap.endMs, durationMs) - gap.startMs) }}
        />
      ))}
    </span>
  );
}
