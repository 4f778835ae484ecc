// A Space as it is now: asked for once, and kept up by what the server tells.
import { useEffect, useState } from "preact/hooks";
import {
  SpaceLiveDocument,
  SpaceRoomDocument,
  SpeakingDocument,
  type SeatFragment,
  type SpaceRoomQuery,
} from "../documents";
import { announce } from "../parts/said";
import { ask } from "../wire/client";
import { follow } from "../wire/follow";
import { me } from "../wire/session";
import { needsTicket } from "../timeline/ticket";
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

/** Who is there; of a Space that is over, who was on its stage. */
function merge(space: Pick<Space, "state">, seats: readonly SeatFragment[], changed: readonly SeatFragment[]): SeatFragment[] {
  const by = new Map(seats.map((seat) => [seat.id, seat]));
  for (const seat of changed) by.set(seat.id, seat);
  const isOver = space.state === "ENDED";
  return [...by.values()].filter(({ leftAt, role }) => (isOver ? role !== "LISTENER" : leftAt === null));
}

/** What changes on its own is told to who does not see it. */
function tellOf(before: Space, after: Space, seat: SeatFragment | null): void {
  if (after.isRecording !== before.isRecording) announce(after.isRecording ? "This Space is being recorded." : "It is not recorded any more.");
  if (after.state === "ENDED" && before.state !== "ENDED") announce("This Space is over.");
  const [was, is] = [before.viewerParticipation?.role, after.viewerParticipation?.role];
  if (was !== undefined && is !== undefined && was !== is) announce(is === "LISTENER" ? "You are a listener now." : "You may speak now.");
  if (seat?.handRaised && seat.user.id !== me.peek()?.id) announce(`${seat.user.name} raised a hand.`);
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
          setRoom({ space: facts, seats: merge(facts, [], participants.edges.flatMap(({ node }) => node ?? [])), isRemoved });
        },
        (failed: unknown) => wanted && setError(failed),
      );
    const stop = follow(SpaceLiveDocument, { spaceId: id }, {
      on: (event) => {
        if (event.kind === "SNAPSHOT") return void load();
        const seat = "participant" in event ? event.participant : null;
        const isOut = event.kind === "PARTICIPANT_REMOVED" && seat?.user.id === me.value?.id;
        setRoom((now) => {
          if (now === null) return null;
          tellOf(now.space, event.space, seat);
          return { space: event.space, seats: merge(event.space, now.seats, seat ? [seat] : []), isRemoved: now.isRemoved || isOut };
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
        setRoom((now) => now && { ...now, space: { ...now.space, ...counts }, seats: merge(now.space, now.seats, seats) });
      }, () => undefined);
    }, SPEAKING_EVERY_MS);
    return () => clearInterval(timer);
  }, [id, isLive]);

  const mine = room?.space.viewerParticipation;
  useEffect(() => {
    if (room === null) return;
    const isHere = mine != null && mine.leftAt === null && room.space.state === "LIVE";
    heardOf(id, mine?.isMuted ?? false, isHere ? mine.role : null);
  }, [mine?.isMuted, mine?.role, mine?.leftAt, room?.space.state]);

  return { room, error, isMissing, reload };
}
