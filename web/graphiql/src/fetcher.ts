import type { Fetcher, FetcherParams } from "@graphiql/toolkit";
import { getOperationAST, type DocumentNode, type ExecutionResult } from "graphql";
import { createClient } from "graphql-ws";

type Headers = Record<string, string>;

/** The server answers HTTP and WebSocket at the address that the page itself came from. */
const endpoint = new URL("/graphql", location.href);

function socketUrl(): string {
  const url = new URL(endpoint);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** `connection_init` carries what HTTP carries in its header. */
function connectionParams(headers: Headers): Record<string, string> {
  const name = Object.keys(headers).find((key) => key.toLowerCase() === "authorization");
  return name === undefined ? {} : { authorization: headers[name] };
}

async function request(params: FetcherParams, headers: Headers): Promise<ExecutionResult> {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: {
      accept: "application/graphql-response+json, application/json",
      "content-type": "application/json",
      ...headers,
    },
    body: JSON.stringify(params),
  });
  const text = await response.text();
  try {
    return JSON.parse(text) as ExecutionResult;
  } catch {
    throw new Error(`expected JSON, got HTTP ${response.status}: ${text.slice(0, 200)}`);
  }
}

/** One socket a subscription: it opens with the headers of its tab, and closes when it is stopped. */
async function* subscribe(params: FetcherParams, headers: Headers): AsyncGenerator<ExecutionResult> {
  const client = createClient({
    url: socketUrl(),
    connectionParams: connectionParams(headers),
    retryAttempts: 0,
  });
  try {
    const results = client.iterate({
      query: params.query,
      operationName: params.operationName ?? undefined,
      variables: params.variables as Record<string, unknown> | undefined,
    });
    // What came over a wire is the formatted kind; GraphiQL only prints it.
    for await (const result of results) yield result as ExecutionResult;
  } catch (error) {
    throw error instanceof CloseEvent
      ? new Error(`the socket was closed: ${error.code} ${error.reason}`)
      : error;
  } finally {
    await client.dispose();
  }
}

function isSubscription(document: DocumentNode | undefined, operationName?: string | null): boolean {
  return !!document && getOperationAST(document, operationName)?.operation === "subscription";
}

export const fetcher: Fetcher = (params, options) => {
  const headers: Headers = options?.headers ?? {};
  return isSubscription(options?.documentAST, params.operationName)
    ? subscribe(params, headers)
    : request(params, headers);
};
