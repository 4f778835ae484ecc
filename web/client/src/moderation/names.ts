// What the ids of the audit log stand for.
import { useEffect, useState } from "preact/hooks";
import { NamesDocument, type NamesQuery } from "../documents";
import { ask } from "../wire/client";

export interface Named {
  text: string;
  href: string;
}

/** So many ids the server looks up at once. */
const MOST = 100;

function named(node: NamesQuery["nodes"][number]): [string, Named][] {
  switch (node?.__typename) {
    case "User":
      return [[node.id, { text: node.name === "" ? "a deleted account" : node.name, href: `/people/${node.handle}` }]];
    case "Space":
      return [[node.id, { text: node.title, href: `/spaces/${node.id}` }]];
    case "Recording":
      return [[node.id, { text: node.space.title, href: `/moderation/case/${node.id}` }]];
    default:
      return [];
  }
}

/** Names and pages of people, Spaces and recordings, as they come; of what is not there any more there is none. */
export function useNames(ids: readonly string[]): ReadonlyMap<string, Named> {
  const [known, setKnown] = useState<ReadonlyMap<string, Named>>(new Map());
  const wanted = [...new Set(ids)].sort().join(" ");
  useEffect(() => {
    let isShown = true;
    const missing = wanted.split(" ").filter((id) => id !== "" && !known.has(id));
    const learn = async (some: string[]) => {
      const { nodes } = await ask(NamesDocument, { ids: some });
      if (isShown) setKnown((now) => new Map([...now, ...nodes.flatMap(named)]));
    };
    // Without the names the log is still whole.
    for (let from = 0; from < missing.length; from += MOST)
      learn(missing.slice(from, from + MOST)).catch(() => undefined);
    return () => {
      isShown = false;
    };
  }, [wanted]);
  return known;
}
