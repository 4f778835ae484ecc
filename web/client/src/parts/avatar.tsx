import type { PersonFragment } from "../documents";

const HUES = 8;

/** One of a few colours, always the same for a person. */
function hue(text: string): number {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
  return sum % HUES;
}

export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...(word ?? "")][0] ?? "");
  return letters.join("").toUpperCase() || "?";
}

/** A person's picture, or their initials. The name stands beside it, so it says nothing to a screen reader. */
export function Avatar({ person, size = "m" }: { person: PersonFragment; size?: "s" | "m" | "l" | "xl" }) {
  return (
    <span class={`avatar ${size}`} data-hue={hue(person.handle)} aria-hidden="true">
      {person.avatarUrl ? <img src={person.avatarUrl} alt="" loading="lazy" /> : initials(person.name)}
    </span>
  );
}
