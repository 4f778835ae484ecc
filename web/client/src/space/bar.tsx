// The microphone, at the foot of every page for as long as one is on a stage.
import { Icon } from "../parts/icons";
import { attempt } from "../parts/said";
import { Meter } from "./desk";
import { closeMicrophone, isMuted, isUp, setMuted, stage } from "./stage";

export function StageBar() {
  const now = stage.value;
  if (now === null) return null;
  const muted = isMuted.value;
  return (
    <section class="player on-stage" aria-label="Your microphone" data-connected={isUp.value}>
      <button class="play" aria-label={muted ? "Unmute" : "Mute"} aria-pressed={muted} onClick={() => void attempt(() => setMuted(!muted))}>
        <Icon name={muted ? "muted" : "mic"} />
      </button>
      <div class="what">
        <div>
          <a class="title" href={`/spaces/${now.spaceId}`}>
            {now.title}
          </a>
          <span class="quiet">{isUp.value ? (muted ? "You are muted" : "You are on the air") : "Connecting …"}</span>
        </div>
      </div>
      <div class="tools">
        <Meter />
        <button class="round" aria-label="Close your microphone" onClick={closeMicrophone}>
          <Icon name="close" />
        </button>
      </div>
    </section>
  );
}
