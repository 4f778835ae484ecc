// For moderators: what waits for a decision, what the clocks will do, and who has done what.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import {
  AuditDocument,
  CaseFileDocument,
  DecideDocument,
  HoldDocument,
  OpenCopyDocument,
  QueueDocument,
  type CaseFragment,
  type EntryFragment,
  type ReviewDecision,
} from "../documents";
import { Avatar } from "../parts/avatar";
import { Dialog, FormEnd } from "../parts/dialog";
import { Icon } from "../parts/icons";
import { useLoaded, usePaged } from "../parts/load";
import { More } from "../parts/more";
import { attempt, say } from "../parts/said";
import { Empty, Failed, Skeletons } from "../parts/states";
import { asMoment, clock, Countdown, size } from "../parts/times";
import { playCopy } from "../player/player";
import { useSubject } from "../router";
import { ask, tell } from "../wire/client";
import { me } from "../wire/session";
import { verify, type Verdict } from "./chain";
import { Forecast } from "./plot";

const Closed = () => (
  <Empty icon="shield" title="For moderators">
    {me.value === null ? (
      <a class="button primary" href="/sign-in?to=/moderation">
        Sign in
      </a>
    ) : (
      <p>Ask who runs this server.</p>
    )}
  </Empty>
);

export function ModerationPage() {
  const { value, error, reload, more } = usePaged(
    (after) => ask(QueueDocument, { after }),
    ({ moderation }) => moderation?.reviewQueue,
    [me.value?.id],
  );
  if (value === null) return error === null ? <Skeletons /> : <Failed error={error} again={reload} />;
  const { moderation } = value.answer;
  if (moderation === null) return <Closed />;
  return (
    <>
      <h1>Moderation</h1>
      <section class="stage" aria-label="Waiting for a decision">
        <header>
          <h2>Waiting for a decision</h2>
          <a class="button small" href="/moderation/log">
            Audit log
          </a>
        </header>
        {value.nodes.length === 0 ? (
          <p class="quiet">Nothing is reported. Good.</p>
        ) : (
          <ul class="rows">
            {value.nodes.map((recording) => (
              <li key={recording.id}>
                <Avatar person={recording.space.host} size="m" />
                <span>
                  <b>{recording.space.title}</b>
                  <span class="quiet">
                    {recording.space.host.name} · {recording.status.toLowerCase().replace("_", " ")}
                    {recording.retention?.isHeld && " · held"}
                    {recording.retention?.reviewUntil != null && (
                      <>
                        {" "}
                        · copy goes in <Countdown to={recording.retention.reviewUntil} past="a moment" />
                      </>
                    )}
                  </span>
                </span>
                <a class="button primary small" href={`/moderation/case/${recording.id}`}>
                  Open
                </a>
              </li>
            ))}
          </ul>
        )}
        <More {...more} />
      </section>
      <section class="stage" aria-label="Forecast">
        <h2>What the clocks will do in {moderation.retentionForecast.length} days</h2>
        <Forecast days={moderation.retentionForecast} />
      </section>
    </>
  );
}

type Act = "open" | "hold" | ReviewDecision;

const ACTS: Record<Act, { title: string; label: string; hint: string; danger?: boolean }> = {
  open: { title: "Open the review copy", label: "Open", hint: "It is logged, and told to the host when the case closes." },
  hold: { title: "Legal hold", label: "Confirm", hint: "While it stands nothing is destroyed. It makes nothing public." },
  CLEAR: { title: "Nothing is wrong", label: "Close the case", hint: "The case closes. What is gone stays gone." },
  VIOLATION: { title: "A violation", label: "Take it down", hint: "Nobody can play it from this moment on.", danger: true },
};

