// Who is there, by what they may do: those on the stage large, those who listen as a number.
import { InviteDocument, RemoveDocument, SetMutedDocument, SetRoleDocument, type SeatFragment } from "../documents";
import { useState } from "preact/hooks";
import { Avatar } from "../parts/avatar";
import { Sure } from "../parts/dialog";
import { Icon } from "../parts/icons";
import { announce, attempt, say } from "../parts/said";
import { tell } from "../wire/client";
import { me } from "../wire/session";
import type { Space } from "./room";

const ROLES = { HOST: "Host", COHOST: "Co-host", SPEAKER: "Speaker", LISTENER: "Listener" } as const;
const ORDER = { HOST: 0, COHOST: 1, SPEAKER: 2, LISTENER: 3 } as const;

interface Shown {
  space: Space;
  seats: readonly SeatFragment[];
  helps: boolean;
  isHost: boolean;
}

export function People({ space, seats, helps, isHost }: Shown) {
  const onStage = seats.filter(({ role }) => role !== "LISTENER").sort((a, b) => ORDER[a.role] - ORDER[b.role]);
  const listeners = seats.filter(({ role }) => role === "LISTENER");
  const isLive = space.state === "LIVE";
  const [removing, setRemoving] = useState<SeatFragment | null>(null);
  if (onStage.length === 0) return null;
  return (
    <section class="stage" aria-label="People">
      <header>
        <h2>{isLive ? "On stage" : "Hosts and speakers"}</h2>
      </header>
      <ul class="seats">
        {onStage.map((seat) => (
          <Seat key={seat.id} space={space} seat={seat} helps={helps} isHost={isHost} isLive={isLive} remove={() => setRemoving(seat)} />
        ))}
      </ul>
      {isLive && listeners.length > 0 && (
        <>
          <h3>Listening</h3>
          <ul class="rows">
            {listeners.map((seat) => (
              <li key={seat.id}>
                <Avatar person={seat.user} size="s" />
                <span>
                  {seat.user.name}
                  {seat.handRaised && <b class="hand"> raised a hand</b>}
                </span>
                {helps && !seat.handRaised && (
                  <button class="button small" onClick={() => void invite(space, seat)}>
                    Invite to speak
                  </button>
                )}
                {helps && (
                  <button class="round" aria-label={`Remove ${seat.user.name}`} onClick={() => setRemoving(seat)}>
                    <Icon name="close" />
                  </button>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
      {removing !== null && <Remove space={space} seat={removing} onClose={() => setRemoving(null)} />}
    </section>
  );
}

const invite = (space: Space, seat: SeatFragment) =>
  attempt(async () => {
    await tell(InviteDocument, { spaceId: space.id, userId: seat.user.id, role: "SPEAKER" });
    say(`${seat.user.name} is invited to speak.`);
  });

function Remove({ space, seat, onClose }: { space: Space; seat: SeatFragment; onClose: () => void }) {
  const { id, name } = seat.user;
  const remove = () =>
    attempt(async () => {
      await tell(RemoveDocument, { spaceId: space.id, userId: id });
      announce(`${name} is removed.`);
      onClose();
    });
  return (
    <Sure title={`Remove ${name}?`} stay="Keep them" act="Remove" onAct={() => void remove()} onClose={onClose}>
      <p>They can neither hear this Space nor come back into it.</p>
    </Sure>
  );
}

interface Seated extends Omit<Shown, "seats"> {
  seat: SeatFragment;
  isLive: boolean;
  remove: () => void;
}

function Seat({ space, seat, helps, isHost, isLive, remove }: Seated) {
  const { user, role } = seat;
  const isMe = user.id === me.value?.id;
  const speaks = isLive && seat.isSpeaking && !seat.isMuted;
  const may = helps && !isMe && role !== "HOST" && (isHost || role === "SPEAKER");
  const mute = () =>
    attempt(async () => {
      await tell(SetMutedDocument, { spaceId: space.id, userId: user.id, muted: true });
      announce(`${user.name} is muted.`);
    });
  const down = () => attempt(() => tell(SetRoleDocument, { spaceId: space.id, userId: user.id, role: "LISTENER" }));
  return (
    <li class="seat" data-speaking={speaks} data-person={user.handle}>
      <span class="face">
        <Avatar person={user} size="l" />
        {isLive && <Icon name={seat.isMuted ? "muted" : "mic"} />}
      </span>
      <a class="who" href={`/people/${user.handle}`}>
        {isMe ? "You" : user.name}
      </a>
      <span class="quiet">
        {ROLES[role]}
        {isLive && <span class="unseen">{seat.isMuted ? ", muted" : speaks ? ", speaking" : ""}</span>}
      </span>
      {may && isLive && (
        <details class="account">
          <summary aria-label={`Manage ${user.name}`}>⋯</summary>
          <div class="menu">
            {!seat.isMuted && <button onClick={() => void mute()}>Mute</button>}
            <button onClick={() => void down()}>Back to listening</button>
            <button onClick={remove}>Remove</button>
          </div>
        </details>
      )}
    </li>
  );
}
