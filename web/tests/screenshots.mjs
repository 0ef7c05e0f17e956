// Pictures of the pages for the documentation: node web/tests/screenshots.mjs URL OUTDIR.
import { join } from "node:path";
import { launch } from "./browser.mjs";

const [url, folder] = process.argv.slice(2);
if (!folder) {
  console.error("usage: scripts/make-screenshots URL OUTDIR");
  process.exit(2);
}
const browser = await launch();

const explorer = await browser.newPage({ viewport: { width: 1400, height: 1700 } });
await explorer.goto(new URL("?n=12345&terms=1000000", url).href);
await explorer.waitForSelector(".chart[aria-label]");
await explorer.screenshot({ path: join(folder, "explorer.png") });

const graphiql = await browser.newPage({ viewport: { width: 1400, height: 800 } });
await graphiql.goto(new URL("graphql", url).href);
await graphiql.locator(".graphiql-query-editor .view-lines", { hasText: "Both" }).waitFor();
await graphiql.getByRole("button", { name: "Show Documentation Explorer" }).click();
await graphiql.getByRole("link", { name: "Query" }).waitFor();
await graphiql.click(".graphiql-execute-button");
await graphiql.locator(".graphiql-response").getByText("pi").waitFor();
await graphiql.screenshot({ path: join(folder, "graphiql.png") });

await browser.close();
