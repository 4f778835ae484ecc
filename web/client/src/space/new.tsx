import { useEffect, useState } from "preact/hooks";
import { CreateSpaceDocument, MayRecordDocument, StartSpaceDocument, type SpeakerPolicy } from "../documents";
import { Empty } from "../parts/states";
import { say } from "../parts/said";
import { go, path } from "../router";
import { ask, Refused, tell } from "../wire/client";
import { me } from "../wire/session";
import { places } from "../timeline/ticket";
import { RecordSwitch } from "./desk";
import { connect, withMicrophone } from "./stage";

const TITLE_CHARS = 200;
const POLICIES: [SpeakerPolicy, string][] = [
  ["RAISED_HAND", "Everyone who raises a hand"],
  ["FOLLOWED", "People you follow, by raising a hand"],
  ["INVITED", "Only people you invite"],
];

/** What `datetime-local` shows: the viewer's own time, without a zone. */
function local(at: Date): string {
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

const CURRENCIES = ["USD", "EUR", "GBP", "CHF", "JPY", "INR", "NGN", "BRL"];
const minor = (price: string, currency: string): number => Math.round(Number(price) * 10 ** places(currency));

/** The server's own words but for a price: those are for programs. */
function words(failed: unknown, price: string): string {
  if (!(failed instanceof Refused) || failed.path.at(-1) !== "priceMinor") return failed instanceof Error ? failed.message : String(failed);
  if (Number(price) < 1 || Number(price) > 999) return "A ticket costs 1 to 999, or 0 when it is free.";
  return "This installation takes no payments, so tickets can only be free. Set the price to 0, or ask who runs it.";
}

export function NewSpace() {
  const [title, setTitle] = useState("");
  const [about, setAbout] = useState("");
  const [record, setRecord] = useState<boolean | null>(null);
  const [later, setLater] = useState(false);
  const [at, setAt] = useState(local(new Date(Date.now() + 3_600_000)));
  const [policy, setPolicy] = useState<SpeakerPolicy>("RAISED_HAND");
  const [selling, setSelling] = useState(false);
  const [price, setPrice] = useState("0");
  const [currency, setCurrency] = useState("USD");
  const [capacity, setCapacity] = useState("100");
  const [problem, setProblem] = useState("");
  const [isSending, setSending] = useState(false);
  useEffect(() => {
    if (me.value === null) return;
    ask(MayRecordDocument, {}).then(
      ({ viewer }) => setRecord((now) => now ?? Boolean(viewer?.recordsByDefault && viewer.recordingEligibility.allowed)),
      () => undefined,
    );
  }, []);
  if (me.value === null)
    return (
      <Empty icon="mic" title="Host your own Space">
        <a class="button primary" href="/sign-in?to=/new">
          Sign in
        </a>
      </Empty>
    );
  const host = { ...me.value };

  const send = async (event: Event) => {
    event.preventDefault();
    setSending(true);
    setProblem("");
    const create = async () => {
      const { space } = await tell(CreateSpaceDocument, {
        title,
        description: about.trim() === "" ? null : about,
        record: record ?? false,
        speakerPolicy: policy,
        ticketing: selling && later ? { priceMinor: minor(price, currency), currency, capacity: Number(capacity) } : null,
        scheduledStart: later ? new Date(at).toISOString() : null,
      });
      if (space === null) throw new Error("The Space was not made. Try again.");
      return space.id;
    };
    const launch = async (stream: MediaStream) => {
      const spaceId = await create();
      try {
        await tell(StartSpaceDocument, { spaceId });
        await connect({ spaceId, title, host }, false, stream);
      } finally {
        // It is there now: whatever went wrong, one goes on at its own page.
        go(`/spaces/${spaceId}`);
      }
    };
    try {
      if (later) go(`/spaces/${await create()}`);
      else await withMicrophone(launch);
    } catch (failed) {
      const text = words(failed, price);
      if (path.value === "/new") setProblem(text);
      else say(text, { bad: true });
    } finally {
      setSending(false);
    }
  };
  return (
    <>
      <h1>New Space</h1>
      <form class="stage" onSubmit={(event) => void send(event)}>
        <div>
          <label class="field">
            What do you want to talk about?
            <input required maxLength={TITLE_CHARS} value={title} onInput={(event) => setTitle(event.currentTarget.value)} />
            <span class="quiet" role="status">
              {title.length > TITLE_CHARS - 50 && `${title.length} of at most ${TITLE_CHARS} characters`}
            </span>
          </label>
          <label class="field">
            Description
            <textarea rows={2} maxLength={5000} value={about} onInput={(event) => setAbout(event.currentTarget.value)} />
          </label>
          <RecordSwitch checked={record ?? false} onChange={setRecord} />
          <label class="field">
            Who may speak
            <select value={policy} onChange={(event) => setPolicy(event.currentTarget.value as SpeakerPolicy)}>
              {POLICIES.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          </label>
          <label class="check">
            <input type="checkbox" checked={later} onChange={(event) => setLater(event.currentTarget.checked)} />
            Schedule it for later
          </label>
          {later && (
            <label class="field">
              Starts at
              <input
                type="datetime-local"
                required
                value={at}
                min={local(new Date())}
                max={local(new Date(Date.now() + 14 * 86_400_000))}
                onInput={(event) => setAt(event.currentTarget.value)}
              />
              <small>In your time zone, at most 14 days ahead.</small>
            </label>
          )}
          {later && (
            <label class="check">
              <input type="checkbox" checked={selling} onChange={(event) => setSelling(event.currentTarget.checked)} />
              Only with a ticket
            </label>
          )}
          {later && selling && (
            <div class="row">
              <label class="field">
                Price
                <input type="number" required min={0} max={999} step="any" value={price} onInput={(event) => setPrice(event.currentTarget.value)} />
                <small>0 is free.</small>
              </label>
              <label class="field">
                Currency
                <select value={currency} onChange={(event) => setCurrency(event.currentTarget.value)}>
                  {CURRENCIES.map((code) => (
                    <option key={code}>{code}</option>
                  ))}
                </select>
              </label>
              <label class="field">
                Tickets
                <input type="number" required min={1} value={capacity} onInput={(event) => setCapacity(event.currentTarget.value)} />
              </label>
            </div>
          )}
          {problem !== "" && (
            <p class="problem" role="alert">
              {problem}
            </p>
          )}
          <button class="button primary wide" disabled={isSending}>
            {later ? "Schedule" : "Start now"}
          </button>
        </div>
      </form>
    </>
  );
}
