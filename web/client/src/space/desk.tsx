// What a host sees: the recording, hands, invitations, and how it begins and ends.
import { useEffect, useState } from "preact/hooks";
import {
  CancelSpaceDocument,
  EndSpaceDocument,
  InviteDocument,
  MayRecordDocument,
  RecordingLiveDocument,
  SetRoleDocument,
  StartSpaceDocument,
  ToggleRecordingDocument,
  type InvitedRole,
  type PersonFragment,
  type RecordingLiveSubscription,
} from "../documents";
import { useFound } from "../account/people";
import { Avatar } from "../parts/avatar";
import { Dialog, Sure } from "../parts/dialog";
import { Icon } from "../parts/icons";
import { useLoaded } from "../parts/load";
import { attempt, say } from "../parts/said";
import { clock, length, size } from "../parts/times";
import { cause } from "../parts/waveform";
import { DeleteDialog } from "../recordings/delete";
import { ask, tell } from "../wire/client";
import { follow } from "../wire/follow";
import type { Room, Space } from "./room";
import { connect, level, stage, stepDown, withMicrophone } from "./stage";

export function HostDesk({ room, isHost }: { room: Room; isHost: boolean }) {
  const { space, seats } = room;
  const [inviting, setInviting] = useState(false);
  const [ending, setEnding] = useState(false);
  const hands = seats.filter(({ role, handRaised }) => role === "LISTENER" && handRaised);
  const accept = (userId: string) => attempt(() => tell(SetRoleDocument, { spaceId: space.id, userId, role: "SPEAKER" }));
  const end = () =>
    attempt(async () => {
      await tell(EndSpaceDocument, { spaceId: space.id });
      if (stage.value?.spaceId === space.id) stepDown({ silently: true });
      setEnding(false);
    });
  return (
    <section class="stage" aria-label="Host desk">
      {space.recordingEnabled && <Recorder spaceId={space.id} isHost={isHost} />}
      {hands.length > 0 && (
        <>
          <h3>{hands.length === 1 ? "A hand is up" : `${hands.length} hands are up`}</h3>
          <ul class="rows">
            {hands.map(({ user }) => (
              <li key={user.id}>
                <Avatar person={user} size="m" />
                <span>
                  <b>{user.name}</b>
                  <span class="quiet">@{user.handle}</span>
                </span>
                <button class="button primary small" onClick={() => void accept(user.id)}>
                  Let {user.name.split(" ")[0]} speak
                </button>
              </li>
            ))}
          </ul>
        </>
      )}
      <div class="controls">
        <button class="button" onClick={() => setInviting(true)}>
          <Icon name="plus" /> Invite
        </button>
        {isHost && (
          <button class="button danger" onClick={() => setEnding(true)}>
            End Space
          </button>
        )}
      </div>
      {inviting && <InviteDialog space={space} isHost={isHost} onClose={() => setInviting(false)} />}
      {ending && (
        <Sure title="End this Space?" stay="Go on" act="End it now" onAct={() => void end()} onClose={() => setEnding(false)}>
          <p>Everybody is sent home. {space.recordingEnabled && "The recording can be played and shared at once."}</p>
        </Sure>
      )}
    </section>
  );
}

type Status = RecordingLiveSubscription["recordingStatus"];

const WORDS: Record<string, string> = {
  STARTING: "Waiting for the first voice",
  RECORDING: "Recording",
  INTERRUPTED: "Interrupted: nobody is connected",
  DELETED: "Deleted",
  TAKEN_DOWN: "A moderator took it down",
};
const DELETABLE = new Set(["RECORDING", "INTERRUPTED"]);

/** The recorder as it runs: how long, how loud, and what was lost. */
function Recorder({ spaceId, isHost }: { spaceId: string; isHost: boolean }) {
  const [status, setStatus] = useState<Status | null>(null);
  const [deleting, setDeleting] = useState(false);
  useEffect(() => follow(RecordingLiveDocument, { spaceId }, { on: setStatus }), [spaceId]);
  const gaps = status?.recording?.gaps ?? [];
  const is = status?.status ?? null;
  const recordingId = status?.recording?.id;
  return (
    <div class="recorder" role="group" aria-label="Recording">
      <div class="line">
        <span class={`badge ${is === "RECORDING" ? "rec" : "wait"}`}>
          <i aria-hidden="true" /> {is === null ? "Connecting" : (WORDS[is] ?? is)}
        </span>
        <b class="digits" data-elapsed={status?.durationMs ?? 0}>
          {clock(status?.durationMs ?? 0)}
        </b>
        <span class="quiet digits">{size(status?.sizeBytes ?? 0)}</span>
        {stage.value?.spaceId === spaceId && <Meter />}
        {isHost && recordingId !== undefined && is !== null && DELETABLE.has(is) && (
          <button class="button small leaves" onClick={() => setDeleting(true)}>
            <Icon name="bin" /> Delete
          </button>
        )}
      </div>
      {gaps.length > 0 && (
        <p class="quiet">
          Lost so far: {gaps.map((gap) => `${length(gap.endMs - gap.startMs)} (${cause(gap)})`).join(", ")}
        </p>
      )}
      {deleting && recordingId !== undefined && (
        <DeleteDialog recordingId={recordingId} isLive done={() => undefined} onClose={() => setDeleting(false)} />
      )}
    </div>
  );
}

