// The explorer: what it shows, and what it says of what was typed.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { F_213, PI_1000, browser, check, faults, fits, milliseconds, small, url, visit } from "./check.mjs";

const BYTES = 120_000;

export async function checkExplorer() {
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
    await check("explorer: it is small", () => small(page, BYTES));
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
}

/** The two values of the explorer's first load, of which both say `origin`. */
async function values(page, origin) {
  await page.locator("#pi .badge", { hasText: origin }).waitFor();
  assert.equal(await page.textContent("#fib .badge"), origin);
  assert.equal(await page.textContent("#fib .value"), F_213);
  assert.equal(await page.textContent("#pi .value"), PI_1000);
}
