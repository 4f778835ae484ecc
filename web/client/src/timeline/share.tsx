import { useState } from "preact/hooks";
import { ShareRecordingDocument, ShareSpaceDocument } from "../documents";
import { Dialog, FormEnd } from "../parts/dialog";
import { say } from "../parts/said";
import { clock } from "../parts/times";
import { signInFirst } from "../router";
import { tell } from "../wire/client";
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

/** A card of one's own: with a comment, and for a recording with the moment where it begins. */
export function ShareDialog({ title, onClose, recordingId, spaceId, startMs = 0, beginsMs = 0, durationMs = 0 }: Shared) {
  const [comment, setComment] = useState("");
  const [fromHere, setFromHere] = useState(startMs > beginsMs);
  const [problem, setProblem] = useState("");
  const [isSending, setSending] = useState(false);
  if (session.value === null) {
    return (
      <Dialog title="Share" onClose={onClose}>
        <p>Sign in to share it on your timeline.</p>
        <button class="button primary" onClick={signInFirst}>
          Sign in
        </button>
      </Dialog>
    );
  }
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
    <Dialog title="Share" onClose={onClose}>
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
    </Dialog>
  );
}
