import { useEffect, useState } from "preact/hooks";
import { FindPeopleDocument, type PersonFragment } from "../documents";
import { Avatar } from "../parts/avatar";
import { announce } from "../parts/said";
import { ask } from "../wire/client";

const PAUSE_MS = 250;

/** People whose handle or name begins like what is typed; nothing while nobody was looked for yet. */
export function useFound(text: string): PersonFragment[] | null {
  const [found, setFound] = useState<PersonFragment[] | null>(null);
  useEffect(() => {
    let wanted = true;
    if (text.trim() === "") return setFound(null);
    const timer = setTimeout(() => {
      ask(FindPeopleDocument, { text: text.trim().replace(/^@/, "") }).then(
        ({ users }) => {
          if (!wanted) return;
          const people = users.edges.flatMap(({ node }) => node ?? []);
          setFound(people);
          announce(people.length === 0 ? "Nobody is found." : people.length === 1 ? "1 person is found." : `${people.length} people are found.`);
        },
        () => undefined,
      );
    }, PAUSE_MS);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [text]);
  return found;
}

export function PeoplePage() {
  const [text, setText] = useState("");
  const found = useFound(text);
  return (
    <>
      <h1>Find people</h1>
      <label class="field">
        Name or handle
        <input type="search" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <ul class="people">
        {found?.map((person) => (
          <li key={person.id}>
            <a href={`/people/${person.handle}`}>
              <Avatar person={person} size="m" />
              <span>
                <b>{person.name}</b> <span class="quiet">@{person.handle}</span>
              </span>
            </a>
          </li>
        ))}
      </ul>
      {found?.length === 0 && <p class="quiet">Nobody is called that.</p>}
    </>
  );
}
