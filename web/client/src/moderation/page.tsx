// For moderators: what waits for a decision, and what the clocks will do.
import { QueueDocument } from "../documents";
import { Avatar } from "../parts/avatar";
import { usePaged } from "../parts/load";
import { More } from "../parts/more";
import { Failed, Skeletons } from "../parts/states";
import { Countdown } from "../parts/times";
import { ask } from "../wire/client";
import { me } from "../wire/session";
import { Closed } from "./closed";
import { Forecast } from "./plot";
import { plain, Reported } from "./reports";

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
          <p class="quiet">No recording is reported. Good.</p>
        ) : (
          <ul class="rows">
            {value.nodes.map((recording) => (
              <li key={recording.id}>
                <Avatar person={recording.space.host} size="m" />
                <span>
                  <b>{recording.space.title}</b>
                  <span class="quiet">
                    {recording.space.host.name} · {plain(recording.status)}
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
      <Reported />
      <section class="stage" aria-label="Forecast">
        <h2>What the clocks will do in {moderation.retentionForecast.length} days</h2>
        <Forecast days={moderation.retentionForecast} />
      </section>
    </>
  );
}
