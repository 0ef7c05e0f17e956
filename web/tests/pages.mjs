// Checks the pages in a browser: node web/tests/pages.mjs URL, where a phipi with an empty cache listens at URL, or is
// behind a proxy there.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { launch } from "./browser.mjs";

const F_213 = "146178119651438213260386312206974243796773058";
const PI_1000 = "3.1406380562059932";
const POLICY =
  "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; " +
  "font-src 'self' data:; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const EXPLORER_BYTES = 120_000;
const GRAPHIQL_BYTES = 2_200_000;

const url = process.argv[2]?.replace(/\/$/, "");
if (!url) {
  console.error("usage: node web/tests/pages.mjs URL");
  process.exit(2);
}
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await launch();
let failures = 0;

// First of all, while nothing is cached.
await visit("explorer", "/", {}, async (page) => {
  await check("explorer: the first load shows both values, and neither was cached", async () => {
    await values(page, "computed");
    console.log(`   ready within ${await milliseconds(page)} ms`);
  });
  await check("explorer: the chart has its points, and the table the same", async () => {
    await page.waitForSelector(".chart[aria-label]");
    const points = Number(await page.getAttribute("figure", "data-points"));
    const rows = await page.locator("tbody tr").allTextContents();
    assert.ok(points > 40 && points <= 60, `${points} points`);
    assert.equal(rows.length, points);
    assert.match(rows.at(-1), new RegExp(`^1,000${PI_1000}`));
  });
  await check("explorer: it is small", () => small(page, EXPLORER_BYTES));
  await check("explorer: the second load says that both were cached", async () => {
    await page.reload();
    await values(page, "cached");
  });
  await check("explorer: Enter asks for other values, and keeps them in the address", async () => {
    await page.fill("#n", "1,000,000");
    await page.press("#n", "Enter");
    await page.getByRole("heading", { name: "F(1,000,000)" }).waitFor();
    assert.match(await page.textContent("#fib .value"), /^1953282128707757731632014947596256332443/);
    // 208,988 digits: two, and then threes.
    const groups = await page.locator("#fib .value span").allTextContents();
    assert.deepEqual(groups.map(({ length }) => length), [2, ...Array(groups.length - 1).fill(3)]);
    assert.equal(await page.textContent("#fib .value i"), `${(208_988 - groups.join("").length).toLocaleString("en")} digits between`);
    assert.equal(new URL(page.url()).search, "?n=1000000&terms=1000");
  });
  await check("explorer: all digits are there on demand", async () => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
    const digits = await readFile(await download.path(), "utf8");
    assert.equal(digits.length, 208_988);
    assert.equal(download.suggestedFilename(), "fibonacci-1000000.txt");
  });
  await check("explorer: copied digits are digits alone", async () => {
    await page.goto(`${url}/?n=213`);
    await values(page, "cached");
    const selected = await page.evaluate(() => {
      getSelection().selectAllChildren(document.querySelector("#fib .value"));
      return String(getSelection());
    });
    assert.equal(selected, F_213);
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.click("#copy");
    await page.getByText("Copied.").first().waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), F_213);
  });
  await check("explorer: an error of the server is told next to its field, and the other value is there", async () => {
    await page.fill("#n", "20000000");
    await page.fill("#terms", "5");
    await page.click(".primary");
    await page.getByText("n must be a whole number from 0 to 10,000,000, but it is 20,000,000").waitFor();
    assert.equal(await page.getAttribute("#n", "aria-invalid"), "true");
    assert.equal(await page.textContent("#fib .value"), "no answer");
    assert.equal(await page.textContent("#pi .value"), "2.9633877010385707");
  });
  await check("explorer: what is no number is told before anything is asked", async () => {
    await page.fill("#terms", "many");
    await page.press("#terms", "Enter");
    assert.equal(await page.textContent("#terms-error"), "Type a whole number, such as 1,000.");
    await page.fill("#terms", "2147483648");
    await page.press("#terms", "Enter");
    assert.equal(await page.textContent("#terms-error"), "Type a number up to 2,147,483,647.");
    assert.equal(await page.evaluate(() => document.activeElement.id), "terms");
  });
  await check("explorer: no terms give 0, and no chart", async () => {
    await page.goto(`${url}/?n=0&terms=0`);
    await page.getByRole("heading", { name: "π from 0 terms" }).waitFor();
    assert.equal(await page.textContent("#pi .value"), "0");
    assert.equal(await page.isVisible("figure"), false);
  });
});

for (const colorScheme of ["light", "dark"]) {
  for (const width of [400, 1400]) {
    const viewport = { width, height: 900 };
    await visit(`explorer, ${colorScheme}, ${width} px`, "/?n=12345&terms=2147483647", { colorScheme, viewport }, async (page) => {
      await page.waitForSelector(".chart[aria-label]");
      await check(`explorer, ${colorScheme}, ${width} px: nothing is wider than the page`, () => fits(page));
      await check(`explorer, ${colorScheme}, ${width} px: axe finds nothing serious`, async () => {
        assert.deepEqual(await faults(page), []);
      });
    });
  }
}

await visit("explorer, still", "/", { reducedMotion: "reduce" }, async (page) => {
  await check("explorer: the chart is drawn without motion too", () => page.waitForSelector(".chart[aria-label]"));
});

