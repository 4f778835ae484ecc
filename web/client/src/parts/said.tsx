// What has just happened: a line that comes and goes, and that screen readers say.
import { signal } from "@preact/signals";

interface Word {
  id: number;
  text: string;
  bad: boolean;
  isShown: boolean;
  isUrgent: boolean;
}

interface Manner {
  /** Something went wrong. */
  bad?: boolean;
  /** Screen readers break off for it: a microphone or a connection is lost. */
  urgent?: boolean;
}

const words = signal<readonly Word[]>([]);
/** How many dialogs are open. All but the last is out of reach, so it is said in there. */
export const depth = signal(0);
let last = 0;

export function say(text: string, { bad = false, urgent = false }: Manner = {}): void {
  // One line is shown at a time; what is only heard waits for its turn.
  words.value = words.value.filter(({ isShown }) => !isShown);
  add({ text, bad, isShown: true, isUrgent: urgent });
}

/** For what the page shows already, where only those who see it would notice. */
export function announce(text: string, { urgent = false }: Pick<Manner, "urgent"> = {}): void {
  add({ text, bad: false, isShown: false, isUrgent: urgent });
}

function add(word: Omit<Word, "id">): void {
  const id = ++last;
  words.value = [...words.value, { id, ...word }];
  setTimeout(() => drop(id), word.bad ? 9_000 : 5_000);
}

function drop(id: number): void {
  words.value = words.value.filter((word) => word.id !== id);
}

/** Run something; what it throws is said. Answers whether it went well. */
export async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    say(error instanceof Error ? error.message : String(error), { bad: true });
    return false;
  }
}

/** Two regions that are there from the start, as only what is added to one is read. */
export function Said({ at = 0 }: { at?: number }) {
  const here = depth.value === at ? words.value : [];
  return (
    <>
      <div class="said" role="status" aria-live="polite" aria-atomic="false">
        {here.filter(({ isUrgent }) => !isUrgent).map((word) => <Line key={word.id} word={word} />)}
      </div>
      <div class="said" aria-live="assertive">
        {here.filter(({ isUrgent }) => isUrgent).map((word) => <Line key={word.id} word={word} />)}
      </div>
    </>
  );
}

function Line({ word }: { word: Word }) {
  if (!word.isShown) return <span class="unseen">{word.text}</span>;
  return (
    <p class={word.bad ? "bad" : ""}>
      {word.text}
      <button class="plain" aria-label="Dismiss" onClick={() => drop(word.id)}>
        ×
      </button>
    </p>
  );
}
