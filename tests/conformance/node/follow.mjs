// Follows a Space through whatever breaks, by `ws` or `sse`, and prints each event as a line of JSON.
//   node follow.mjs PROTOCOL URL TOKEN SPACE_ID
import * as overSse from "graphql-sse";
import * as overSocket from "graphql-ws";
import WebSocket from "ws";

const [protocol, url, token, spaceId] = process.argv.slice(2);
const authorization = `Bearer ${token}`;
const always = { retryAttempts: Infinity, retry: () => new Promise((resolve) => setTimeout(resolve, 5)) };

const clients = {
  ws: () =>
    overSocket.createClient({
      url: url.replace("http", "ws"),
      webSocketImpl: WebSocket,
      connectionParams: { authorization },
      retryAttempts: always.retryAttempts,
      retryWait: always.retry,
      shouldRetry: () => true,
    }),
  sse: () =>
    overSse.createClient({ url, headers: { authorization }, retryAttempts: always.retryAttempts, retry: always.retry }),
};

// Both clients send the operation anew when they connect again: so it says from where to go on.
const operation = {
  query: `subscription ($spaceId: ID!, $after: String) {
    spaceUpdates(spaceId: $spaceId, after: $after) { cursor kind ... on RecordingToggled { enabled } }
  }`,
  variables: { spaceId },
};

clients[protocol]().subscribe(operation, {
  next(result) {
    if (result.errors) throw new Error(JSON.stringify(result.errors));
    const event = result.data.spaceUpdates;
    operation.variables.after = event.cursor;
    console.log(JSON.stringify(event));
  },
  error(problem) {
    console.error(problem);
    process.exit(1);
  },
  complete() {
    process.exit(0);
  },
});
