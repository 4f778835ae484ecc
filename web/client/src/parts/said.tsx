// One line that comes and goes, for what has just happened; screen readers say it.
import { signal } from "@preact/signals";

interface Word {
  text: string;
  bad: boolean;
}

const word = signal<Word | null>(null);
/** How many dialogs are open. All but the last is out of reach, so it is said in there. */
export const depth = signal(0);
let timer: ReturnType<typeof setTimeout> | undefined;

export function say(text: string, { bad = false } = {}): void {
  word.value = { text, bad };
  clearTimeout(timer);
  timer = setTimeout(() => (word.value = null), bad ? 9_000 : 5_000);
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

const announced = signal("");

/** Tell who does not see it what has changed on the page. */
export function announce(text: string): void {
  announced.value = text;
}

export function Announced() {
  return (
    <p class="unseen" role="status">
      {announced.value}
    </p>
  );
}

export function Said({ at = 0 }: { at?: number }) {
  const now = depth.value === at ? word.value : null;
  return (
    <div class="said" role="status" aria-live="polite">
      {now && (
        <p class={now.bad ? "bad" : ""}>
          {now.text}
          <button class="plain" aria-label="Dismiss" onClick={() => (word.value = null)}>
            ×
          </button>
        </p>
      )}
    </div>
  );
}
