// The explorer's view of how F(n) grows: its chart and table, what it says of what was typed, and where it leads.
import assert from "node:assert/strict";
import { answered, ask, check, checkLooks, checkPassingErrors, ownFont, url, visit } from "./check.mjs";

const NO_NUMBER = "Type a whole number from 1 to 1,000 in digits alone, such as 1000 or 1,000.";

export async function checkGrowth() {
  // Far from all that was asked before, so that nothing there is cached.
  await visit("growth", "/?view=growth&from=200000&count=10", {}, checkBadge);
  await visit("growth, chart", "/?view=growth", {}, checkChart);
  await visit("growth, typing", "/?view=growth", {}, checkTyping);
  await visit("growth, addresses", "/?view=growth&from=90&count=20", {}, checkAddresses);
  await visit("growth, the server's word", "/?view=growth&from=1000&count=20", {}, async (page) => {
    await shows(page, "Digits of F(1,000) to F(1,019)", 1000, 20);
    await checkPassingErrors("growth", page, "fibs");
  });
  await checkLooks("growth", "/?view=growth&from=1000000&count=20", ".chart[aria-label]");
}

async function checkBadge(page) {
  await check("growth: numbers that nobody asked for were not cached", async () => {
    await shows(page, "Digits of F(200,000) to F(200,009)", 200_000, 10);
    assert.equal(await page.textContent(".badge"), "computed");
  });
  await check("growth: the second load says that they were cached", async () => {
    await page.reload();
    await shows(page, "Digits of F(200,000) to F(200,009)", 200_000, 10);
    assert.equal(await page.textContent(".badge"), "cached");
    assert.equal(
      await page.textContent("[role=status]"),
      "Digits of F(200,000) to F(200,009): 41,798 to 41,800 digits, cached.",
    );
  });
  await check("growth: a row may be from both", async () => {
    await ask(page, "count", "12");
    await shows(page, "Digits of F(200,000) to F(200,011)", 200_000, 12);
    assert.equal(await page.textContent(".badge"), "2 computed, 10 cached");
  });
}

async function checkChart(page) {
  await check("growth: the chart has its points, and the table the same", async () => {
    await shows(page, "Digits of F(0) to F(99)", 0, 100);
    assert.equal(await page.getAttribute("figure", "data-points"), "100");
    const rows = await rowsOf(page);
    assert.equal(rows.length, 100);
    // F(6) = 8, F(7) = 13, F(11) = 89, F(12) = 144, F(99) = 218922995834555169026.
    for (const [n, digits] of [
      [0, "1"],
      [6, "1"],
      [7, "2"],
      [11, "2"],
      [12, "3"],
      [99, "21"],
    ]) {
      assert.deepEqual(rows[n], [String(n), digits]);
    }
    assert.equal(await page.textContent("#growth header .note"), "1 to 21 digits");
  });
  await check("growth: the chart says in words what it shows", async () => {
    assert.equal(
      await page.getAttribute(".chart", "aria-label"),
      "F(0) has 1 digit, F(99) has 21 digits, and between them the number rises along a straight line: " +
        "one more digit about every 4.785 numbers.",
    );
    assert.equal(await page.textContent(".readout"), "F(99) has 21 digits");
    for (const [x, words] of [
      [1, "F(0) has 1 digit"],
      [((await page.locator(".u-over").boundingBox()).width * 50) / 99, "F(50) has 11 digits"],
    ]) {
      await page.hover(".u-over", { position: { x, y: 20 } });
      await page.locator(".readout", { hasText: words }).waitFor();
    }
  });
  await check("growth: the table is there on demand", async () => {
    assert.equal(await page.isVisible(".table"), false);
    await page.click("summary");
    assert.equal(await page.isVisible(".table"), true);
  });
  await check("growth: no character is of another font than the page's", () => ownFont(page));
  await check("growth: as many numbers as a request takes are drawn, and a single one too", async () => {
    await ask(page, "count", "1,000");
    await shows(page, "Digits of F(0) to F(999)", 0, 1000);
    assert.equal((await rowsOf(page)).length, 1_000);
    await page.fill("#from", "12");
    await ask(page, "count", "1");
    await shows(page, "Digits of F(12)", 12, 1);
    assert.deepEqual(await rowsOf(page), [["12", "3"]]);
    assert.equal(await page.getAttribute(".chart", "aria-label"), "F(12) has 3 digits.");
  });
}

