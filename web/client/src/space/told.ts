// What happens in a Space while one is in it, for those who do not see it; and who comes to speak hears the room.
import { useEffect, useRef } from "preact/hooks";
import { announce } from "../parts/said";
import * as player from "../player/player";
import { me } from "../wire/session";
import type { Room, Space } from "./room";
import { stage } from "./stage";

const STATES: Partial<Record<Space["state"], string>> = {
  LIVE: "The Space has begun.",
  ENDED: "The Space has ended.",
  CANCELED: "The Space is called off.",
};

type Mine = Space["viewerParticipation"];

const roleOf = (mine: Mine) => (mine !== null && mine.leftAt === null ? mine.role : null);
const isUp = (mine: Mine): boolean => ["SPEAKER", "COHOST"].includes(roleOf(mine) ?? "");

function ofSpace(was: Space, is: Space): string[] {
  const said = was.state === is.state ? undefined : STATES[is.state];
  const lines = said === undefined ? [] : [said];
  if (is.state !== "LIVE") return lines;
  if (is.isRecording && !was.isRecording) lines.push("The Space is recorded now.");
  if (was.isRecording && !is.isRecording) lines.push("It is not recorded any more.");
  return lines;
}

function ofMine(was: Mine, is: Mine): string[] {
  const [before, role] = [roleOf(was), roleOf(is)];
  if (role === null) return [];
  if (role !== before && role !== "LISTENER" && role !== "HOST") {
    const closed = isUp(was) ? "" : " Your microphone is still closed.";
    return [(role === "COHOST" ? "You are a co-host now." : "You may speak now.") + closed];
  }
  if (role === "LISTENER" && before !== null && before !== role) return ["You are among the listeners again."];
  if (was?.handRaised === is?.handRaised || role !== "LISTENER") return [];
  return is?.handRaised ? ["Your hand is raised."] : was === null ? [] : ["Your hand is lowered."];
}

/** For those who run it: whose hand is up, and who may speak. */
function ofOthers(was: Room, is: Room): string[] {
  const role = roleOf(is.space.viewerParticipation);
  if (role !== "HOST" && role !== "COHOST") return [];
  const before = new Map(was.seats.map((seat) => [seat.id, seat]));
  return is.seats.flatMap(({ id, role: now, handRaised, user }) => {
    const old = before.get(id);
    if (user.id === me.peek()?.id) return [];
    if (handRaised && !old?.handRaised && now === "LISTENER") return [`${user.name} raised a hand.`];
    return old?.role === "LISTENER" && now === "SPEAKER" ? [`${user.name} may speak now.`] : [];
  });
}

export function useTold(room: Room | null): void {
  const last = useRef<Room | null>(null);
  useEffect(() => {
    const was = last.current;
    last.current = room;
    if (was === null || room === null || was.space.id !== room.space.id) return;
    const [before, space] = [was.space, room.space];
    const lines = [...ofSpace(before, space), ...(space.state === "LIVE" ? ofMine(before.viewerParticipation, space.viewerParticipation) : [])];
    for (const line of [...lines, ...ofOthers(was, room)]) announce(line);
    const comesUp = !isUp(before.viewerParticipation) && isUp(space.viewerParticipation);
    if (!comesUp || space.state !== "LIVE" || stage.peek() !== null) return;
    void player.playLive(space.id, { spaceId: space.id, title: space.title, host: space.host });
  }, [room]);
}
