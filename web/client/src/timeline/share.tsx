import { useState } from "preact/hooks";
import { ShareRecordingDocument, ShareSpaceDocument, SpaceOfDocument } from "../documents";
import { Dialog, FormEnd } from "../parts/dialog";
import { useLoaded } from "../parts/load";
import { say } from "../parts/said";
import { clock } from "../parts/times";
import { signInFirst } from "../router";
import { ask, tell } from "../wire/client";
import { session } from "../wire/session";
import { addCard } from "./cards";

interface Shared {
  title: string;
  onClose: () => void;
  /** Of a recording; else a Space is shared. */
  recordingId?: string;
  spaceId?: string;
  startMs?: number;
  /** Where others begin to hear it: moments are told from there on. */
  beginsMs?: number;
  durationMs?: number;
}

/** On one's own timeline, or outside: as a link, or as a player in somebody's page. */
export function ShareDialog(shared: Shared) {
  const { onClose, recordingId, spaceId } = shared;
  const signIn = () => {
    onClose();
    signInFirst();
  };
  return (
    <Dialog title="Share" onClose={onClose}>
      {session.value === null ? (
        <>
          <p>Sign in to share it on your timeline.</p>
          <button class="button primary" onClick={signIn}>
            Sign in
          </button>
        </>
      ) : (
        <OnTimeline {...shared} />
      )}
      <Outside recordingId={recordingId} spaceId={spaceId} />
    </Dialog>
  );
}

/** A card of one's own: with a comment, and for a recording with the moment where it begins. */
function OnTimeline({ title, onClose, recordingId, spaceId, startMs = 0, beginsMs = 0, durationMs = 0 }: Shared) {
  const [comment, setComment] = useState("");
  const [fromHere, setFromHere] = useState(startMs > beginsMs);
  const [problem, setProblem] = useState("");
  const [isSending, setSending] = useState(false);
  const send = async (event: Event) => {
    event.preventDefault();
    setSending(true);
    setProblem("");
    try {
      const words = comment.trim() === "" ? null : comment.trim();
      const begin = fromHere ? Math.floor(Math.min(startMs, durationMs)) : 0;
      const { item } =
        recordingId !== undefined
          ? await tell(ShareRecordingDocument, { recordingId, comment: words, startMs: begin })
          : await tell(ShareSpaceDocument, { spaceId: spaceId ?? "", comment: words });
      if (item) addCard(item);
      say("Shared on your timeline.");
      onClose();
    } catch (failed) {
      setProblem(failed instanceof Error ? failed.message : String(failed));
    } finally {
      setSending(false);
    }
  };
  return (
    <form onSubmit={(event) => void send(event)}>
      <p class="quoted">{title}</p>
      <label class="field">
        Comment
        <textarea
          rows={3}
          maxLength={1000}
          placeholder="What should people listen for?"
          value={comment}
          onInput={(event) => setComment(event.currentTarget.value)}
        />
      </label>
      {recordingId !== undefined && startMs > beginsMs && (
        <label class="check">
          <input type="checkbox" checked={fromHere} onChange={(event) => setFromHere(event.currentTarget.checked)} />
          Start at {clock(startMs - beginsMs)}
        </label>
      )}
      <FormEnd send="Share" problem={problem} isSending={isSending} onClose={onClose} />
    </form>
  );
}

/** The card's page, and the frame that plays it, as oEmbed names them. */
interface Place {
  url: string;
  html: string;
}

type Of = { recordingId: string | undefined; spaceId: string | undefined };

async function placeOf({ recordingId, spaceId }: Of): Promise<Place> {
  const id = spaceId ?? (await ask(SpaceOfDocument, { id: recordingId ?? "" })).recording?.space.id;
  const answer = await fetch(`/oembed?url=${encodeURIComponent(`${location.origin}/spaces/${id ?? ""}`)}`);
  if (!answer.ok) throw new Error("This has no public page.");
  return (await answer.json()) as Place;
}

async function copy(text: string, done: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say(done);
  } catch {
    say("The browser does not let this page copy. Select the text and copy it.", { bad: true });
  }
}

function Outside(of: Of) {
  const { value, error } = useLoaded(() => placeOf(of), [of.recordingId, of.spaceId]);
  const [embeds, setEmbeds] = useState(false);
  if (error !== null) return null;
  const { url = "", html = "" } = value ?? {};
  return (
    <section aria-label="Elsewhere">
      <label class="field">
        Link for everyone
        <input readOnly value={url} onFocus={(event) => event.currentTarget.select()} />
      </label>
      <div class="row">
        <button class="button small" disabled={url === ""} onClick={() => void copy(url, "The link is copied.")}>
          Copy link
        </button>
        <button class="button small" disabled={html === ""} aria-expanded={embeds} onClick={() => setEmbeds(!embeds)}>
          Embed
        </button>
      </div>
      {embeds && (
        <>
          <label class="field">
            Code for a page of yours
            <textarea rows={4} readOnly spellcheck={false} value={html} onFocus={(event) => event.currentTarget.select()} />
          </label>
          <div class="row">
            <button class="button small" onClick={() => void copy(html, "The code is copied.")}>
              Copy code
            </button>
          </div>
        </>
      )}
    </section>
  );
}
