// One's own name, words and picture, and what the 'Record Space' switch begins with.
import { useState } from "preact/hooks";
import { MeDocument, UpdateAccountDocument } from "../documents";
import { Dialog, FormEnd } from "../parts/dialog";
import { useLoaded } from "../parts/load";
import { say } from "../parts/said";
import { Failed } from "../parts/states";
import { ask, tell } from "../wire/client";
import { renamed, session } from "../wire/session";

const PATH = "/account/avatar";

/** Throws what the person must know. */
async function putPicture(picture: File): Promise<void> {
  const headers = { Authorization: `Bearer ${session.peek()?.token ?? ""}`, "Content-Type": picture.type };
  const answer = await fetch(PATH, { method: "PUT", headers, body: picture });
  if (!answer.ok) throw new Error("The server did not take this picture. It takes JPEG, PNG, WebP and GIF.");
}

export function EditProfile({ onClose, done }: { onClose: () => void; done: () => void }) {
  const { value, error, reload } = useLoaded(async () => (await ask(MeDocument, {})).viewer, []);
  return (
    <Dialog title="Your profile" onClose={onClose}>
      {value !== null ? (
        <Form before={{ name: value.user.name, bio: value.user.bio ?? "", records: value.recordsByDefault }} onClose={onClose} done={done} />
      ) : (
        error !== null && <Failed error={error} again={reload} />
      )}
    </Dialog>
  );
}

interface Facts {
  name: string;
  bio: string;
  records: boolean;
}

function Form({ before, onClose, done }: { before: Facts; onClose: () => void; done: () => void }) {
  const [name, setName] = useState(before.name);
  const [bio, setBio] = useState(before.bio);
  const [records, setRecords] = useState(before.records);
  const [picture, setPicture] = useState<File | null>(null);
  const [problem, setProblem] = useState("");
  const [isSending, setSending] = useState(false);
  const send = async (event: Event) => {
    event.preventDefault();
    setSending(true);
    setProblem("");
    try {
      if (picture !== null) await putPicture(picture);
      await tell(UpdateAccountDocument, { name: name.trim(), bio: bio.trim(), recordsByDefault: records });
      const user = (await ask(MeDocument, {})).viewer?.user;
      if (user) renamed({ id: user.id, handle: user.handle, name: user.name, avatarUrl: user.avatarUrl });
      say("Saved.");
      done();
      onClose();
    } catch (failed) {
      setProblem(failed instanceof Error ? failed.message : String(failed));
      setSending(false);
    }
  };
  return (
    <form onSubmit={(event) => void send(event)}>
      <label class="field">
        Name
        <input required maxLength={100} autocomplete="name" value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <label class="field">
        About you
        <textarea rows={3} maxLength={500} value={bio} onInput={(event) => setBio(event.currentTarget.value)} />
      </label>
      <label class="field">
        Picture
        <input
          type="file"
          accept="image/jpeg,image/png,image/webp,image/gif"
          onChange={(event) => setPicture(event.currentTarget.files?.[0] ?? null)}
        />
      </label>
      <label class="check">
        <input type="checkbox" checked={records} onChange={(event) => setRecords(event.currentTarget.checked)} />
        Record my Spaces, unless I switch it off
      </label>
      <FormEnd send="Save" problem={problem} isSending={isSending} onClose={onClose} />
    </form>
  );
}
