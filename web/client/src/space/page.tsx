// A Space: who is in it, what one may do in it, and before and after it what remains to do.
import { useState } from "preact/hooks";
import { SetReminderDocument, type CardFragment } from "../documents";
import { ReportDialog } from "../parts/report";
import { attempt } from "../parts/said";
import { Empty, Failed, Skeletons } from "../parts/states";
import { asMoment, Countdown, now, Since } from "../parts/times";
import { Bars, Icon } from "../parts/icons";
import { signInFirst } from "../router";
import { Card, count, Host, RecordingBadge } from "../timeline/card";
import { ShareDialog } from "../timeline/share";
import { needsTicket, Ticket } from "../timeline/ticket";
import { tell } from "../wire/client";
import { me } from "../wire/session";
import { Before, HostDesk } from "./desk";
import { Door } from "./door";
import { People } from "./people";
import { useRoom, type Room } from "./room";
import { stage } from "./stage";

export function SpacePage({ id }: { id: string }) {
  const { room, error, isMissing, reload } = useRoom(id);
  if (isMissing)
    return (
      <Empty icon="gone" title="There is no such Space">
        <p>It was taken away, or is not for you.</p>
        <a class="button" href="/">
          To the timeline
        </a>
      </Empty>
    );
  if (room === null) return error === null ? <Skeletons count={2} /> : <Failed error={error} again={reload} />;
  switch (room.space.state) {
    case "LIVE":
      return <LiveRoom room={room} reload={reload} />;
    case "SCHEDULED":
      return <Coming room={room} reload={reload} />;
    default:
      return <Over room={room} />;
  }
}

function LiveRoom({ room, reload }: { room: Room; reload: () => void }) {
  const { space, seats } = room;
  const mine = space.viewerParticipation;
  const isHost = space.host.id === me.value?.id;
  const helps = isHost || (mine?.role === "COHOST" && mine.leftAt === null);
  const [sharing, setSharing] = useState(false);
  const [reporting, setReporting] = useState(false);
  return (
    <div class="room">
      <section class="box live">
        <div class="badges">
          <span class="badge live">
            <Bars /> Live
          </span>
          {space.isRecording && <RecordingBadge />}
          <span class="count">{space.startedAt !== null && <Since at={space.startedAt} />}</span>
        </div>
        <Title of={space.title} />
        {space.description !== null && <p class="about">{space.description}</p>}
        <div class="facts">
          <span>{count(space.participantCount, "person", "people")} here</span>
          {space.topics.map((topic) => (
            <span key={topic}>#{topic}</span>
          ))}
        </div>
        {needsTicket(space) ? <Ticket space={space} done={reload} onColour /> : <Door space={space} isRemoved={room.isRemoved} />}
      </section>
      <Ending space={space} isHost={isHost} />
      {helps && <HostDesk room={room} isHost={isHost} />}
      <People space={space} seats={seats} helps={helps} isHost={isHost} />
      <div class="row">
        <button class="link" onClick={() => setSharing(true)}>
          <Icon name="share" /> Share
        </button>
        {me.value !== null && !isHost && (
          <button class="link" onClick={() => setReporting(true)}>
            <Icon name="flag" /> Report
          </button>
        )}
      </div>
      {sharing && <ShareDialog spaceId={space.id} title={space.title} onClose={() => setSharing(false)} />}
      {reporting && <ReportDialog subjectId={space.id} what="this Space" onClose={() => setReporting(false)} />}
    </div>
  );
}

function Coming({ room, reload }: { room: Room; reload: () => void }) {
  const { space } = room;
  const at = space.scheduledStart;
  const isHost = space.host.id === me.value?.id;
  const [hasReminder, setReminder] = useState(space.viewerHasReminder);
  const remind = () => {
    if (me.value === null) return signInFirst();
    void attempt(async () => {
      const payload = await tell(SetReminderDocument, { spaceId: space.id, enabled: !hasReminder });
      setReminder(payload.space?.viewerHasReminder ?? false);
    });
  };
  return (
    <div class="room">
      <section class="box scheduled card">
        <Title of={space.title} />
        {space.description !== null && <p class="about">{space.description}</p>}
        {at !== null && (
          <p class="quiet">
            {asMoment(at)} · starts in <Countdown to={at} past="a moment" />
          </p>
        )}
        <Host space={space} />
        {space.recordingEnabled && <p class="quiet">It will be recorded.</p>}
        <Ticket space={space} done={reload} />
        {!isHost && (
          <button class="button primary" aria-pressed={hasReminder} onClick={remind}>
            <Icon name={hasReminder ? "bellOn" : "bell"} />
            {hasReminder ? "Reminder set" : "Remind me"}
          </button>
        )}
      </section>
      {isHost && <Before room={room} reload={reload} />}
      <People space={space} seats={room.seats} helps={isHost} isHost={isHost} />
    </div>
  );
}

function Over({ room }: { room: Room }) {
  const { space, seats } = room;
  const isHost = space.host.id === me.value?.id;
  const [sharing, setSharing] = useState(false);
  const card: CardFragment = {
    id: space.id,
    kind: "SPACE_ENDED",
    createdAt: space.createdAt,
    activityAt: space.endedAt ?? space.createdAt,
    comment: null,
    startMs: 0,
    url: "",
    viewerCanDelete: false,
    author: space.host,
    space,
    recording: space.recording,
    clip: null,
  };
  return (
    <div class="room">
      <h1 class="unseen">{space.title}</h1>
      {isHost && space.recording?.viewerCanShare && (
        <div class="note">
          <Icon name="check" />
          <p>Your Space is over, and its recording can be played now.</p>
          <button class="button primary" onClick={() => setSharing(true)}>
            <Icon name="share" /> Share it
          </button>
        </div>
      )}
      <div class="cards">
        <Card card={card} />
      </div>
      {space.description !== null && <p class="about">{space.description}</p>}
      {space.totalListenerCount > 0 && (
        <p class="quiet">{count(space.totalListenerCount, "person was", "people were")} there.</p>
      )}
      <People space={space} seats={seats} helps={false} isHost={false} />
      {sharing && space.recording !== null && (
        <ShareDialog
          recordingId={space.recording.id}
          title={space.title}
          durationMs={space.recording.durationMs}
          onClose={() => setSharing(false)}
        />
      )}
    </div>
  );
}

const SOON_MS = 15 * 60_000;

/** A Space without its host, or at its longest time, ends by itself: nobody is to be surprised by it. */
function Ending({ space, isHost }: { space: Room["space"]; isHost: boolean }) {
  const { endsAt } = space;
  if (endsAt === null || Date.parse(endsAt) - now.value > SOON_MS) return null;
  const mayStay = isHost && stage.value?.spaceId !== space.id;
  return (
    <div class="note warm">
      <Icon name="clock" />
      <p>
        {mayStay ? "Nobody hears you. " : ""}This Space ends by itself in <b><Countdown to={endsAt} past="a moment" /></b>
        {mayStay ? ", unless you open your microphone." : "."}
      </p>
    </div>
  );
}

const LONG_CHARS = 80;

/** Whole, however long it is; then in smaller letters, so that what one can do stays on the screen. */
function Title({ of }: { of: string }) {
  return <h1 class={of.length > LONG_CHARS ? "long" : ""}>{of}</h1>;
}