/** How loud one's own microphone is. */
export function Meter() {
  const now = level.value;
  return (
    <span class="meter" role="meter" aria-label="Microphone level" aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(now * 100)}>
      <i style={{ transform: `scaleX(${now.toFixed(2)})` }} />
    </span>
  );
}

function InviteDialog({ space, isHost, onClose }: { space: Space; isHost: boolean; onClose: () => void }) {
  const [text, setText] = useState("");
  const [role, setRole] = useState<InvitedRole>("SPEAKER");
  const [asked, setAsked] = useState<readonly string[]>([]);
  const found = useFound(text)?.filter(({ id }) => id !== space.host.id);
  const invite = (person: PersonFragment) =>
    attempt(async () => {
      await tell(InviteDocument, { spaceId: space.id, userId: person.id, role });
      setAsked([...asked, person.id]);
      say(`${person.name} is invited.`);
    });
  return (
    <Dialog title="Invite" onClose={onClose}>
      <label class="field">
        Who
        <input type="search" placeholder="Name or handle" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      {isHost && (
        <label class="field">
          As
          <select value={role} onChange={(event) => setRole(event.currentTarget.value as InvitedRole)}>
            <option value="SPEAKER">Speaker</option>
            <option value="COHOST">Co-host, who helps you</option>
          </select>
        </label>
      )}
      <ul class="rows">
        {found?.map((person) => (
          <li key={person.id}>
            <Avatar person={person} size="m" />
            <span>
              <b>{person.name}</b>
              <span class="quiet">@{person.handle}</span>
            </span>
            <button class="button small" disabled={asked.includes(person.id)} onClick={() => void invite(person)}>
              {asked.includes(person.id) ? "Invited" : "Invite"}
            </button>
          </li>
        ))}
      </ul>
      {found?.length === 0 && <p class="quiet">Nobody is called that.</p>}
    </Dialog>
  );
}

/** Before launch: the toggle, and the start. */
export function Before({ room, reload }: { room: Room; reload: () => void }) {
  const { space } = room;
  const [record, setRecord] = useState(space.recordingEnabled);
  const [isStarting, setStarting] = useState(false);
  const [inviting, setInviting] = useState(false);
  const toggle = (enabled: boolean) => {
    setRecord(enabled);
    void attempt(() => tell(ToggleRecordingDocument, { spaceId: space.id, enabled })).then((done) => done || setRecord(!enabled));
  };
  const start = async () => {
    setStarting(true);
    await attempt(() =>
      withMicrophone(async (stream) => {
        await tell(StartSpaceDocument, { spaceId: space.id });
        reload();
        await connect({ spaceId: space.id, title: space.title, host: space.host }, false, stream);
      }),
    );
    setStarting(false);
  };
  const [canceling, setCanceling] = useState(false);
  const cancel = () => attempt(() => tell(CancelSpaceDocument, { spaceId: space.id })).then(reload);
  return (
    <section class="stage" aria-label="Before you start">
      <RecordSwitch checked={record} onChange={toggle} />
      <div class="controls">
        <button class="button primary" disabled={isStarting} onClick={() => void start()}>
          <Icon name="mic" /> Start now
        </button>
        <button class="button" onClick={() => setInviting(true)}>
          <Icon name="plus" /> Invite
        </button>
        <button class="button" onClick={() => setCanceling(true)}>
          Call off
        </button>
      </div>
      {inviting && <InviteDialog space={space} isHost onClose={() => setInviting(false)} />}
      {canceling && (
        <Sure title="Call this Space off?" stay="Keep it" act="Call it off" onAct={() => void cancel()} onClose={() => setCanceling(false)}>
          <p>It cannot be opened again. {space.ticketing !== null && "Everybody who has a ticket gets the money back."}</p>
        </Sure>
      )}
    </section>
  );
}

/** 'Record Space', with the reason when this person may not. */
export function RecordSwitch({ checked, onChange }: { checked: boolean; onChange: (enabled: boolean) => void }) {
  const { value } = useLoaded(async () => (await ask(MayRecordDocument, {})).viewer, []);
  const may = value?.recordingEligibility ?? null;
  const text = may === null || may.allowed ? "Everyone sees the icon. You can share the recording right after, and delete it any time." : may.reason;
  return (
    <label class="switch">
      <span>
        Record Space
        <small>{text}</small>
      </span>
      <input
        type="checkbox"
        role="switch"
        checked={checked}
        disabled={may?.allowed === false && !checked}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
    </label>
  );
}
