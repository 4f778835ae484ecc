// What one has recorded: how long it lives, where it begins, and what is left of it.
import { useState } from "preact/hooks";
import { AppealDocument, MyRecordingsDocument, TrimDocument, type MyRecordingsQuery } from "../documents";
import { Dialog, FormEnd } from "../parts/dialog";
import { Icon, PlayIcon } from "../parts/icons";
import { usePaged } from "../parts/load";
import { More } from "../parts/more";
import { attempt, say } from "../parts/said";
import { Empty, Failed, Skeletons } from "../parts/states";
import { Ago, asDay, asMoment, clock, Countdown, size } from "../parts/times";
import { cause, Waveform } from "../parts/waveform";
import * as player from "../player/player";
import { count } from "../timeline/card";
import { ShareDialog } from "../timeline/share";
import { ask, tell } from "../wire/client";
import { me } from "../wire/session";
import { DeleteDialog } from "./delete";

type Mine = NonNullable<NonNullable<MyRecordingsQuery["viewer"]>["recordings"]["edges"][number]["node"]>;

const BARS = 110;

export function RecordingsPage() {
  const { value, error, reload, set, more } = usePaged(
    (after) => ask(MyRecordingsDocument, { after }),
    ({ viewer }) => viewer?.recordings,
    [me.value?.id],
  );
  if (me.value === null)
    return (
      <Empty icon="wave" title="Your recordings">
        <a class="button primary" href="/sign-in?to=/recordings">
          Sign in
        </a>
      </Empty>
    );
  if (value === null) return error === null ? <Skeletons /> : <Failed error={error} again={reload} />;
  const change = (id: string, facts: Partial<Mine>) =>
    set((all) => ({ ...all, nodes: all.nodes.map((one) => (one.id === id ? { ...one, ...facts } : one)) }));
  return (
    <>
      <h1>Your recordings</h1>
      {value.nodes.length === 0 ? (
        <Empty icon="wave" title="Nothing recorded yet">
          <p>Switch on 'Record Space' before you start one.</p>
          <a class="button primary" href="/new">
            Start a Space
          </a>
        </Empty>
      ) : (
        <div class="cards">
          {value.nodes.map((recording) => (
            <One key={recording.id} recording={recording} change={(facts) => change(recording.id, facts)} reload={reload} />
          ))}
        </div>
      )}
      <More {...more} />
    </>
  );
}

interface Shown {
  recording: Mine;
  change: (facts: Partial<Mine>) => void;
  reload: () => void;
}

function One({ recording, change, reload }: Shown) {
  const { space } = recording;
  return (
    <article class="card" aria-label={space.title}>
      <div class="box">
        <h2>
          <a href={`/spaces/${space.id}`}>{space.title}</a>
        </h2>
        <p class="quiet">
          {recording.endedAt !== null && (
            <>
              <Ago at={recording.endedAt} /> ·{" "}
            </>
          )}
          {clock(recording.durationMs)} · {size(recording.sizeBytes)} · {count(recording.playCount, "play", "plays")} ·{" "}
          {count(recording.shareCount, "share", "shares")}
        </p>
        <Now recording={recording} change={change} reload={reload} />
        {recording.gaps.length > 0 && (
          <p class="quiet">
            Lost: {recording.gaps.map((gap) => `${clock(gap.startMs)}–${clock(gap.endMs)} (${cause(gap)})`).join(", ")}
          </p>
        )}
        {recording.reviewOpenings.length > 0 && (
          <p class="quiet">
            Moderators opened the review copy:{" "}
            {recording.reviewOpenings.map(({ at, reason }) => `${asMoment(at)}: ${reason}`).join("; ")}
          </p>
        )}
      </div>
    </article>
  );
}

const BEING_MADE: Partial<Record<Mine["status"], string>> = {
  ARMED: "It will be recorded once the Space begins.",
  RECORDING: "It is being recorded now.",
  INTERRUPTED: "It is being recorded; nobody is connected at the moment.",
  FINALIZING: "The recording is being closed.",
};

function Now({ recording, change, reload }: Shown) {
  const { status } = recording;
  if (status === "AVAILABLE") return <Playable recording={recording} change={change} />;
  return status in BEING_MADE ? <BeingMade recording={recording} change={change} /> : <Past recording={recording} reload={reload} />;
}

function BeingMade({ recording, change }: Omit<Shown, "reload">) {
  const [deleting, setDeleting] = useState(false);
  return (
    <>
      <p class="quiet">{BEING_MADE[recording.status]}</p>
      <div class="controls">
        <a class="button small" href={`/spaces/${recording.space.id}`}>
          Go to the Space
        </a>
        {recording.viewerCanDelete && (
          <button class="button small" onClick={() => setDeleting(true)}>
            <Icon name="bin" /> Delete
          </button>
        )}
      </div>
      {deleting && <DeleteDialog recordingId={recording.id} isLive done={change} onClose={() => setDeleting(false)} />}
    </>
  );
}

