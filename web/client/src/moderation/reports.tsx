// Reports of Spaces and of people, and what a moderator does about them: end a Space, take an account or its right to record.
import { useState } from "preact/hooks";
import { EndSpaceDocument, ReportsDocument, SuspendDocument, type ReportFragment, type ReportsQuery, type Suspension } from "../documents";
import { Avatar } from "../parts/avatar";
import { Dialog, FormEnd, Sure } from "../parts/dialog";
import { Icon } from "../parts/icons";
import { usePaged } from "../parts/load";
import { More } from "../parts/more";
import { categoryInWords } from "../parts/report";
import { attempt, say } from "../parts/said";
import { Failed } from "../parts/states";
import { asMoment } from "../parts/times";
import { ask, tell } from "../wire/client";
import { me } from "../wire/session";

/** A word of the API as a person says it: `TAKEN_DOWN` is taken down. */
export const plain = (word: string): string => word.toLowerCase().replaceAll("_", " ");

export function ReportRow({ report }: { report: ReportFragment }) {
  return (
    <li>
      <Icon name="flag" />
      <span>
        {report.reason}
        <span class="quiet">
          {categoryInWords(report.category)} · {asMoment(report.createdAt)} · {plain(report.state)}
        </span>
      </span>
    </li>
  );
}

type Report = NonNullable<NonNullable<ReportsQuery["moderation"]>["reports"]["edges"][number]["node"]>;
type Subject = Exclude<Report["subject"], { __typename: "Recording" }>;

/** Open reports by what they are about, the newest first. Those of recordings wait in the queue. */
function bySubject(reports: readonly Report[]): [Subject, Report[]][] {
  const found = new Map<string, [Subject, Report[]]>();
  for (const report of reports) {
    const { subject } = report;
    if (subject.__typename === "Recording") continue;
    const [, others] = found.get(subject.id) ?? found.set(subject.id, [subject, []]).get(subject.id) ?? [subject, []];
    others.push(report);
  }
  return [...found.values()];
}

export function Reported() {
  const { value, error, reload, more } = usePaged(
    (after) => ask(ReportsDocument, { after }),
    ({ moderation }) => moderation?.reports,
    [me.value?.id],
  );
  if (value === null) return error === null ? null : <Failed error={error} again={reload} />;
  const subjects = bySubject(value.nodes);
  return (
    <section class="stage" aria-label="Reported Spaces and people">
      <h2>Reported Spaces and people</h2>
      {subjects.length === 0 && !more.isThere && <p class="quiet">None.</p>}
      {subjects.map(([subject, reports]) => (
        <article key={subject.id} class="reported" aria-label={"title" in subject ? subject.title : subject.name}>
          <About subject={subject} reload={reload} />
          <ul class="rows">
            {reports.map((report) => (
              <ReportRow key={report.id} report={report} />
            ))}
          </ul>
        </article>
      ))}
      <More {...more} />
    </section>
  );
}

function About({ subject, reload }: { subject: Subject; reload: () => void }) {
  const [ending, setEnding] = useState(false);
  const [suspending, setSuspending] = useState(false);
  const space = subject.__typename === "Space" ? subject : null;
  const person = subject.__typename === "Space" ? subject.host : subject;
  const end = () =>
    attempt(async () => {
      await tell(EndSpaceDocument, { spaceId: subject.id });
      say("The Space is ended, and its reports are closed.");
      setEnding(false);
      reload();
    });
  return (
    <div class="row">
      <Avatar person={person} size="m" />
      <p class="grow">
        {space === null ? (
          <a href={`/people/${person.handle}`}>
            <b>{person.name}</b>
          </a>
        ) : (
          <>
            <a href={`/spaces/${space.id}`}>
              <b>{space.title}</b>
            </a>
            <span class="quiet">
              {" "}
              · {plain(space.state)} · <a href={`/people/${person.handle}`}>{person.name}</a>
            </span>
          </>
        )}
      </p>
      {space?.state === "LIVE" && (
        <button class="button danger small" onClick={() => setEnding(true)}>
          End the Space
        </button>
      )}
      {space?.recording != null && (
        <a class="button small" href={`/moderation/case/${space.recording.id}`}>
          Recording
        </a>
      )}
      <button class="button small" onClick={() => setSuspending(true)}>
        Decide on {space === null ? "them" : "the host"}
      </button>
      {ending && (
        <Sure title="End this Space?" stay="Let it go on" act="End it now" onAct={() => void end()} onClose={() => setEnding(false)}>
          <p>Everybody is sent home, and its reports are closed.</p>
        </Sure>
      )}
      {suspending && <Suspend person={person} done={reload} onClose={() => setSuspending(false)} />}
    </div>
  );
}

const TAKEN: [Suspension, string][] = [
  ["NONE", "Nothing: close the reports, and give back what was taken"],
  ["RECORDING", "The right to record"],
  ["ACCOUNT", "The account: they are signed out, and cut off where they speak"],
];
const DAY_MS = 86_400_000;

function Suspend({ person, done, onClose }: { person: { id: string; name: string }; done: () => void; onClose: () => void }) {
  const [suspension, setSuspension] = useState<Suspension>("RECORDING");
  const [days, setDays] = useState("30");
  const [reason, setReason] = useState("");
  const send = (event: Event) => {
    event.preventDefault();
    const until = suspension === "NONE" || days === "" ? null : new Date(Date.now() + Number(days) * DAY_MS).toISOString();
    void attempt(async () => {
      await tell(SuspendDocument, { userId: person.id, suspension, until, reason });
      say(`Decided. The reports of ${person.name} are closed.`);
      onClose();
      done();
    });
  };
  return (
    <Dialog title={`What is taken from ${person.name}?`} onClose={onClose}>
      <form onSubmit={send}>
        <label class="field">
          Take
          <select value={suspension} onChange={(event) => setSuspension(event.currentTarget.value as Suspension)}>
            {TAKEN.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        </label>
        {suspension !== "NONE" && (
          <label class="field">
            For how many days; empty: for good
            <input type="number" min={1} max={3650} value={days} onInput={(event) => setDays(event.currentTarget.value)} />
          </label>
        )}
        <label class="field">
          Why
          <textarea rows={4} required maxLength={2000} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
        <FormEnd send="Decide" danger={suspension !== "NONE"} onClose={onClose} />
      </form>
    </Dialog>
  );
}