async function checkTyping(page) {
  await shows(page, "Digits of F(0) to F(99)", 0, 100);
  await check("growth: the fields say what this server takes", async () => {
    assert.equal(await page.textContent("#from-hint"), "A whole number from 0 to 6,543,210");
    assert.equal(await page.textContent("#count-hint"), "A whole number from 1 to 1,000");
  });
  await check("growth: what is wrong is told beside its field with what is right, and is not asked", async () => {
    const rows = [
      ["count", "", NO_NUMBER],
      ["count", "-1", NO_NUMBER],
      ["count", "many", NO_NUMBER],
      ["count", "0", "Too small: this server takes whole numbers from 1 to 1,000."],
      ["count", "1,001", "Too large: this server takes whole numbers from 1 to 1,000."],
      ["from", "6543211", "Too large: this server takes whole numbers from 0 to 6,543,210."],
      ["from", "no", "Type a whole number from 0 to 6,543,210 in digits alone, such as 1000 or 1,000."],
    ];
    for (const [field, typed, message] of rows) {
      await page.fill("#from", "0");
      await page.fill("#count", "100");
      await ask(page, field, typed);
      await answered(page);
      assert.deepEqual(
        [await page.textContent(`#${field}-error`), await page.textContent("#growth .value")],
        [message, "no answer"],
        typed,
      );
      assert.deepEqual([await page.isVisible("figure"), await page.isVisible(".request")], [false, false]);
      assert.equal(await page.evaluate(() => document.activeElement.id), field);
    }
  });
  await check("growth: a row of long numbers is as long as a request may have their digits", async () => {
    // F(1,000,000) has 208,988 digits, and a request may have those of four F(6,543,210), 5,469,800.
    await page.fill("#count", "27");
    await ask(page, "from", "1000000");
    await answered(page);
    assert.equal(
      await page.textContent("#count-error"),
      "Too large: from F(1,000,000) on this server takes whole numbers from 1 to 26.",
    );
    await page.fill("#count", "26");
    assert.equal(await page.textContent("#count-error"), "");
    assert.equal(await page.textContent("#count-hint"), "From F(1,000,000) on a whole number from 1 to 26");
    await page.press("#count", "Enter");
    await shows(page, "Digits of F(1,000,000) to F(1,000,025)", 1_000_000, 26);
  });
  await check("growth: an error of one field goes away with a good number in the other", async () => {
    await ask(page, "count", "500");
    await answered(page);
    assert.equal(await page.getAttribute("#count", "aria-invalid"), "true");
    await page.fill("#from", "500");
    assert.equal(await page.getAttribute("#count", "aria-invalid"), "false");
    await page.press("#from", "Enter");
    await shows(page, "Digits of F(500) to F(999)", 500, 500);
  });
  await check("growth: there is no number beyond the last", async () => {
    await page.fill("#from", "6543210");
    await ask(page, "count", "2");
    await answered(page);
    assert.equal(
      await page.textContent("#count-error"),
      "Too large: from F(6,543,210) on this server takes whole numbers from 1 to 1.",
    );
  });
}

async function checkAddresses(page) {
  await check("growth: an address is asked", () => shows(page, "Digits of F(90) to F(109)", 90, 20));
  await check("growth: Back and Forward go to what was asked", async () => {
    await ask(page, "count", "30");
    await shows(page, "Digits of F(90) to F(119)", 90, 30);
    await ask(page, "from", "10");
    await shows(page, "Digits of F(10) to F(39)", 10, 30);
    await page.goBack();
    await shows(page, "Digits of F(90) to F(119)", 90, 30);
    await page.goBack();
    await shows(page, "Digits of F(90) to F(109)", 90, 20);
    await page.goForward();
    await shows(page, "Digits of F(90) to F(119)", 90, 30);
  });
  await check("growth: the address with one number has the other by default", async () => {
    await page.goto(`${url}/?view=growth&from=5`);
    await shows(page, "Digits of F(5) to F(104)", 5, 100);
  });
  await check("growth: the body that is shown leads to GraphiQL", async () => {
    const link = new URL(await page.locator("#open").evaluate(({ href }) => href));
    assert.equal(link.origin + link.pathname, `${url}/graphql`);
    const { query, variables } = JSON.parse(await page.textContent("pre code"));
    assert.equal(link.searchParams.get("query"), query);
    assert.deepEqual(variables, { from: 5, count: 100 });
  });
}

/** Waits for a row, and checks that the fields and the address hold it. */
async function shows(page, title, from, count) {
  await page.getByRole("heading", { name: title, exact: true }).waitFor();
  await answered(page);
  await page.waitForSelector(".chart[aria-label]");
  assert.equal(new URL(page.url()).search, `?view=growth&from=${from}&count=${count}`);
  assert.equal(await page.title(), `${title} · phipi`);
}

async function rowsOf(page) {
  return page
    .locator("tbody tr")
    .evaluateAll((rows) => rows.map(({ cells }) => [...cells].map(({ textContent }) => textContent)));
}
