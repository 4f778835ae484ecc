// One recording under review: what is said of it, what is kept of it, and what a moderator does about it.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import {
  CaseFileDocument,
  DecideDocument,
  HoldDocument,
  OpenCopyDocument,
  SpaceReportsDocument,
  type CaseFragment,
  type ReviewDecision,
} from "../documents";
import { Dialog, FormEnd } from "../parts/dialog";
import { Icon, PlayIcon } from "../parts/icons";
import { useLoaded } from "../parts/load";
import { attempt, say } from "../parts/said";
import { Failed, Skeletons } from "../parts/states";
import { asMoment, clock, size } from "../parts/times";
import * as player from "../player/player";
import { useSubject } from "../router";
import { ask, tell } from "../wire/client";
import { me } from "../wire/session";
import { Closed } from "./closed";
import { Entries } from "./log";
import { plain, ReportRow } from "./reports";

type Act = "open" | "hold" | ReviewDecision;

const ACTS: Record<Act, { title: string; label: string; hint: string; danger?: boolean }> = {
  open: { title: "Open the review copy", label: "Open", hint: "It is logged, and told to the host when the case closes." },
  hold: { title: "Legal hold", label: "Confirm", hint: "While it stands nothing is destroyed. It makes nothing public." },
  CLEAR: { title: "Nothing is wrong", label: "Close the case", hint: "The case closes. What is gone stays gone." },
  VIOLATION: { title: "A violation", label: "Take it down", hint: "Nobody can play it from this moment on.", danger: true },
};

async function read(id: string) {
  const { recording, moderation } = await ask(CaseFileDocument, { id });
  if (recording === null || moderation === null) return null;
  const ofSpace = await ask(SpaceReportsDocument, { id: recording.space.id });
  const reports = [moderation.reports, ofSpace.moderation?.reports].flatMap((list) => list?.edges.flatMap(({ node }) => node ?? []) ?? []);
  const entries = moderation.auditLog.edges.flatMap(({ node }) => node ?? []);
  const isOpen = reports.some(({ state }) => state === "OPEN") || recording.appeals.some(({ closedAt }) => closedAt === null);
  return { recording, reports, entries, isOpen };
}

export function CasePage({ id }: { id: string }) {
  const { value, error, reload } = useLoaded(async () => ({ found: await read(id) }), [id, me.value?.id]);
  useSubject(value?.found ? `Case: ${value.found.recording.space.title}` : undefined);
  const [act, setAct] = useState<Act | null>(null);
  if (value === null) return error === null ? <Skeletons count={2} /> : <Failed error={error} again={reload} />;
  if (value.found === null) return <Closed />;
  const { recording, reports, entries, isOpen } = value.found;
  return (
    <div class="room">
      <p>
        <a class="link" href="/moderation">
          ← Moderation
        </a>
      </p>
      <section class="stage" aria-label="Recording">
        <h1>{recording.space.title}</h1>
        <Facts recording={recording} />
        <Acts recording={recording} isOpen={isOpen} choose={setAct} />
      </section>
      {recording.appeals.length > 0 && (
        <Section title="Appeals">
          {recording.appeals.map((appeal) => (
            <li key={appeal.createdAt}>
              <Icon name="hand" />
              <span>
                {appeal.statement}
                <span class="quiet">
                  {recording.space.host.name} · {asMoment(appeal.createdAt)} · {appeal.closedAt === null ? "open" : "closed"}
                </span>
              </span>
            </li>
          ))}
        </Section>
      )}
      <Section title="Reports">
        {reports.map((report) => (
          <ReportRow key={report.id} report={report} />
        ))}
      </Section>
      <section class="stage" aria-label="What was done">
        <h2>What was done</h2>
        <Entries entries={entries} />
      </section>
      {act !== null && <Reason act={act} recording={recording} done={reload} onClose={() => setAct(null)} />}
    </div>
  );
}

function Section({ title, children }: { title: string; children: ComponentChildren[] }) {
  return (
    <section class="stage" aria-label={title}>
      <h2>{title}</h2>
      {children.length === 0 ? <p class="quiet">None.</p> : <ul class="rows">{children}</ul>}
    </section>
  );
}