function Playable({ recording, change }: Omit<Shown, "reload">) {
  const { space } = recording;
  const [trimming, setTrimming] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const [sharing, setSharing] = useState(false);
  const isCurrent = player.track.value?.id === recording.id && player.why.value === null;
  const isPlaying = isCurrent && player.phase.value === "playing";
  const play = () =>
    isPlaying
      ? player.pause()
      : void player.playRecording(recording.id, { spaceId: space.id, title: space.title, host: space.host });
  return (
    <>
      {recording.expiresAt !== null && (
        <p class="expires">
          <Icon name="clock" />
          <span>
            Public for another <b>{<Countdown to={recording.expiresAt} past="moment" />}</b>, until {asDay(recording.expiresAt)}
          </span>
        </p>
      )}
      {trimming ? (
        <Trim recording={recording} change={change} onClose={() => setTrimming(false)} />
      ) : (
        <div class="listen">
          <button class="button primary" onClick={play}>
            <PlayIcon playing={isPlaying} /> {isPlaying ? "Pause" : "Play"}
          </button>
          <Waveform
            peaks={recording.waveform}
            bars={BARS}
            durationMs={recording.durationMs}
            playedMs={isCurrent ? player.positionMs.value : 0}
            startMs={recording.startOffsetMs}
            gaps={recording.gaps}
          />
        </div>
      )}
      <div class="controls many">
        <button class="button small" onClick={() => setSharing(true)}>
          <Icon name="share" /> Share
        </button>
        <button class="button small" aria-pressed={trimming} onClick={() => setTrimming(!trimming)}>
          <Icon name="cut" /> Trim
        </button>
        {recording.download !== null && (
          <a class="button small" href={recording.download.url} download>
            <Icon name="down" /> Download
          </a>
        )}
        {recording.archive !== null && (
          <a class="button small" href={recording.archive.url} download>
            <Icon name="people" /> Each voice
          </a>
        )}
        <button class="button small leaves" onClick={() => setDeleting(true)}>
          <Icon name="bin" /> Delete
        </button>
      </div>
      {sharing && (
        <ShareDialog recordingId={recording.id} title={space.title} durationMs={recording.durationMs} onClose={() => setSharing(false)} />
      )}
      {deleting && <DeleteDialog recordingId={recording.id} done={change} onClose={() => setDeleting(false)} />}
    </>
  );
}

/** Where others begin to hear. Nothing is cut from the file. */
function Trim({ recording, change, onClose }: { recording: Mine; change: Shown["change"]; onClose: () => void }) {
  const [at, setAt] = useState(recording.startOffsetMs);
  const save = () =>
    attempt(async () => {
      await tell(TrimDocument, { recordingId: recording.id, startOffsetMs: Math.round(at) });
      change({ startOffsetMs: Math.round(at) });
      say("Others hear it from there now. Your download keeps all of it.");
      onClose();
    });
  return (
    <div class="trim">
      <div class="track">
        <Waveform peaks={recording.waveform} bars={BARS} durationMs={recording.durationMs} startMs={at} playedMs={recording.durationMs} />
        <input
          type="range"
          aria-label="Start of the recording"
          aria-valuetext={clock(at)}
          min={0}
          max={Math.max(0, recording.durationMs - 1000)}
          step={250}
          value={at}
          onInput={(event) => setAt(Number(event.currentTarget.value))}
        />
      </div>
      <p class="row">
        <span class="grow">
          Starts at <b class="digits">{clock(at)}</b>
        </span>
        <button class="button small" onClick={onClose}>
          Cancel
        </button>
        <button class="button primary small" onClick={() => void save()}>
          Save the start
        </button>
      </p>
    </div>
  );
}

/** Gone, and what is still kept of it until when. */
function Past({ recording, reload }: { recording: Mine; reload: () => void }) {
  const [appealing, setAppealing] = useState(false);
  const { retention, status } = recording;
  const receipt = retention?.receipt ?? null;
  const waits = recording.appeals.some(({ closedAt }) => closedAt === null);
  return (
    <>
      <p class="gone">
        <Icon name="gone" /> {player.reason(status)}
      </p>
      {retention?.reviewUntil != null && (
        <p class="quiet">
          A copy for moderators alone is kept until {asDay(retention.reviewUntil)} (
          <Countdown to={retention.reviewUntil} past="due now" />
          ).
        </p>
      )}
      {receipt !== null && (
        <p class="quiet">
          Destroyed on {asMoment(receipt.purgedAt)}: {size(receipt.sizeBytes)}, receipt{" "}
          <code>{receipt.sha256.slice(0, 16)}…</code>
        </p>
      )}
      {recording.appeals.map((appeal) => (
        <p class="quiet" key={appeal.createdAt}>
          Your appeal of {asMoment(appeal.createdAt)} {appeal.closedAt === null ? "waits for a moderator" : "was decided"}: “{appeal.statement}”
        </p>
      ))}
      {status === "TAKEN_DOWN" && !waits && (
        <button class="button small" onClick={() => setAppealing(true)}>
          Appeal
        </button>
      )}
      {appealing && <Appeal recordingId={recording.id} reload={reload} onClose={() => setAppealing(false)} />}
    </>
  );
}

function Appeal({ recordingId, reload, onClose }: { recordingId: string; reload: () => void; onClose: () => void }) {
  const [statement, setStatement] = useState("");
  const send = (event: Event) => {
    event.preventDefault();
    void attempt(async () => {
      await tell(AppealDocument, { recordingId, statement });
      say("Your appeal is with the moderators.");
      reload();
      onClose();
    });
  };
  return (
    <Dialog title="Appeal" onClose={onClose}>
      <form onSubmit={send}>
        <label class="field">
          Why was it wrong to take it down?
          <textarea rows={5} required maxLength={2000} value={statement} onInput={(event) => setStatement(event.currentTarget.value)} />
        </label>
        <FormEnd send="Send" onClose={onClose} />
      </form>
    </Dialog>
  );
}
