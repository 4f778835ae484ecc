// One Spaces card, in each of its lives.
import { useState } from "preact/hooks";
import { DeleteShareDocument, SetReminderDocument, type CardFragment } from "../documents";
import { Avatar } from "../parts/avatar";
import { Bars, Icon, PlayIcon } from "../parts/icons";
import { ReportDialog } from "../parts/report";
import { attempt, say } from "../parts/said";
import { Ago, asHour, asMoment, asWeekday, clock, Countdown, dayOfMonth, now, remaining } from "../parts/times";
import { Waveform } from "../parts/waveform";
import * as player from "../player/player";
import { signInFirst } from "../router";
import { tell } from "../wire/client";
import { me } from "../wire/session";
import { changeSpace, load, removeCard } from "./cards";
import { ShareDialog } from "./share";
import { needsTicket, Ticket } from "./ticket";

const BARS = 64;
const SOON_MS = 72 * 3_600_000;

type Space = CardFragment["space"];

/** `1 person`, `12 people`. */
export const count = (number: number, one: string, many: string): string =>
  `${number.toLocaleString()} ${number === 1 ? one : many}`;

export function RecordingBadge() {
  return (
    <span class="badge rec" title="This Space is being recorded">
      <i aria-hidden="true" />
      Rec<span class="unseen">: this Space is being recorded</span>
    </span>
  );
}

const BY: Partial<Record<CardFragment["kind"], string>> = {
  SPACE_SHARED: "shared a Space",
  RECORDING_SHARED: "shared a recording",
  CLIP_SHARED: "cut a clip",
};

export function Card({ card }: { card: CardFragment }) {
  const by = BY[card.kind];
  return (
    <article class="card" aria-label={card.space.title} data-kind={card.kind}>
      {by !== undefined && (
        <header class="shared">
          <Avatar person={card.author} size="m" />
          <div>
            <a class="name" href={`/people/${card.author.handle}`}>
              {card.author.name}
            </a>{" "}
            <span class="quiet">
              {by} · <Ago at={card.createdAt} />
            </span>
          </div>
          {card.viewerCanDelete && <TakeBack card={card} />}
        </header>
      )}
      {card.comment !== null && <p class="comment">{card.comment}</p>}
      <Body card={card} />
    </article>
  );
}

function TakeBack({ card }: { card: CardFragment }) {
  const takeBack = () =>
    attempt(async () => {
      await tell(DeleteShareDocument, { itemId: card.id });
      removeCard(card.id);
      say("Your share is taken back.");
    });
  return (
    <button class="round" aria-label="Take this share back" onClick={() => void takeBack()}>
      <Icon name="bin" />
    </button>
  );
}

function Body({ card }: { card: CardFragment }) {
  switch (card.space.state) {
    case "LIVE":
      return <Live card={card} />;
    case "SCHEDULED":
      return <Scheduled space={card.space} />;
    case "CANCELED":
      return <Tombstone space={card.space} text="This Space was called off." />;
    default:
      return card.recording?.viewerCanPlay ? <Ended card={card} recording={card.recording} /> : <Silent card={card} />;
  }
}

export function Host({ space }: { space: Pick<Space, "host"> }) {
  return (
    <a class="host" href={`/people/${space.host.handle}`}>
      <Avatar person={space.host} size="s" />
      <span>{space.host.name}</span>
      <span class="tag">Host</span>
    </a>
  );
}

function Live({ card }: { card: CardFragment }) {
  const { space } = card;
  const [sharing, setSharing] = useState(false);
  return (
    <div class="box live">
      <div class="badges">
        <span class="badge live">
          <Bars /> Live
        </span>
        {space.isRecording && <RecordingBadge />}
        <span class="count">{count(space.participantCount, "person", "people")} here</span>
      </div>
      <h2>
        <a href={`/spaces/${space.id}`}>{space.title}</a>
      </h2>
      <Host space={space} />
      <div class="row">
        {needsTicket(space) ? (
          <Ticket space={space} done={() => void load()} onColour />
        ) : (
          <a class="button on-colour grow" href={`/spaces/${space.id}`}>
            {space.host.id === me.value?.id ? "Go to your Space" : "Join"}
          </a>
        )}
        <button class="round on-colour" aria-label="Share this Space" onClick={() => setSharing(true)}>
          <Icon name="share" />
        </button>
      </div>
      {sharing && <ShareDialog spaceId={space.id} title={space.title} onClose={() => setSharing(false)} />}
    </div>
  );
}

function Scheduled({ space }: { space: Space }) {
  const at = space.scheduledStart;
  const isMine = space.host.id === me.value?.id;
  const remind = () => {
    if (me.value === null) return signInFirst();
    void attempt(async () => {
      const enabled = !space.viewerHasReminder;
      const payload = await tell(SetReminderDocument, { spaceId: space.id, enabled });
      if (payload.space) changeSpace(space.id, payload.space);
      say(enabled ? "You will be told 10 minutes before, and at the start." : "No reminder any more.");
    });
  };
  return (
    <div class="box scheduled">
      <div class="when">
        {at !== null && (
          <span class="leaf" aria-hidden="true">
            <i>{asWeekday(at)}</i>
            <b>{dayOfMonth(at)}</b>
          </span>
        )}
        <div>
          <h2>
            <a href={`/spaces/${space.id}`}>{space.title}</a>
          </h2>
          <p class="quiet">
            {at === null ? (
              "Ready to start"
            ) : Date.parse(at) - now.value < SOON_MS ? (
              <>
                {asHour(at)} · starts in <Countdown to={at} past="a moment" />
              </>
            ) : (
              asMoment(at)
            )}
          </p>
        </div>
      </div>
      <Host space={space} />
      <div class="row">
        {isMine ? (
          <a class="button primary grow" href={`/spaces/${space.id}`}>
            Open
          </a>
        ) : (
          <button class="button grow" aria-pressed={space.viewerHasReminder} onClick={remind}>
            <Icon name={space.viewerHasReminder ? "bellOn" : "bell"} />
            {space.viewerHasReminder ? "Reminder set" : "Remind me"}
          </button>
        )}
        <Ticket space={space} done={() => void load()} />
        {space.reminderCount > 0 && <span class="quiet">{count(space.reminderCount, "person waits", "people wait")}</span>}
      </div>
    </div>
  );
}

