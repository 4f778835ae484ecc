// What the page that is open is called, once it knows: the title of a Space, the name of a person.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export const named = signal<string | null>(null);

export function useTitle(text: string | null | undefined): void {
  useEffect(() => {
    named.value = text ?? null;
    return () => {
      named.value = null;
    };
  }, [text]);
}
