import { PlayIcon } from "../parts/icons";
import * as player from "../player/player";
import type { Space } from "./room";

/** For who may speak and is not heard: the room is heard all the same. */
export function Listen({ space }: { space: Space }) {
  const hears = player.track.value?.id === space.id && player.phase.value !== "over";
  const isPlaying = hears && player.phase.value === "playing";
  const listen = () => (hears ? player.toggle() : void player.playLive(space.id, { spaceId: space.id, title: space.title, host: space.host }));
  return (
    <button class="button on-colour" onClick={listen}>
      <PlayIcon playing={isPlaying} />
      {isPlaying ? "Pause" : "Listen live"}
    </button>
  );
}