function Ended({ card, recording }: { card: CardFragment; recording: NonNullable<CardFragment["recording"]> }) {
  const { space } = card;
  const [sharing, setSharing] = useState(false);
  const isCurrent = player.track.value?.id === recording.id && player.why.value === null;
  // A clip and all of its recording are two things to hear.
  const isThis = isCurrent && player.untilMs.value === (card.clip?.endMs ?? null);
  const isPlaying = isThis && player.phase.value === "playing";
  const at = isCurrent ? player.positionMs.value : (recording.viewerPositionMs ?? 0);
  const from = card.clip?.startMs ?? card.startMs;
  const begins = recording.startOffsetMs;
  const play = () => {
    if (isPlaying) return player.pause();
    const goesOn = card.clip === null ? isCurrent || from === 0 : isThis;
    const start = goesOn ? undefined : from;
    void player.playRecording(recording.id, { spaceId: space.id, title: space.title, host: space.host }, start, card.clip?.endMs);
  };
  return (
    <div class="box ended">
      <div class="badges quiet">
        Recorded {recording.endedAt && <Ago at={recording.endedAt} />}
        <Expiry at={recording.expiresAt} />
      </div>
      <h2>
        <a href={`/spaces/${space.id}`}>{card.clip?.title ?? space.title}</a>
      </h2>
      <Host space={space} />
      <div class="listen">
        <button class="button primary" aria-label={isPlaying ? "Pause" : "Play Recording"} onClick={play}>
          <PlayIcon playing={isPlaying} />
          <span>{isPlaying ? "Pause" : "Play Recording"}</span>
        </button>
        <Waveform
          peaks={recording.waveform}
          bars={BARS}
          durationMs={recording.durationMs}
          playedMs={at}
          startMs={recording.startOffsetMs}
          gaps={recording.gaps}
        />
        <span class="digits quiet">{clock(card.clip === null ? recording.durationMs - recording.startOffsetMs : card.clip.endMs - from)}</span>
      </div>
      <footer class="quiet">
        <span>{count(recording.playCount, "play", "plays")}</span>
        {from > begins && <span>starts at {clock(from - begins)}</span>}
        <span class="grow" />
        {recording.viewerCanShare && (
          <button class="link" onClick={() => setSharing(true)}>
            <Icon name="share" /> Share
          </button>
        )}
        <Report space={space} id={recording.id} />
      </footer>
      {sharing && (
        <ShareDialog
          recordingId={recording.id}
          title={space.title}
          startMs={isCurrent ? at : 0}
          beginsMs={begins}
          durationMs={recording.durationMs}
          onClose={() => setSharing(false)}
        />
      )}
    </div>
  );
}

/** For whoever is signed in, but its host. */
function Report({ space, id }: { space: Space; id: string }) {
  const [reporting, setReporting] = useState(false);
  if (me.value === null || space.host.id === me.value.id) return null;
  return (
    <>
      <button class="link" onClick={() => setReporting(true)}>
        <Icon name="flag" /> Report
      </button>
      {reporting && <ReportDialog subjectId={id} what="this recording" onClose={() => setReporting(false)} />}
    </>
  );
}

function Expiry({ at }: { at: string | null }) {
  if (at === null) return null;
  const ms = Date.parse(at) - now.value;
  return ms > 0 && ms < SOON_MS ? <span class="badge soon">{remaining(ms)} left</span> : null;
}

/** Moderators can look into what was reported for as long as bytes are kept. */
const COPY_THERE = new Set(["AVAILABLE", "DELETED", "EXPIRED", "TAKEN_DOWN"]);
const STILL_THERE = new Set(["FINALIZING", "AVAILABLE"]);

/** Over, and nothing to hear: never recorded, gone, or not for this person. */
function Silent({ card }: { card: CardFragment }) {
  const { recording, space } = card;
  const reportId = recording !== null && COPY_THERE.has(recording.status) ? recording.id : undefined;
  if (recording === null) return <Tombstone space={space} text="This Space is over and was not recorded." icon="wave" />;
  if (recording.status === "FINALIZING") return <Tombstone space={space} text="The recording is being closed." icon="clock" />;
  if (STILL_THERE.has(recording.status))
    return <Tombstone space={space} text="Only people with a ticket can play this recording." icon="lock" reportId={reportId} offer />;
  return <Tombstone space={space} text={player.reason(recording.status)} reportId={reportId} />;
}

interface Gone {
  space: Space;
  text: string;
  icon?: "gone" | "lock" | "clock" | "wave";
  offer?: boolean;
  /** Of the recording, if it can be reported. */
  reportId?: string | undefined;
}

function Tombstone({ space, text, icon = "gone", offer = false, reportId }: Gone) {
  return (
    <div class="box tombstone">
      <h2>
        <a href={`/spaces/${space.id}`}>{space.title}</a>
      </h2>
      <Host space={space} />
      <p class="gone">
        <Icon name={icon} /> {text}
      </p>
      {offer && needsTicket(space) && <Ticket space={space} done={() => void load()} />}
      {reportId !== undefined && (
        <footer class="quiet">
          <Report space={space} id={reportId} />
        </footer>
      )}
    </div>
  );
}
