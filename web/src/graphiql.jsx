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
import { withAllEvents } from "./events.js";
import { shared } from "./link.js";
import { Chosen, Share } from "./share.jsx";
import { TABS } from "./tabs.js";

const url = new URL("graphql", location.href);
const webSocketUrl = new URL(url);
webSocketUrl.protocol = url.protocol.replace("http", "ws");

const fetcher = createGraphiQLFetcher({
  url: url.href,
  // It connects with the first subscription, not before.
  wsClient: createClient({ url: webSocketUrl.href }),
  // phipi sends an answer in one piece, and a subscription alone in several.
  enableIncrementalDelivery: false,
});

// GraphiQL brings back the tabs of the last visit, beside the one of the link. On the first visit it wants to be told
// what is in the first tab.
const isFirstVisit = localStorage.getItem("graphiql:tabState") === null;
const linked = shared(location.search);
const tabs = linked ? [linked, ...TABS] : TABS;
const first = linked ?? (isFirstVisit ? TABS[0] : undefined);

createRoot(document.getElementById("graphiql")).render(
  <GraphiQL
    fetcher={withAllEvents(fetcher)}
    defaultTabs={tabs}
    initialQuery={first?.query}
    initialVariables={first?.variables}
    initialHeaders={first?.headers}
    defaultEditorToolsVisibility="variables"
    plugins={[HISTORY_PLUGIN, explorerPlugin()]}
  >
    <GraphiQL.Logo>
      <a className="graphiql-logo-link" href="./">
        ← Explorer
      </a>
    </GraphiQL.Logo>
    <GraphiQL.Toolbar>
      {({ prettify, copy, merge }) => (
        <>
          {prettify}
          {merge}
          {copy}
          <Share />
          {linked?.operationName && <Chosen operationName={linked.operationName} />}
        </>
      )}
    </GraphiQL.Toolbar>
  </GraphiQL>,
);