const LIVE = new Set(["ARMED", "RECORDING", "INTERRUPTED", "FINALIZING"]);
const NO_COPY = new Set(["FAILED", "PURGED"]);

/** What there is to hear, to keep and to decide: that differs while it is live, while it is public, and once it is gone. */
function Acts({ recording, isOpen, choose }: { recording: CaseFragment; isOpen: boolean; choose: (act: Act) => void }) {
  const { status, space, retention } = recording;
  const isHeld = retention?.isHeld ?? false;
  if (NO_COPY.has(status)) return <p class="quiet">Nothing is kept of it, and nothing is left to decide.</p>;
  const isUp = LIVE.has(status) || recording.viewerCanPlay;
  return (
    <>
      <div class="controls acts">
        {LIVE.has(status) ? (
          <a class="button primary" href={`/spaces/${space.id}`}>
            Go to the Space
          </a>
        ) : recording.viewerCanPlay ? (
          <button class="button primary" onClick={() => void player.playRecording(recording.id, { spaceId: space.id, title: space.title, host: space.host })}>
            <PlayIcon playing={false} /> Play it
          </button>
        ) : (
          <button class="button primary" onClick={() => choose("open")}>
            <Icon name="lock" /> Open the review copy
          </button>
        )}
        <button class="button" aria-pressed={isHeld} onClick={() => choose("hold")}>
          <Icon name="shield" /> {isHeld ? "Release the hold" : "Hold"}
        </button>
        {isOpen && (
          <button class="button" onClick={() => choose("CLEAR")}>
            <Icon name="check" /> Clear
          </button>
        )}
        {(isOpen || isUp) && (
          <button class="button danger" onClick={() => choose("VIOLATION")}>
            <Icon name="gone" /> Violation
          </button>
        )}
      </div>
      {!isOpen && <p class="quiet">No report or appeal is open.</p>}
    </>
  );
}

function Facts({ recording }: { recording: CaseFragment }) {
  const { retention } = recording;
  return (
    <dl class="sheet">
      <dt>Host</dt>
      <dd>
        <a href={`/people/${recording.space.host.handle}`}>{recording.space.host.name}</a>
      </dd>
      <dt>Space</dt>
      <dd>
        <a href={`/spaces/${recording.space.id}`}>{recording.space.title}</a>
      </dd>
      <dt>Status</dt>
      <dd>{plain(recording.status)}</dd>
      <dt>Length</dt>
      <dd>
        {clock(recording.durationMs)}, {size(recording.sizeBytes)}
      </dd>
      <dt>Copy kept until</dt>
      <dd>
        {retention?.isHeld
          ? "released from the hold"
          : retention?.reviewUntil != null
            ? asMoment(retention.reviewUntil)
            : retention?.publicUntil != null
              ? `public until ${asMoment(retention.publicUntil)}`
              : "—"}
      </dd>
    </dl>
  );
}

function Reason({ act, recording, done, onClose }: { act: Act; recording: CaseFragment; done: () => void; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const { title, label, hint, danger } = ACTS[act];
  const isHeld = recording.retention?.isHeld ?? false;
  const send = (event: Event) => {
    event.preventDefault();
    void attempt(async () => {
      const recordingId = recording.id;
      if (act === "open") {
        const { playback } = await tell(OpenCopyDocument, { recordingId, reason });
        if (playback !== null) await player.playCopy(recording.id, recording, playback.url);
      } else if (act === "hold") {
        await tell(HoldDocument, { recordingId, held: !isHeld, reason });
        say(isHeld ? "The hold is released." : "It is held. Nothing of it is destroyed.");
      } else {
        await tell(DecideDocument, { recordingId, decision: act, note: reason });
        say("The case is closed.");
      }
      done();
      onClose();
    });
  };
  return (
    <Dialog title={act === "hold" && isHeld ? "Release the hold" : title} onClose={onClose}>
      <form onSubmit={send}>
        <p class="quiet">{hint}</p>
        <label class="field">
          Why
          <textarea rows={4} required maxLength={2000} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
        <FormEnd send={label} danger={danger} onClose={onClose} />
      </form>
    </Dialog>
  );
}
