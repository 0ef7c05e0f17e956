// GraphiQL: its tabs, its links, and what is beside it.
import assert from "node:assert/strict";
import { F_213, PI_1000, browser, check, faults, fits, follow, milliseconds, small, url, visit } from "./check.mjs";

const BYTES = 2_200_000;
const QUERY = "query Small { fib(n: 10) { result } }\n\nquery Large($n: Int!) { fib(n: $n) { digitCount } }";

export async function checkGraphiql() {
  // High enough for all events of a subscription: the editors show as many lines as there is room for.
  await visit("GraphiQL", "/graphql", { viewport: { width: 1400, height: 2600 } }, checkTabs);
  await checkLinks();
  await visit("GraphiQL, without a clipboard", "/graphql", {}, checkWithoutClipboard);
  for (const width of [400, 1400]) {
    await visit(`GraphiQL, ${width} px`, "/graphql", { viewport: { width, height: 900 } }, async (page) => {
      await holds(page, "Both");
      await check(`GraphiQL, ${width} px: nothing is wider than the page`, () => fits(page));
      await check(`GraphiQL, ${width} px: axe finds nothing serious outside of GraphiQL itself`, () => sound(page));
      await check(`GraphiQL, ${width} px: a link leads to the explorer`, async () => {
        await page.getByRole("link", { name: "Explorer" }).click();
        await page.waitForURL(`${url}/?**`);
        await page.getByRole("heading", { name: "F(213)" }).waitFor();
      });
    });
  }
  await visit("GraphiQL without JavaScript", "/graphql", { javaScriptEnabled: false }, async (page) => {
    await check("GraphiQL: without JavaScript it says so, and what to do", async () => {
      await page.getByRole("heading", { name: "GraphiQL needs JavaScript" }).waitFor();
      await follow(page, "a:visible");
      const body = await page.locator("code", { hasText: "fib" }).textContent();
      const answer = await page.request.post(page.url(), {
        headers: { "Content-Type": "application/json" },
        data: body,
      });
      assert.equal((await answer.json()).data.fib.result, F_213);
    });
  });
}

async function checkTabs(page, seen) {
  await check("GraphiQL: the first tab's query is answered", async () => {
    await holds(page, "Both");
    console.log(`   ready within ${await milliseconds(page)} ms`);
    await run(page, seen, F_213);
    await run(page, seen, PI_1000);
  });
  await check("GraphiQL: it is small", async () => {
    await page.waitForLoadState("networkidle");
    await small(page, BYTES);
  });
  await check("GraphiQL: the subscription's tab shows its events, one after the other", async () => {
    await page.getByRole("tab", { name: "Convergence" }).click();
    await run(page, seen, "1000000");
    assert.deepEqual(seen.webSockets, [`${url.replace("http", "ws")}/graphql`]);
    const events = JSON.parse(await answerOf(page)).events.map(({ data }) => data.piConvergence);
    const terms = events.map(({ terms }) => terms);
    assert.deepEqual([terms.length, terms[0], terms.at(-1)], [10, 1, 1_000_000]);
    assert.deepEqual(
      terms,
      terms.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(events.map(({ error }) => error)).size, 10);
  });
  const tabs = [
    ["Aliases", "digitCount"],
    ["FirstAndLastDigits", "digitCount"],
    // F(99), the last of ten numbers from F(90) on.
    ["Row", "218922995834555169026"],
    // The six nines from digit 762 on.
    ["DigitsOfPi", "9999998372978049951059731732816096318595024459455"],
    ["Approximations", "1000000"],
  ];
  for (const [tab, expected] of tabs) {
    await check(`GraphiQL: the tab ${tab} is answered`, async () => {
      await page.getByRole("tab", { name: tab }).click();
      await run(page, seen, expected);
    });
  }
  await check("GraphiQL: the explorer beside the editor knows the schema", async () => {
    await page.getByRole("button", { name: "Show GraphiQL Explorer" }).click();
    await page.locator(".graphiql-explorer-root").getByText("fib").first().waitFor();
  });
}

