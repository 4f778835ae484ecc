import { GraphiQL, type GraphiQLProps } from "graphiql";
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { recordingStatus, recordingStatusVariables, timeline } from "./examples";
import { fetcher } from "./fetcher";
import "./page.css";

const tabs: GraphiQLProps["defaultTabs"] = [
  { query: timeline },
  { query: recordingStatus, variables: recordingStatusVariables },
];

// Headers hold a bearer token: they are forgotten with the page unless the person says otherwise.
createRoot(document.getElementById("graphiql")!).render(
  <StrictMode>
    <GraphiQL
      fetcher={fetcher}
      defaultTabs={tabs}
      defaultEditorToolsVisibility="headers"
      inputValueDeprecation
    >
      <GraphiQL.Logo>Spaces</GraphiQL.Logo>
    </GraphiQL>
  </StrictMode>,
);
