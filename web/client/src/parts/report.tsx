import { useState } from "preact/hooks";
import { ReportDocument, type ReportCategory } from "../documents";
import { tell } from "../wire/client";
import { Dialog, FormEnd } from "./dialog";
import { say } from "./said";

const CATEGORIES: [ReportCategory, string][] = [
  ["ABUSE", "Somebody is harassed"],
  ["HATE", "Hate against a group"],
  ["VIOLENCE", "Threats or praise of violence"],
  ["SELF_HARM", "Self-harm or suicide"],
  ["CHILD_SAFETY", "A child is in danger"],
  ["PRIVACY", "Private facts are given away"],
  ["SPAM", "Spam or fraud"],
  ["OTHER", "Something else"],
];

export const categoryInWords = (category: ReportCategory): string =>
  CATEGORIES.find(([value]) => value === category)?.[1] ?? "Something else";

export function ReportDialog({ subjectId, what, onClose }: { subjectId: string; what: string; onClose: () => void }) {
  const [category, setCategory] = useState<ReportCategory>("ABUSE");
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState("");
  const send = async (event: Event) => {
    event.preventDefault();
    try {
      await tell(ReportDocument, { subjectId, category, reason });
      say("Thank you. A moderator will look at it.");
      onClose();
    } catch (failed) {
      setProblem(failed instanceof Error ? failed.message : String(failed));
    }
  };
  return (
    <Dialog title={`Report ${what}`} onClose={onClose}>
      <form onSubmit={(event) => void send(event)}>
        <label class="field">
          What is wrong
          <select value={category} onChange={(event) => setCategory(event.currentTarget.value as ReportCategory)}>
            {CATEGORIES.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          In your words
          <textarea rows={4} required maxLength={2000} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
        <FormEnd send="Report" problem={problem} danger onClose={onClose} />
      </form>
    </Dialog>
  );
}
