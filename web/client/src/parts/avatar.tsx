import type { PersonFragment } from "../documents";

const HUES = 8;

/** One of a few colours, always the same for a person. */
function hue(text: string): number {
  let mixed = 0x811c9dc5;
  for (const letter of text) mixed = Math.imul(mixed ^ (letter.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return (((mixed >>> 16) ^ mixed) >>> 0) % HUES;
}

export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...(word ?? "")][0] ?? "");
  return letters.join("").toUpperCase() || "?";
}

/** A person's picture, or their initials. The name stands beside it, so it says nothing to a screen reader. */
export function Avatar({ person, size = "m" }: { person: PersonFragment; size?: "s" | "m" | "l" | "xl" }) {
  return (
    <span class={`avatar ${size}`} data-hue={hue(person.handle)} data-initials={initials(person.name)} aria-hidden="true">
      {person.avatarUrl && <img src={person.avatarUrl} alt="" loading="lazy" />}
    </span>
  );
}
