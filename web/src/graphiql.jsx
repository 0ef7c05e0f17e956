// GraphiQL, all of it from the server that it explores. Addresses are relative, whatever path a proxy puts before them.
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./graphiql.css";
import { explorerPlugin } from "@graphiql/plugin-explorer";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL, HISTORY_PLUGIN } from "graphiql";
import { createClient } from "graphql-ws";
import { createRoot } from "react-dom/client";
import { TABS } from "./tabs.js";

const url = new URL("graphql", location.href);
const webSocketUrl = new URL(url);
webSocketUrl.protocol = url.protocol.replace("http", "ws");

const fetcher = createGraphiQLFetcher({
  url: url.href,
  // It connects with the first subscription, not before.
  wsClient: createClient({ url: webSocketUrl.href }),
});

// GraphiQL brings back the tabs of the last visit. On the first one it leaves the variables of the first tab out.
const isFirstVisit = localStorage.getItem("graphiql:tabState") === null;

createRoot(document.getElementById("graphiql")).render(
  <GraphiQL
    fetcher={fetcher}
    defaultTabs={TABS}
    initialVariables={isFirstVisit ? TABS[0].variables : undefined}
    defaultEditorToolsVisibility="variables"
    plugins={[HISTORY_PLUGIN, explorerPlugin()]}
  />,
);