await check("explorer: without a server it says so, and asks again when told", async () => {
  const page = await browser.newPage();
  await page.route("**/graphql", (route) => route.abort());
  await page.goto(url);
  await page.getByText("The server does not answer.").waitFor();
  await page.unroute("**/graphql");
  await page.click("text=Try again");
  await values(page, "cached");
  assert.equal(await page.isVisible(".failure"), false);
  await page.context().close();
});

await visit("GraphiQL", "/graphql", {}, async (page, seen) => {
  const answer = page.locator(".graphiql-response");
  // Just after a tab was opened GraphiQL may still send the operation's name of the tab before. It is run again then, and
  // what it complains of meanwhile is forgotten.
  const run = async (expected, tries = 5) => {
    const complaints = seen.complaints.length;
    await page.click(".graphiql-execute-button");
    const found = answer.getByText(expected).first().waitFor({ timeout: 2_000 });
    await found.catch((error) => {
      if (tries === 1) throw error;
      seen.complaints.length = complaints;
      return run(expected, tries - 1);
    });
  };
  await check("GraphiQL: the first tab's query is answered", async () => {
    await editor(page, "Both");
    console.log(`   ready within ${await milliseconds(page)} ms`);
    await run(F_213);
    await run(PI_1000);
  });
  await check("GraphiQL: it is small", async () => {
    await page.waitForLoadState("networkidle");
    await small(page, GRAPHIQL_BYTES);
  });
  await check("GraphiQL: the subscription's tab is answered to the end", async () => {
    await page.getByRole("tab", { name: "Convergence" }).click();
    await run("1000000");
    assert.deepEqual(seen.webSockets, [`${url.replace("http", "ws")}/graphql`]);
  });
  for (const tab of ["Aliases", "FirstAndLastDigits"]) {
    await check(`GraphiQL: the tab ${tab} is answered`, async () => {
      await page.getByRole("tab", { name: tab }).click();
      await run("digitCount");
    });
  }
  await check("GraphiQL: the explorer beside the editor knows the schema", async () => {
    await page.getByRole("button", { name: "Show GraphiQL Explorer" }).click();
    await page.locator(".graphiql-explorer-root").getByText("fib").first().waitFor();
  });
});

for (const width of [400, 1400]) {
  await visit(`GraphiQL, ${width} px`, "/graphql", { viewport: { width, height: 900 } }, async (page) => {
    await editor(page, "Both");
    await check(`GraphiQL, ${width} px: nothing is wider than the page`, () => fits(page));
    await check(`GraphiQL, ${width} px: axe finds nothing serious outside of GraphiQL itself`, async () => {
      const found = await faults(page);
      for (const { id, target, own } of found) if (own) console.log(`   GraphiQL's own: ${id} at ${target}`);
      assert.deepEqual(found.filter(({ own }) => !own), []);
    });
  });
}

await browser.close();
process.exit(failures === 0 ? 0 : 1);

/** Runs `checks` on a page, and then checks what the page did besides: whom it asked, and what it complained of. */
async function visit(name, path, options, checks) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const seen = { hosts: new Set(), webSockets: [], complaints: [] };
  page.on("request", (request) => seen.hosts.add(new URL(request.url()).host));
  page.on("websocket", (socket) => seen.webSockets.push(socket.url()));
  // A violation of the policy is an error on the console.
  page.on("console", (message) => message.type() === "error" && seen.complaints.push(message.text()));
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  const response = await page.goto(url + path, { waitUntil: "commit" });
  await checks(page, seen);
  await check(`${name}: the policy, no foreign host, and nothing to complain of`, () => {
    assert.equal(response.headers()["content-security-policy"], POLICY);
    // Those of `data:` and `blob:` are none.
    assert.deepEqual([...seen.hosts].filter(Boolean), [new URL(url).host]);
    assert.deepEqual(seen.complaints, []);
  });
  await context.close();
}

async function check(name, run) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`FAILED ${name}: ${error.message}`);
  }
}

/** The two values of the explorer's first load, of which both say `origin`. */
async function values(page, origin) {
  await page.locator("#pi .badge", { hasText: origin }).waitFor();
  assert.equal(await page.textContent("#fib .badge"), origin);
  assert.equal(await page.textContent("#fib .value"), F_213);
  assert.equal(await page.textContent("#pi .value"), PI_1000);
}

/** Waits until the editor has the operation of that name. */
async function editor(page, operation) {
  await page.locator(".graphiql-query-editor .view-lines", { hasText: operation }).waitFor();
}

async function milliseconds(page) {
  return Math.round(await page.evaluate(() => performance.now()));
}

/** What came over the wire, headers included: the page, and all that it and its workers loaded. */
async function small(page, limit) {
  const bytes = await page.evaluate(() => {
    const answers = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    return answers.reduce((sum, { transferSize }) => sum + transferSize, 0);
  });
  console.log(`   ${bytes.toLocaleString("en")} bytes`);
  assert.ok(bytes > 0 && bytes < limit, `${bytes} bytes`);
}

async function fits(page) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${content} px in ${window} px`);
}

/** What axe takes for serious or critical, and whether it is within GraphiQL. */
async function faults(page) {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { violations } = await axe.run({ elementRef: true });
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    const fault = (id, { element, target }) => ({ id, target: target.join(" "), own: element.closest(".graphiql-container") !== null });
    return serious.flatMap(({ id, nodes }) => nodes.map((node) => fault(id, node)));
  });
}
