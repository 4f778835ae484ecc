// A recording is deleted by its host, while it is made or after.
import { DeleteRecordingDocument, type DeleteRecordingMutation } from "../documents";
import { Sure } from "../parts/dialog";
import { attempt, say } from "../parts/said";
import { asDay } from "../parts/times";
import { tell } from "../wire/client";

export type Deleted = NonNullable<DeleteRecordingMutation["deleteRecording"]["recording"]>;

interface Asked {
  recordingId: string;
  /** Being recorded now: the Space goes on without it. */
  isLive?: boolean;
  done: (recording: Deleted) => void;
  onClose: () => void;
}

export function DeleteDialog({ recordingId, isLive = false, done, onClose }: Asked) {
  const remove = () =>
    attempt(async () => {
      const { recording } = await tell(DeleteRecordingDocument, { recordingId });
      const until = recording?.retention?.reviewUntil;
      say(until ? `Deleted. The review copy is destroyed on ${asDay(until)}.` : "Deleted.");
      onClose();
      if (recording !== null) done(recording);
    });
  return (
    <Sure title="Delete this recording?" stay="Keep it" act="Delete for good" onAct={() => void remove()} onClose={onClose}>
      <p>
        {isLive && "Recording stops at once, for everyone, and the Space goes on. It cannot be recorded again. "}
        From this moment nobody can play, share or download it, here or anywhere it was shared. It cannot be undone.
      </p>
      <p class="consent">
        A review copy stays for moderators alone, for 30 days; longer only while a report or an appeal is open. Then every byte
        is destroyed, and you get a signed receipt.
      </p>
    </Sure>
  );
}
