import { useEffect, useState } from "preact/hooks";
import {
  FollowDocument,
  ProfileDocument,
  SpacesNowDocument,
  UnfollowDocument,
  type CardFragment,
  type ProfileQuery,
  type SpacesNowQuery,
} from "../documents";
import { Avatar } from "../parts/avatar";
import { usePaged } from "../parts/load";
import { More } from "../parts/more";
import { attempt } from "../parts/said";
import { Empty, Failed, Skeletons } from "../parts/states";
import { why } from "../player/player";
import { signInFirst, useSubject } from "../router";
import { ask, tell } from "../wire/client";
import { me } from "../wire/session";
import { Card, count } from "../timeline/card";
import { EditProfile } from "./profile";

const KINDS = { SCHEDULED: "SPACE_SCHEDULED", CANCELED: "SPACE_SCHEDULED", LIVE: "SPACE_LIVE", ENDED: "SPACE_ENDED" } as const;

const EVERY_MS = 10_000;
/** So many of the newest are kept up; older ones hardly change. */
const MOST = 20;

type Space = NonNullable<NonNullable<ProfileQuery["user"]>["spaces"]["edges"][number]["node"]>;

/** The Space as it is now, with the waveform that was read before. */
function updated(space: Space, found: SpacesNowQuery["nodes"][number] | undefined): Space {
  if (!found || !("recording" in found)) return space;
  const recording = found.recording && { waveform: [], ...space.recording, ...found.recording };
  return { ...space, ...found, recording };
}

export function PersonPage({ handle }: { handle: string }) {
  const { value: read, error, reload, set, more } = usePaged(
    (after) => ask(ProfileDocument, { handle, after }),
    ({ user }) => user?.spaces,
    [handle, me.value?.id],
  );
  const [editing, setEditing] = useState(false);
  useSubject(read?.answer.user?.name);
  const shown = read?.nodes.slice(0, MOST).map(({ id }) => id).join(" ") ?? "";
  // Nothing tells of other people's Spaces: they are asked for, and at once when a player stops for a reason.
  useEffect(() => {
    const refresh = async () => {
      if (shown === "" || document.hidden) return;
      const { nodes } = await ask(SpacesNowDocument, { ids: shown.split(" ") });
      const by = new Map(nodes.flatMap((node) => (node && "id" in node ? [[node.id, node]] : [])));
      set((now) => ({ ...now, nodes: now.nodes.map((space) => updated(space, by.get(space.id))) }));
    };
    const soon = () => void refresh().catch(() => undefined);
    if (why.value !== null) soon();
    const timer = setInterval(soon, EVERY_MS);
    return () => clearInterval(timer);
  }, [shown, why.value]);
  if (error !== null) return <Failed error={error} again={reload} />;
  if (read === null) return <Skeletons count={2} />;
  const value = read.answer.user;
  if (value === null)
    return (
      <Empty icon="gone" title={`Nobody is called @${handle}`}>
        <a class="button" href="/">
          To the timeline
        </a>
      </Empty>
    );
  const isMe = me.value?.id === value.id;
  const toggle = () => {
    if (me.value === null) return signInFirst();
    void attempt(async () => {
      const input = { userId: value.id };
      const { user } = value.viewerFollows ? await tell(UnfollowDocument, input) : await tell(FollowDocument, input);
      if (user) set((now) => ({ ...now, answer: { user: { ...value, ...user } } }));
    });
  };
  const cards: CardFragment[] = read.nodes.map((node) => ({
          id: node.id, kind: KINDS[node.state], createdAt: node.createdAt, activityAt: node.createdAt, comment: null,
          startMs: 0, url: "", viewerCanDelete: false, author: value, space: node, recording: node.recording, clip: null,
  }));
  return (
    <>
      <section class="profile">
        <Avatar person={value} size="xl" />
        <h1>{value.name}</h1>
        <p class="quiet">@{value.handle}</p>
        {value.bio !== null && value.bio !== "" && <p>{value.bio}</p>}
        <p class="quiet">
          {count(value.followerCount, "follower", "followers")} · follows {value.followingCount.toLocaleString()}
        </p>
        {isMe ? (
          <button class="button" onClick={() => setEditing(true)}>
            Edit your profile
          </button>
        ) : (
          <button class={`button ${value.viewerFollows ? "" : "primary"}`} aria-pressed={value.viewerFollows} onClick={toggle}>
            {value.viewerFollows ? "Following" : "Follow"}
          </button>
        )}
      </section>
      {editing && <EditProfile onClose={() => setEditing(false)} done={reload} />}
      {cards.length === 0 ? (
        <Empty icon="wave" title={`${value.name} has hosted no Space yet`} />
      ) : (
        <div class="cards">
          {cards.map((card) => (
            <Card key={card.id} card={card} />
          ))}
        </div>
      )}
      <More {...more} />
    </>
  );
}
