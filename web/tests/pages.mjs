// Checks the pages in a browser: node web/tests/pages.mjs URL, where a phipi with an empty cache and `--max-n 6543210`
// listens at URL, or is behind a proxy there.
import { finish } from "./check.mjs";
import { checkExplorer } from "./explorer.mjs";
import { checkGraphiql } from "./graphiql.mjs";

await checkExplorer();
await checkGraphiql();
await finish();
