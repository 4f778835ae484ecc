// The player, at the foot of every page.
import { useState } from "preact/hooks";
import { Avatar } from "../parts/avatar";
import { Icon, PlayIcon } from "../parts/icons";
import { cause, Waveform } from "../parts/waveform";
import { clock, length } from "../parts/times";
import { ShareDialog } from "../timeline/share";
import { ClipDialog } from "./clip";
import * as player from "./player";
import { RATES } from "./positions";

const STEP_MS = 15_000;
const BARS = 120;

export function PlayerBar() {
  const now = player.track.value;
  const [sharing, setSharing] = useState<number | null>(null);
  const [clipping, setClipping] = useState<number | null>(null);
  if (now === null) return null;
  const isLive = now.kind === "live";
  const why = player.why.value;
  const phase = player.phase.value;
  const isPlaying = phase === "playing" || phase === "loading";
  return (
    <section class={`player ${why === null ? "" : "over"}`} aria-label="Player" data-phase={phase}>
      <button
        class="play"
        aria-label={isPlaying ? "Pause" : "Play"}
        disabled={why !== null}
        data-loading={phase === "loading"}
        onClick={player.toggle}
      >
        <PlayIcon playing={isPlaying} />
      </button>
      <div class="what">
        <Avatar person={now.host} size="s" />
        <div>
          <a class="title" href={`/spaces/${now.spaceId}`}>
            {now.title}
          </a>
          <span class="quiet">{player.isSlow.value ? "Loading …" : now.host.name}</span>
        </div>
      </div>
      {why !== null ? (
        <p class="why" role="alert">
          <Icon name="gone" /> {why}
        </p>
      ) : isLive ? (
        <p class="live-now">
          <span class="badge live">Live</span>
        </p>
      ) : (
        <Seek />
      )}
      <div class="tools">
        {!isLive && why === null && (
          <>
            <button class="round wide-only" aria-label="15 seconds back" onClick={() => player.seek(player.positionMs.value - STEP_MS)}>
              <Icon name="back15" />
            </button>
            <button class="round wide-only" aria-label="15 seconds on" onClick={() => player.seek(player.positionMs.value + STEP_MS)}>
              <Icon name="on15" />
            </button>
            <label class="rate">
              <span class="unseen">Speed</span>
              <select value={player.rate.value} onChange={(event) => player.setRate(Number(event.currentTarget.value))}>
                {RATES.map((rate) => (
                  <option key={rate} value={rate}>
                    {rate}×
                  </option>
                ))}
              </select>
            </label>
            {player.canClip.value && (
              <button class="round" aria-label="Cut a clip" onClick={() => setClipping(player.positionMs.value)}>
                <Icon name="cut" />
              </button>
            )}
            {player.canShare.value && (
              <button class="round" aria-label="Share from here" onClick={() => setSharing(player.positionMs.value)}>
                <Icon name="share" />
              </button>
            )}
          </>
        )}
        <button class="round" aria-label="Close player" onClick={player.close}>
          <Icon name="close" />
        </button>
      </div>
      {clipping !== null && why === null && <ClipDialog track={now} atMs={clipping} onClose={() => setClipping(null)} />}
      {sharing !== null && (
        <ShareDialog
          recordingId={now.id}
          title={now.title}
          startMs={sharing}
          beginsMs={player.startMs.value}
          durationMs={player.durationMs.value}
          onClose={() => setSharing(null)}
        />
      )}
    </section>
  );
}

function Seek() {
  const at = player.positionMs.value;
  const duration = player.durationMs.value;
  const begins = player.startMs.value;
  const gaps = player.gaps.value.filter(({ endMs }) => endMs > begins);
  return (
    <div class="seek">
      <span class="digits">{clock(at - begins)}</span>
      <div class="track">
        <Waveform
          peaks={player.peaks.value}
          bars={BARS}
          durationMs={duration}
          playedMs={at}
          startMs={player.startMs.value}
          gaps={gaps}
        />
        <input
          type="range"
          aria-label="Position"
          aria-valuetext={`${length(at - begins)} of ${length(duration - begins)}`}
          min={0}
          max={Math.max(1, duration)}
          step={1000}
          value={at}
          onInput={(event) => player.seek(Number(event.currentTarget.value))}
        />
        {gaps.length > 0 && (
          <ul class="unseen" aria-label="Lost stretches">
            {gaps.map((gap) => (
              <li key={gap.startMs}>{`${length(Math.max(0, gap.startMs - begins))} to ${length(gap.endMs - begins)}: ${cause(gap)}`}</li>
            ))}
          </ul>
        )}
      </div>
      <span class="digits">{clock(duration - begins)}</span>
    </div>
  );
}
