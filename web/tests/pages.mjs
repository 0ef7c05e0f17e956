// Checks the pages in a browser: node web/tests/pages.mjs URL, where a phipi with an empty cache and `--max-n 6543210`
// listens at URL, or is behind a proxy there.
import { finish } from "./check.mjs";
import { checkDigits } from "./digits.mjs";
import { checkExplorer } from "./explorer.mjs";
import { checkGraphiql } from "./graphiql.mjs";
import { checkGrowth } from "./growth.mjs";

await checkExplorer();
await checkDigits();
await checkGrowth();
await checkGraphiql();
await finish();