export function CasePage({ id }: { id: string }) {
  const { value, error, reload } = useLoaded(async () => ask(CaseFileDocument, { id }), [id, me.value?.id]);
  const [act, setAct] = useState<Act | null>(null);
  useSubject(value?.recording ? `Case: ${value.recording.space.title}` : undefined);
  if (value === null) return error === null ? <Skeletons count={2} /> : <Failed error={error} again={reload} />;
  const { recording, moderation } = value;
  if (moderation === null || recording === null) return <Closed />;
  const reports = moderation.reports.edges.flatMap(({ node }) => node ?? []);
  const entries = moderation.auditLog.edges.flatMap(({ node }) => node ?? []);
  const isHeld = recording.retention?.isHeld ?? false;
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
        <div class="controls acts">
          <button class="button primary" disabled={recording.status === "PURGED"} onClick={() => setAct("open")}>
            <Icon name="lock" /> Open the review copy
          </button>
          <button class="button" aria-pressed={isHeld} disabled={recording.status === "PURGED"} onClick={() => setAct("hold")}>
            <Icon name="shield" /> {isHeld ? "Release the hold" : "Hold"}
          </button>
          <button class="button" onClick={() => setAct("CLEAR")}>
            <Icon name="check" /> Clear
          </button>
          <button class="button danger" onClick={() => setAct("VIOLATION")}>
            <Icon name="gone" /> Violation
          </button>
        </div>
      </section>
      <section class="stage" aria-label="Reports">
        <h2>Reports</h2>
        {reports.length === 0 && <p class="quiet">None.</p>}
        <ul class="rows">
          {reports.map((report) => (
            <li key={report.id}>
              <Icon name="flag" />
              <span>
                {report.reason}
                <span class="quiet">
                  {report.category.toLowerCase().replace("_", " ")} · {asMoment(report.createdAt)} · {report.state.toLowerCase()}
                </span>
              </span>
            </li>
          ))}
        </ul>
      </section>
      <section class="stage" aria-label="What was done">
        <h2>What was done</h2>
        <Entries entries={entries} />
      </section>
      {act !== null && <Reason act={act} recording={recording} done={reload} onClose={() => setAct(null)} />}
    </div>
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
      <dt>Status</dt>
      <dd>{recording.status.toLowerCase().replace("_", " ")}</dd>
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
        if (playback !== null) await playCopy(recording.id, recording, playback.url);
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

function Entries({ entries }: { entries: readonly EntryFragment[] }) {
  return (
    <div class="log" tabIndex={0} role="region" aria-label="Entries">
      <table>
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">What</th>
            <th scope="col">Hash</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <tr key={entry.id}>
              <td class="digits">{asMoment(entry.at)}</td>
              <td>
                <b>{breakable(entry.action)}</b>
                {entry.actorId === null && <span class="quiet"> by the server</span>}
                {entry.outcome !== "" && <span class="went">{entry.outcome}</span>}
              </td>
              <td>
                <code>{entry.hash?.slice(0, 8) ?? "waits"}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A narrow line is broken behind a dot, and not within a word. */
function breakable(action: string): ComponentChildren {
  return action.split(".").map((word, number) => (number === 0 ? word : [".", <wbr key={number} />, word]));
}

export function LogPage() {
  const { value, error, reload, more } = usePaged(
    (after) => ask(AuditDocument, { after }),
    ({ moderation }) => moderation?.auditLog,
    [me.value?.id],
  );
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const [read, setRead] = useState<number | null>(null);
  if (value === null) return error === null ? <Skeletons /> : <Failed error={error} again={reload} />;
  if (value.answer.moderation === null) return <Closed />;
  const check = async () => {
    setVerdict(null);
    setRead(0);
    await attempt(async () => setVerdict(await verify(setRead)));
    setRead(null);
  };
  return (
    <div class="room">
      <p>
        <a class="link" href="/moderation">
          ← Moderation
        </a>
      </p>
      <section class="stage" aria-label="Audit log">
        <header>
          <h1>Audit log</h1>
          <button class="button primary small" disabled={read !== null} onClick={() => void check()}>
            <Icon name="shield" /> {read === null ? "Verify the chain" : `${read} read …`}
          </button>
        </header>
        <div aria-live="polite">
          {verdict !== null && (
            <p class={`note ${verdict.misfit === null ? "" : "warm"}`}>
              <Icon name={verdict.misfit === null ? "check" : "gone"} />
              {verdict.misfit === null
                ? `The chain of ${verdict.sealed} entries holds, from the first one on.${verdict.unsealed > 0 ? ` ${verdict.unsealed} wait to be sealed.` : ""}`
                : `The chain breaks after ${verdict.sealed} entries, at ${verdict.misfit.action} of ${asMoment(verdict.misfit.at)}.`}
            </p>
          )}
        </div>
        <p class="quiet">Checked in this browser, hash by hash. <code>spaces audit verify</code> also checks the signed end of the chain.</p>
        <Entries entries={value.nodes} />
        <More {...more} />
      </section>
    </div>
  );
}
