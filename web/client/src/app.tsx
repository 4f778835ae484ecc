// The frame around every page: where one can go, who is signed in, what is being heard.
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Invitations, isModerator, NoticesPage, unseen, useNotices } from "./account/notices";
import { SignIn } from "./account/sign-in";
import { PeoplePage } from "./account/people";
import { PersonPage } from "./account/person";
import { SignOutDocument } from "./documents";
import { Avatar } from "./parts/avatar";
import { Sure } from "./parts/dialog";
import { Icon, Logo, type IconName } from "./parts/icons";
import { announce, attempt, Said } from "./parts/said";
import { Empty } from "./parts/states";
import { CasePage } from "./moderation/case";
import { LogPage } from "./moderation/log";
import { ModerationPage } from "./moderation/page";
import { PlayerBar } from "./player/bar";
import { RecordingsPage } from "./recordings/page";
import { go, path, subject } from "./router";
import { StageBar } from "./space/bar";
import { NewSpace } from "./space/new";
import { SpacePage } from "./space/page";
import { isOnAir, stage } from "./space/stage";
import { Timeline } from "./timeline/timeline";
import { isConnected, isOnline, newVisitor, tell } from "./wire/client";
import { following } from "./wire/follow";
import { forget, me } from "./wire/session";

interface Page {
  title: string;
  page: VNode;
  /** It is about one thing, which has a name. */
  isNamed?: boolean;
}

/** A part of a path; one that is not well encoded stands for itself, and names nothing. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function pageAt(at: string): Page {
  const [first = "", second = "", third = ""] = at.split("/").slice(1).map(decoded);
  switch (first) {
    case "":
      return { title: "Timeline", page: <Timeline /> };
    case "sign-in":
      return { title: "Sign in", page: <SignIn key="in" isNew={false} /> };
    case "sign-up":
      return { title: "Make an account", page: <SignIn key="up" isNew /> };
    case "people":
      return second === ""
        ? { title: "Find people", page: <PeoplePage /> }
        : { title: `@${second}`, page: <PersonPage key={second} handle={second} />, isNamed: true };
    case "spaces":
      return { title: "Space", page: <SpacePage key={second} id={second} />, isNamed: true };
    case "new":
      return { title: "New Space", page: <NewSpace /> };
    case "recordings":
      return { title: "Your recordings", page: <RecordingsPage /> };
    case "notices":
      return { title: "Notices", page: <NoticesPage /> };
    case "moderation":
      if (second === "case") return { title: "Case", page: <CasePage key={third} id={third} />, isNamed: true };
      if (second === "log") return { title: "Audit log", page: <LogPage /> };
      return { title: "Moderation", page: <ModerationPage /> };
    default:
      return { title: "Not found", page: <Missing /> };
  }
}

function Missing() {
  return (
    <Empty icon="gone" title="There is no such page">
      <a class="button" href="/">
        To the timeline
      </a>
    </Empty>
  );
}

export function App() {
  const { title, page, isNamed = false } = pageAt(path.value);
  const name = subject.value ?? title;
  useEffect(() => {
    document.title = `${name} · Spaces`;
  }, [name]);
  useNotices();
  // Who goes on by keyboard or hears the page stands where the new one begins.
  const content = useRef<HTMLElement>(null);
  const at = useRef(path.value);
  useEffect(() => {
    if (at.current !== path.value) content.current?.focus({ preventScroll: true });
    at.current = path.value;
  }, [path.value]);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <Top />
      <Offline />
      <main id="main" tabIndex={-1} {...(isNamed && subject.value === null ? {} : { "aria-label": name })} ref={content}>
        <Invitations />
        {page}
      </main>
      <Said />
      {stage.value === null ? <PlayerBar /> : <StageBar />}
    </>
  );
}

function Top() {
  const who = me.value;
  const [asking, setAsking] = useState(false);
  return (
    <header class="top">
      <a class="home" href="/">
        <Logo />
        <span>Spaces</span>
      </a>
      <nav aria-label="Main">
        <To href="/" icon="home">
          Timeline
        </To>
        <To href="/new" icon="plus">
          New Space
        </To>
        <To href="/people" icon="people">
          People
        </To>
        {who !== null && (
          <To href="/notices" icon="bell">
            Notices{unseen.value > 0 && <b class="unseen-count">{unseen.value}</b>}
          </To>
        )}
      </nav>
      {who === null ? (
        <a class="button primary small sign-in" href="/sign-in">
          Sign in
        </a>
      ) : (
        <details class="account">
          <summary aria-label={`Account of ${who.name}`}>
            <Avatar person={who} size="m" />
          </summary>
          <div class="menu">
            <a href={`/people/${who.handle}`}>
              <b>{who.name}</b>
              <span class="quiet">@{who.handle}</span>
            </a>
            <a href="/recordings">
              <Icon name="wave" /> Your recordings
            </a>
            {isModerator.value && (
              <a href="/moderation">
                <Icon name="shield" /> Moderation
              </a>
            )}
            <button onClick={() => void isOnAir().then((onAir) => (onAir ? setAsking(true) : signOut()))}>
              <Icon name="out" /> Sign out
            </button>
          </div>
        </details>
      )}
      {asking && who !== null && (
        <Sure title="Sign out?" stay="Stay" act="Sign out" onAct={() => void signOut().then(() => setAsking(false))} onClose={() => setAsking(false)}>
          <p>Your microphone is open{stage.value === null && " in another tab"}, and closes with it: nobody hears you then.</p>
        </Sure>
      )}
    </header>
  );
}

function To({ href, icon, children }: { href: string; icon: IconName; children: ComponentChildren }) {
  const isHere = path.value === href;
  return (
    <a href={href} {...(isHere ? { "aria-current": "page" as const } : {})}>
      <Icon name={icon} />
      <span>{children}</span>
    </a>
  );
}

async function signOut(): Promise<void> {
  await attempt(() => tell(SignOutDocument, {}));
  forget();
  newVisitor();
  go("/");
}

const AWAY_MS = 1_500;

/** Said only when it lasts: a socket that comes right back is nobody's concern. */
function Offline() {
  const away = !isOnline.value || (!isConnected.value && following.value > 0);
  const wasSaid = useRef(false);
  useEffect(() => {
    if (!away && wasSaid.current) announce("The connection is back.");
    wasSaid.current = false;
    if (!away) return;
    const timer = setTimeout(() => {
      announce("The connection is lost. It is tried again.", { urgent: true });
      wasSaid.current = true;
    }, AWAY_MS);
    return () => clearTimeout(timer);
  }, [away]);
  return (
    <p class={`offline ${away ? "away" : ""}`}>
      {away ? (isOnline.value ? "Connecting again …" : "You are offline. What you see may have changed.") : ""}
    </p>
  );
}
