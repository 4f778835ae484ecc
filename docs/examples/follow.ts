// Print what happens in a Space, through whatever breaks: node follow.js URL TOKEN SPACE_ID
import { readFileSync } from "node:fs";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

interface SpaceUpdates {
  spaceUpdates: { cursor: string; kind: string; space: { title: string; state: string } };
}

const [url, token, spaceId] = process.argv.slice(2) as [string, string, string];

const client = createClient({
  url: url.replace("http", "ws"),
  webSocketImpl: WebSocket, // a browser has its own
  connectionParams: { authorization: `Bearer ${token}` },
  retryAttempts: Infinity,
  shouldRetry: (event) => (event as { code?: number }).code !== 4403, // the token is no longer good
});

const variables: { spaceId: string; after?: string } = { spaceId };
const query = readFileSync("operations/SpaceUpdates.graphql", "utf8");

client.subscribe<SpaceUpdates>(
  { query, variables },
  {
    next({ data, errors }) {
      if (!data) throw new Error(errors?.[0]?.message);
      const { cursor, kind, space } = data.spaceUpdates;
      variables.after = cursor; // the client sends it when it connects again: nothing lost, nothing twice
      console.log(kind, space.title, space.state);
      if (space.state === "ENDED" || space.state === "CANCELED") void client.dispose();
    },
    error(problem) {
      const { code, reason } = problem as { code?: number; reason?: string };
      console.error(code ? `${code} ${reason}` : problem);
      process.exit(1);
    },
    complete() {},
  },
);
