import { JoinSpaceDocument } from "../documents";
import { PlayIcon } from "../parts/icons";
import { attempt } from "../parts/said";
import * as player from "../player/player";
import { tell } from "../wire/client";
import { me } from "../wire/session";
import type { Space } from "./room";

/** For who is not on the air: a listener, or who may speak and does not. */
export function Listen({ space }: { space: Space }) {
  const mine = space.viewerParticipation;
  const isIn = mine !== null && mine.leftAt === null;
  const hears = player.track.value?.id === space.id && player.phase.value !== "over";
  const isPlaying = hears && player.phase.value === "playing";
  const listen = () =>
    attempt(async () => {
      if (hears) return player.toggle();
      if (me.value !== null && !isIn) await tell(JoinSpaceDocument, { spaceId: space.id });
      await player.playLive(space.id, { spaceId: space.id, title: space.title, host: space.host });
    });
  return (
    <button class="button on-colour" onClick={() => void listen()}>
      <PlayIcon playing={isPlaying} />
      {isPlaying ? "Pause" : "Listen live"}
    </button>
  );
}
