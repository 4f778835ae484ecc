// How one comes in, and what one does there: listen, ask to speak, speak, leave.
import { useState } from "preact/hooks";
import { AcknowledgeDocument, JoinSpaceDocument, RaiseHandDocument } from "../documents";
import { Dialog } from "../parts/dialog";
import { Icon } from "../parts/icons";
import { attempt } from "../parts/said";
import { signInFirst } from "../router";
import { tell } from "../wire/client";
import { me } from "../wire/session";
import { Listen } from "./listen";
import type { Space } from "./room";
import { goOn, leave, stage } from "./stage";

export function Door({ space, isRemoved }: { space: Space; isRemoved: boolean }) {
  const mine = space.viewerParticipation;
  const isIn = mine !== null && mine.leftAt === null;
  if (isRemoved) return <p class="off-air">You were removed from this Space, and cannot come back into it.</p>;
  const mayspeak = isIn && mine.role !== "LISTENER";
  return mayspeak ? <SpeakerDoor space={space} /> : <ListenerDoor space={space} isIn={isIn} />;
}

function ListenerDoor({ space, isIn }: { space: Space; isIn: boolean }) {
  const isHand = space.viewerParticipation?.handRaised ?? false;
  const raise = () => {
    if (me.value === null) return signInFirst();
    void attempt(async () => {
      if (!isIn) await tell(JoinSpaceDocument, { spaceId: space.id });
      await tell(RaiseHandDocument, { spaceId: space.id, raised: !isHand });
    });
  };
  return (
    <div class="controls">
      <Listen space={space} />
      {space.speakerPolicy !== "INVITED" && (
        <button class="button on-colour" aria-pressed={isHand} onClick={raise}>
          <Icon name="hand" />
          {isHand ? "Lower your hand" : "Raise your hand"}
        </button>
      )}
      {isIn && <Leave space={space} />}
    </div>
  );
}

function Leave({ space }: { space: Space }) {
  return (
    <button class="button on-colour" onClick={() => void attempt(() => leave(space.id))}>
      <Icon name="leave" /> Leave
    </button>
  );
}

function SpeakerDoor({ space }: { space: Space }) {
  const mine = space.viewerParticipation;
  const [asking, setAsking] = useState(false);
  const [agreed, setAgreed] = useState(false);
  const isOn = stage.value?.spaceId === space.id;
  const isHost = space.host.id === me.value?.id;
  const mustAgree = !isHost && !agreed && space.consent !== null && mine?.recordingAcknowledgedAt === null;
  const go = () => attempt(() => goOn({ spaceId: space.id, title: space.title, host: space.host }, mine?.isMuted ?? false));
  const step = () => (mustAgree ? setAsking(true) : void go());
  const agree = () =>
    attempt(async () => {
      await tell(AcknowledgeDocument, { spaceId: space.id, consentVersion: space.consent?.version ?? "" });
      setAgreed(true);
      setAsking(false);
      await go();
    });
  return (
    <div class="controls">
      {!isOn && <p class="off-air">{isHost ? "Your microphone is closed: nobody hears you from this page." : "Your microphone is closed."}</p>}
      {!isOn && (
        <button class="button on-colour" onClick={step}>
          <Icon name="mic" /> {isHost ? "Open your microphone" : "Speak"}
        </button>
      )}
      {!isOn && <Listen space={space} />}
      {!isHost && <Leave space={space} />}
      {asking && space.consent !== null && (
        <Dialog title="This Space is recorded" onClose={() => setAsking(false)}>
          <p class="consent">{space.consent.text}</p>
          <p class="quiet">Your microphone stays closed until you agree. You can go on listening without it.</p>
          <div class="row end">
            <button class="button" onClick={() => setAsking(false)}>
              Keep listening
            </button>
            <button class="button primary" onClick={() => void agree()}>
              Agree and speak
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}
