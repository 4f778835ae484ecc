// A Space as it is now: asked for once, and kept up by what the server tells.
import { useEffect, useState } from "preact/hooks";
import {
  SpaceLiveDocument,
  SpaceRoomDocument,
  SpeakingDocument,
  type SeatFragment,
  type SpaceRoomQuery,
} from "../documents";
import { ask } from "../wire/client";
import { follow } from "../wire/follow";
import { me } from "../wire/session";
import { useSubject } from "../router";
import { needsTicket } from "../timeline/ticket";
import { useTold } from "./told";
import { heardOf } from "./stage";

export type Space = Omit<NonNullable<SpaceRoomQuery["space"]>, "participants" | "live">;

export interface Room {
  space: Space;
  seats: SeatFragment[];
  /** Put out by a host: this person sees the Space, and neither hears nor enters it. */
  isRemoved: boolean;
}

export type RoomState = { room: Room | null; error: unknown; isMissing: boolean; reload: () => void };

const SPEAKING_EVERY_MS = 1_500;

/** Who is there; of a Space that is over, who spoke in it. */
function merge(seats: readonly SeatFragment[], changed: readonly SeatFragment[], state: Space["state"]): SeatFragment[] {
  const by = new Map(seats.map((seat) => [seat.id, seat]));
  for (const seat of changed) by.set(seat.id, seat);
  return [...by.values()].filter(({ leftAt }) => leftAt === null || state === "ENDED");
}

export function useRoom(id: string): RoomState {
  const [room, setRoom] = useState<Room | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [isMissing, setMissing] = useState(false);
  const [round, setRound] = useState(0);
  const reload = () => setRound((count) => count + 1);
  const isLive = room?.space.state === "LIVE";

  useEffect(() => {
    let wanted = true;
    setError(null);
    setMissing(false);
    const load = () =>
      ask(SpaceRoomDocument, { id }).then(
        ({ space }) => {
          if (!wanted) return;
          if (space === null) return setMissing(true);
          const { participants, live, ...facts } = space;
          const isRemoved = facts.state === "LIVE" && live === null && !needsTicket(facts);
          setRoom({ space: facts, seats: merge([], participants.edges.flatMap(({ node }) => node ?? []), space.state), isRemoved });
        },
        (failed: unknown) => wanted && setError(failed),
      );
    const stop = follow(SpaceLiveDocument, { spaceId: id }, {
      on: (event) => {
        if (event.kind === "SNAPSHOT") return void load();
        const seat = "participant" in event ? event.participant : null;
        const isOut = event.kind === "PARTICIPANT_REMOVED" && seat?.user.id === me.value?.id;
        setRoom((now) => now && {
          space: event.space,
          seats: merge(now.seats, seat ? [seat] : [], event.space.state),
          isRemoved: now.isRemoved || isOut,
        });
      },
      onLost: () => void load(),
      onRefused: () => setMissing(true),
    });
    void load();
    return () => {
      wanted = false;
      stop();
    };
  }, [id, me.value?.id, round]);

  // Who speaks changes many times a minute and is no event: it is asked for while somebody looks.
  useEffect(() => {
    if (!isLive) return;
    const timer = setInterval(() => {
      if (document.hidden) return;
      ask(SpeakingDocument, { id }).then(({ space }) => {
        if (space === null) return;
        const { participants, ...counts } = space;
        const seats = participants.edges.flatMap(({ node }) => node ?? []);
        setRoom((now) => now && { ...now, space: { ...now.space, ...counts }, seats: merge(now.seats, seats, now.space.state) });
      }, () => undefined);
    }, SPEAKING_EVERY_MS);
    return () => clearInterval(timer);
  }, [id, isLive]);

  const mine = room?.space.viewerParticipation;
  useEffect(() => {
    if (room === null) return;
    const isIn = mine != null && mine.leftAt === null && room.space.state === "LIVE";
    heardOf(id, { muted: mine?.isMuted ?? false, isSpeaker: isIn && mine.role !== "LISTENER", isIn });
  }, [mine?.isMuted, mine?.role, mine?.leftAt, room?.space.state]);

  useTold(room);
  useSubject(isMissing ? "There is no such Space" : room?.space.title);
  return { room, error, isMissing, reload };
}
