// The audit log, and the check of its chain.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { AuditDocument, type EntryFragment } from "../documents";
import { Icon } from "../parts/icons";
import { usePaged } from "../parts/load";
import { More } from "../parts/more";
import { attempt } from "../parts/said";
import { Failed, Skeletons } from "../parts/states";
import { asMoment } from "../parts/times";
import { ask } from "../wire/client";
import { me } from "../wire/session";
import { verify, type Verdict } from "./chain";
import { Closed } from "./closed";
import { useNames, type Named } from "./names";

/** Who did what to what. An entry holds ids alone; names are looked up as they are now. */
export function Entries({ entries }: { entries: readonly EntryFragment[] }) {
  const named = useNames(entries.flatMap(({ actorId, subjectId }) => (actorId === null ? [subjectId] : [actorId, subjectId])));
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
                <span class="quiet">
                  {" "}
                  by {entry.actorId === null ? "the server" : (named.get(entry.actorId)?.text ?? "somebody who is gone")}
                </span>
                <Subject of={named.get(entry.subjectId)} />
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

function Subject({ of }: { of: Named | undefined }) {
  if (of === undefined) return null;
  return (
    <a class="named" href={of.href}>
      {of.text}
    </a>
  );
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