async function checkLinks() {
  const told = new URLSearchParams({
    query: QUERY,
    variables: '{"n":213}',
    operationName: "Large",
    headers: '{"x-phipi-cost":"1"}',
  });
  for (const path of [`/graphql?${told}`, `/graphql/?${told}`]) {
    await visit(`GraphiQL, a link to ${path.split("?")[0]}`, path, {}, async (page, seen) => {
      const name = `GraphiQL, a link to ${path.split("?")[0]}`;
      await check(
        `${name}: it has the query, the variables and the headers, and runs the operation of that name`,
        async () => {
          await holds(page, "query Large");
          await page.locator(".graphiql-editor-tool", { hasText: '"n": 213' }).waitFor();
          await page.locator(".graphiql-tab-active", { hasText: "Large" }).waitFor();
          const request = page.waitForRequest((request) => request.postData()?.includes("query Large"));
          await input(page).press("Control+Enter");
          const sent = await request;
          assert.deepEqual(JSON.parse(sent.postData()), {
            query: QUERY,
            variables: { n: 213 },
            operationName: "Large",
          });
          assert.equal(sent.headers()["x-phipi-cost"], "1");
          await page.locator(".graphiql-response").getByText("digitCount").waitFor();
        },
      );
      await check(`${name}: the tabs to begin with are beside it`, async () => {
        await page.getByRole("tab", { name: "Aliases" }).click();
        await run(page, seen, "digitCount");
      });
      await check(`${name}: a second link is one more tab`, async () => {
        await page.goto(`${url}/graphql?query=${encodeURIComponent("query Third { pi(terms: 0) { result } }")}`);
        await holds(page, "query Third");
        await run(page, seen, "result");
        // The variables of another tab are not its own.
        assert.equal(await page.locator(".graphiql-editor-tool .view-lines").first().textContent(), "");
        await page.getByRole("tab", { name: "Large" }).click();
        await holds(page, "query Large");
      });
    });
  }
  await visit("GraphiQL, sharing", "/graphql", { permissions: ["clipboard-read", "clipboard-write"] }, async (page) => {
    await check(
      "GraphiQL: a button makes a link to what the editors hold, which shows the same elsewhere",
      async () => {
        await holds(page, "Both");
        await page.getByRole("tab", { name: "FirstAndLastDigits" }).click();
        await holds(page, "FirstAndLastDigits");
        await page.getByRole("button", { name: "Copy a link to this operation" }).click();
        await page.getByText("The link is copied").waitFor();
        const link = await page.evaluate(() => navigator.clipboard.readText());
        assert.equal(link, page.url());
        assert.ok(link.startsWith(`${url}/graphql?query=`), link);
        const elsewhere = await browser.newPage();
        await elsewhere.goto(link);
        await holds(elsewhere, "query FirstAndLastDigits");
        await elsewhere.locator(".graphiql-editor-tool", { hasText: '"n": 5000000' }).waitFor();
        await elsewhere.click(".graphiql-execute-button");
        await elsewhere.locator(".graphiql-response").getByText("1044938").waitFor();
        await elsewhere.context().close();
      },
    );
    await check("GraphiQL: what is too long for a link is not cut", async () => {
      await page.goto(
        `${url}/graphql?${new URLSearchParams({ query: `query Long { fib(n: 1) { n } } #${"-".repeat(5_000)}` })}`,
      );
      await holds(page, "query Long");
      await input(page).press("Control+Home");
      await page.keyboard.insertText(`#${"€".repeat(1_000)}\n`);
      const before = page.url();
      await page.getByRole("button", { name: "Copy a link to this operation" }).click();
      await page.getByText("This operation is too long for a link").waitFor();
      assert.equal(page.url(), before);
    });
  });
}

async function checkWithoutClipboard(page) {
  // As on a page that came over plain HTTP from another machine.
  await page.addInitScript(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await page.reload();
  await check("GraphiQL: without a clipboard the link is in the address bar", async () => {
    await holds(page, "Both");
    // The editors come one after the other.
    await page.locator(".graphiql-editor-tool", { hasText: '"n": 213' }).waitFor();
    await page.getByRole("button", { name: "Copy a link to this operation" }).click();
    await page.getByText("The link is in the address bar").waitFor();
    const told = new URL(page.url()).searchParams;
    assert.deepEqual([...told.keys()], ["query", "variables", "operationName"]);
    assert.equal(told.get("operationName"), "Both");
  });
}

/**
 * Runs what the editor holds, up to an answer with that text. Just after a tab was opened GraphiQL may still send the
 * operation's name of the tab before. It is run again then, and what it complains of meanwhile is forgotten.
 */
async function run(page, seen, expected, tries = 5) {
  const complaints = seen.complaints.length;
  await page.click(".graphiql-execute-button");
  const found = page.locator(".graphiql-response").getByText(expected).first().waitFor({ timeout: 2_000 });
  await found.catch((error) => {
    if (tries === 1) throw error;
    seen.complaints.length = complaints;
    return run(page, seen, expected, tries - 1);
  });
}

/** Waits until the editor has that text. */
async function holds(page, text) {
  // An editor has spaces that do not break.
  const pattern = new RegExp(text.replaceAll(" ", "\\s"));
  await page.locator(".graphiql-query-editor .view-lines", { hasText: pattern }).waitFor();
}

/** Where the keys of the query's editor go. */
function input(page) {
  return page.locator(".graphiql-query-editor").locator("textarea.inputarea, .native-edit-context");
}

/** All lines of the answer, from the top. */
async function answerOf(page) {
  const lines = await page
    .locator(".graphiql-response .view-line")
    .evaluateAll((all) =>
      all.map((line) => [parseFloat(line.style.top), line.textContent]).toSorted(([a], [b]) => a - b),
    );
  return lines.map(([, text]) => text.replaceAll("\u00a0", " ")).join("\n");
}

/** That axe finds nothing serious but what is GraphiQL's own. */
async function sound(page) {
  const found = await faults(page);
  for (const { id, target, own } of found) if (own) console.log(`   GraphiQL's own: ${id} at ${target}`);
  assert.deepEqual(
    found.filter(({ own }) => !own),
    [],
  );
}
