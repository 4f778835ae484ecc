// What concerns the viewer: a list, and invitations that wait for an answer on whatever page one is.
import { signal } from "@preact/signals";
import type { TargetedEvent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { MeDocument, NoticesDocument, NoticesLiveDocument, RespondToInvitationDocument, type MeQuery, type NoticesQuery } from "../documents";
import { Avatar } from "../parts/avatar";
import { Icon, type IconName } from "../parts/icons";
import { usePaged } from "../parts/load";
import { More } from "../parts/more";
import { attempt, say } from "../parts/said";
import { Empty, Failed, Skeletons } from "../parts/states";
import { Ago } from "../parts/times";
import * as player from "../player/player";
import { go } from "../router";
import { stage } from "../space/stage";
import { ask, tell } from "../wire/client";
import { follow } from "../wire/follow";
import { me, renamed } from "../wire/session";
import { isPushing, mayPush, startPushing, stopPushing } from "./push";

type Viewer = NonNullable<MeQuery["viewer"]>;
type Invitation = NonNullable<Viewer["invitations"]["edges"][number]["node"]>;
type Notice = NonNullable<NonNullable<NoticesQuery["viewer"]>["notifications"]["edges"][number]["node"]>;

export const isModerator = signal(false);
export const unseen = signal(0);
const invitations = signal<Invitation[]>([]);

async function refresh(): Promise<void> {
  const { viewer } = await ask(MeDocument, {});
  if (viewer === null) return;
  isModerator.value = viewer.isModerator;
  invitations.value = viewer.invitations.edges.flatMap(({ node }) => node ?? []);
  const { id, handle, name, avatarUrl } = viewer.user;
  renamed({ id, handle, name, avatarUrl });
}

/** Keep up with what is told to the viewer, on every page. */
export function useNotices(): void {
  useEffect(() => {
    isModerator.value = false;
    invitations.value = [];
    unseen.value = 0;
    if (me.value === null) return;
    let stop: () => void = () => undefined;
    let wanted = true;
    void refresh().catch(() => undefined);
    ask(NoticesDocument, { first: 1, after: null }).then(({ viewer }) => {
      if (!wanted) return;
      const after = viewer?.notifications.edges[0]?.cursor ?? null;
      stop = follow(NoticesLiveDocument, {}, {
        after,
        on: ({ node }) => {
          if (node === null) return;
          unseen.value++;
          if (node.kind === "INVITED") void refresh().catch(() => undefined);
          else say(node.message);
        },
      });
    }, () => undefined);
    return () => {
      wanted = false;
      stop();
    };
  }, [me.value?.id]);
}

/** An invitation is answered where one is. */
export function Invitations() {
  const [first] = invitations.value;
  if (first === undefined) return null;
  const answer = (accept: boolean) =>
    attempt(async () => {
      await tell(RespondToInvitationDocument, { invitationId: first.id, accept });
      invitations.value = invitations.value.filter(({ id }) => id !== first.id);
      if (!accept) return;
      const { id, title, host, state } = first.space;
      go(`/spaces/${id}`);
      // That press lets the browser play: whoever comes to speak hears the room.
      if (state === "LIVE" && stage.value?.spaceId !== id) await player.playLive(id, { spaceId: id, title, host });
    });
  return (
    <aside class="note invited" aria-label="Invitation">
      <Avatar person={first.space.host} size="m" />
      <p>
        <b>{first.space.host.name}</b> asks you to be {first.role === "COHOST" ? "co-host" : "a speaker"} in{" "}
        <b>{first.space.title}</b>
      </p>
      <span class="row">
        <button class="button small" onClick={() => void answer(false)}>
          No, thanks
        </button>
        <button class="button primary small" onClick={() => void answer(true)}>
          Accept
        </button>
      </span>
    </aside>
  );
}

const ICONS: Record<Notice["kind"], IconName> = {
  INVITED: "mic",
  REMINDER: "clock",
  SPACE_STARTED: "wave",
  TICKET_ISSUED: "check",
  TICKET_REFUNDED: "check",
  RECORDING_AVAILABLE: "wave",
  RECORDING_EXPIRING: "clock",
  RECORDING_TAKEN_DOWN: "gone",
  CASE_CLOSED: "shield",
};

export function NoticesPage() {
  const { value, error, reload, more } = usePaged(
    (after) => ask(NoticesDocument, { first: 30, after }),
    ({ viewer }) => viewer?.notifications,
    [me.value?.id, unseen.value],
  );
  useEffect(() => () => void (unseen.value = 0), []);
  if (me.value === null)
    return (
      <Empty icon="bell" title="Sign in to be told of things">
        <a class="button primary" href="/sign-in?to=/notices">
          Sign in
        </a>
      </Empty>
    );
  if (value === null) return error === null ? <Skeletons /> : <Failed error={error} again={reload} />;
  return (
    <>
      <h1>Notices</h1>
      <Push />
      {value.nodes.length === 0 ? (
        <Empty icon="bell" title="Nothing yet">
          <p>Reminders, invitations and news of your recordings appear here.</p>
        </Empty>
      ) : (
        <ul class="rows card notices">
          {value.nodes.map((notice) => (
            <li key={notice.id}>
              <Icon name={ICONS[notice.kind] ?? "bell"} />
              <span>
                {notice.space === null ? notice.message : <a href={`/spaces/${notice.space.id}`}>{notice.message}</a>}
                <span class="quiet">
                  <Ago at={notice.at} />
                </span>
              </span>
            </li>
          ))}
        </ul>
      )}
      <More {...more} />
    </>
  );
}

function Push() {
  const [isOn, setOn] = useState<boolean | null>(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => void isPushing().then(setOn), []);
  if (!mayPush() || isOn === null) return null;
  // The switch turns once it is so: asking for leave and registering take a while, and may fail.
  const toggle = async (event: TargetedEvent<HTMLInputElement>) => {
    event.currentTarget.checked = isOn;
    setBusy(true);
    await attempt(async () => {
      await (isOn ? stopPushing() : startPushing());
      setOn(!isOn);
    });
    setBusy(false);
  };
  return (
    <label class="switch">
      <span>
        Tell this device
        <small>Reminders and invitations arrive also when this page is closed.</small>
      </span>
      <input type="checkbox" role="switch" checked={isOn} disabled={isBusy} onChange={(event) => void toggle(event)} />
    </label>
  );
}
