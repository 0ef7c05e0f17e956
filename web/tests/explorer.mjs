// The explorer: what it shows, what it says of what was typed, and where it leads.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import {
  F_213,
  PI_1000,
  answered,
  ask,
  browser,
  check,
  checkLooks,
  checkPassingErrors,
  faults,
  follow,
  milliseconds,
  ownFont,
  small,
  url,
  visit,
} from "./check.mjs";
import { checkPrint } from "./print.mjs";

const BYTES = 120_000;
const PI_77 = "3.1292468934774025";
const RANGE = "from 0 to 6,543,210";
const NO_NUMBER = `Type a whole number ${RANGE} in digits alone, such as 1000 or 1,000.`;
const TOO_LARGE = `Too large: this server takes whole numbers ${RANGE}.`;

export async function checkExplorer() {
  // First of all, while nothing is cached.
  await visit("explorer", "/", {}, checkValues);
  await visit("explorer, typing", "/", {}, checkTyping);
  await visit("explorer, addresses", "/?n=10&terms=5", {}, checkAddresses);
  await visit("explorer, the server's word", "/", {}, checkServer);
  await checkAppearance();
  await checkPrint();
  await checkWithoutScript();
  await checkWithoutServer();
}

async function checkValues(page) {
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
    assert.match(rows.at(-1), new RegExp(`^1,000${PI_1000}9.546 × 10−4$`));
  });
  await check("explorer: it is small", () => small(page, BYTES));
  await check("explorer: the second load says that both were cached", async () => {
    await page.reload();
    await values(page, "cached");
  });
  await check("explorer: every answer says how long it took, one that is sent again too", async () => {
    let timing;
    for (let times = 0; times < 10 && !/\bresponse-cache\b/.test(timing); times += 1) {
      const [response] = await Promise.all([page.waitForResponse("**/graphql"), page.click(".primary")]);
      timing = response.headers()["server-timing"];
      await answered(page);
      assert.match(await page.textContent("#timing"), /^Answered in \d+\.\d{3} ms$/, timing);
    }
    assert.match(timing, /^total;dur=\d+\.\d{3}, response-cache$/);
  });
  await check("explorer: the body that is shown is the body that is sent, and leads to GraphiQL", async () => {
    for (const search of ["?n=213&terms=1000", "?n=50000&terms=5", "?n=no&terms=5", "?n=5&terms=no"]) {
      const isOurs = (request) => request.method() === "POST" && request.postData().includes("query Values");
      const [request] = await Promise.all([page.waitForRequest(isOurs), page.goto(`${url}/${search}`)]);
      await answered(page);
      assert.equal(await page.textContent("pre code"), request.postData());
      const link = new URL(await page.locator("#open").evaluate(({ href }) => href));
      const { query, variables } = JSON.parse(request.postData());
      assert.equal(link.origin + link.pathname, `${url}/graphql`);
      assert.deepEqual(
        [link.searchParams.get("query"), JSON.parse(link.searchParams.get("variables"))],
        [query, variables],
      );
    }
  });
  await check("explorer: Enter asks for other values, of which the ends are shown", async () => {
    await page.goto(`${url}/?n=213&terms=1000`);
    await ask(page, "n", "1,000,000");
    await page.getByRole("heading", { name: "F(1,000,000)" }).waitFor();
    assert.match(await page.textContent("#fib .value"), /^1953282128707757731632014947596256332443/);
    // 208,988 digits: two, and then threes.
    const groups = await page.locator("#fib .value span").allTextContents();
    assert.deepEqual(
      groups.map(({ length }) => length),
      [2, ...Array(groups.length - 1).fill(3)],
    );
    assert.equal(
      await page.textContent("#fib .value i"),
      `${(208_988 - groups.join("").length).toLocaleString("en")} digits between`,
    );
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
  await check("explorer: digits are left out where that makes a number shorter, and nowhere else", async () => {
    // F(1,915) has 400 digits, F(1,916) has 401.
    const rows = [
      [1_000, 209],
      [1_001, 209],
      [1_915, 400],
      [1_916, undefined],
      [5_000, undefined],
    ];
    for (const [n, whole] of rows) {
      await page.goto(`${url}/?n=${n}`);
      await answered(page);
      const digits = (await page.locator("#fib .value span").allTextContents()).join("").length;
      const between = await page.locator("#fib .value i").count();
      if (whole) assert.deepEqual([digits, between], [whole, 0], `F(${n})`);
      else assert.ok(digits > 290 && digits <= 300 && between === 1, `F(${n}): ${digits} digits`);
    }
  });
  await check("explorer: no terms give 0, and no chart", async () => {
    await page.goto(`${url}/?n=0&terms=0`);
    await page.getByRole("heading", { name: "π from 0 terms" }).waitFor();
    assert.equal(await page.textContent("#pi .value"), "0");
    assert.deepEqual([await page.isVisible("figure"), await page.isVisible(".legend")], [false, false]);
  });
  await check("explorer: one is no plural", async () => {
    await page.goto(`${url}/?n=1&terms=1`);
    await answered(page);
    assert.equal(await page.textContent("#pi h2"), "π from 1 term");
    assert.match(
      await page.textContent("[role=status]"),
      /^F\(1\) has 1 digit, cached\. π from 1 term is 2\.449489742783178, (cached|computed)\.$/,
    );
  });
  await check("explorer: it says which digits are those of π", async () => {
    await page.goto(url);
    await answered(page);
    assert.equal(await page.textContent(".legend"), "The digits in bold green are those of π.");
    assert.deepEqual(await page.locator("#pi .value b").allTextContents(), ["3.", "14"]);
    const [legend, digit] = await page
      .locator(".legend b, #pi .value b")
      .evaluateAll((all) => all.map((b) => getComputedStyle(b).color));
    assert.equal(legend, digit);
  });
}

async function checkTyping(page) {
  const asked = [];
  page.on(
    "request",
    (request) => request.postData()?.includes("query Values") && asked.push(JSON.parse(request.postData()).variables),
  );
  await check("explorer: the fields say what this server takes", async () => {
    await values(page, "cached");
    assert.equal(await page.textContent("#n-hint"), `A whole number ${RANGE}`);
    assert.equal(await page.textContent("#terms-hint"), "A whole number from 0 to 2,147,483,647");
  });
  await check("explorer: a number is the number that was typed", async () => {
    const rows = [
      ["1,000,000", 1_000_000],
      ["1 000 000", 1_000_000],
      ["1\u202f000\u202f000", 1_000_000],
      ["1_000", 1_000],
      [" 42 ", 42],
      ["007", 7],
      ["0", 0],
    ];
    for (const [typed, n] of rows) {
      await ask(page, "n", typed);
      await answered(page);
      assert.deepEqual([asked.at(-1).n, await page.textContent("#n-error")], [n, ""], typed);
      assert.equal(await page.textContent("#fib h2"), `F(${n.toLocaleString("en")})`);
    }
  });
  await check("explorer: what is no number of digits is refused, and never another number", async () => {
    const typed = [
      "",
      "-0",
      "-5",
      "−5",
      "+5",
      "1,5",
      "1.5",
      "5.0",
      "1.000",
      "1e3",
      "0x10",
      "1,00,000",
      "1,0000",
      ",100",
      "100,",
      "0,500",
      "1,000 000",
      "1 2",
      "１２",
      "many",
      "Infinity",
    ];
    for (const text of typed) {
      await ask(page, "n", text);
      await answered(page);
      assert.deepEqual([asked.at(-1).n, await page.textContent("#n-error")], [undefined, NO_NUMBER], text);
      assert.equal(await page.evaluate(() => document.activeElement.id), "n", text);
    }
  });
  await check("explorer: a number beyond the server's limit is refused with the limit", async () => {
    for (const text of ["6,543,211", "2147483648", "9".repeat(400)]) {
      await ask(page, "n", text);
      await answered(page);
      assert.deepEqual([asked.at(-1).n, await page.textContent("#n-error")], [undefined, TOO_LARGE], text);
    }
    await ask(page, "terms", "2147483648");
    assert.equal(
      await page.textContent("#terms-error"),
      "Too large: this server takes whole numbers from 0 to 2,147,483,647.",
    );
  });
  await check("explorer: an error goes away when a good number is typed, and not before", async () => {
    for (const [typed, message] of [
      ["6543211", TOO_LARGE],
      ["654321", ""],
    ]) {
      await page.fill("#n", typed);
      assert.deepEqual(
        [await page.textContent("#n-error"), await page.getAttribute("#n", "aria-invalid")],
        [message, String(message !== "")],
      );
    }
  });
}

async function checkAddresses(page) {
  const shows = async (n, terms) => {
    await answered(page);
    assert.deepEqual(
      [await page.textContent("#fib h2"), await page.textContent("#pi h2")],
      [`F(${n})`, `π from ${terms} terms`],
    );
    assert.deepEqual(
      [await page.inputValue("#n"), await page.inputValue("#terms"), new URL(page.url()).search],
      [n, terms, `?n=${n}&terms=${terms}`],
    );
    assert.equal(await page.title(), `F(${n}), π from ${terms} terms · phipi`);
  };
  await check("explorer: an address is asked", () => shows("10", "5"));
  await check("explorer: Back and Forward go to what was asked", async () => {
    await ask(page, "n", "20");
    await shows("20", "5");
    await ask(page, "terms", "50");
    await shows("20", "50");
    // The same again is no other place.
    await ask(page, "terms", "50");
    await shows("20", "50");
    await page.goBack();
    await shows("20", "5");
    await page.goBack();
    await shows("10", "5");
    await page.goForward();
    await shows("20", "5");
    await ask(page, "n", "30");
    await shows("30", "5");
    // There is nothing ahead of the last.
    await page.goForward();
    await shows("30", "5");
  });
  await check("explorer: the address with one value has the other by default", async () => {
    await page.goto(`${url}/?terms=77`);
    await shows("213", "77");
  });
  for (const [n, message] of [
    ["abc", NO_NUMBER],
    ["1,5", NO_NUMBER],
    ["", NO_NUMBER],
    ["99999999999", TOO_LARGE],
  ]) {
    await check(
      `explorer: the good half of the address is answered, and the other, ${JSON.stringify(n)}, is told to be wrong`,
      async () => {
        const search = `?${new URLSearchParams({ n, terms: 77 })}`;
        await page.goto(`${url}/${search}`);
        for (const _ of ["first", "again"]) {
          await answered(page);
          assert.deepEqual([await page.inputValue("#n"), await page.textContent("#n-error")], [n, message]);
          assert.deepEqual(
            [await page.textContent("#fib h2"), await page.textContent("#fib .value")],
            ["F(n)", "no answer"],
          );
          assert.deepEqual(
            [await page.textContent("#pi h2"), await page.textContent("#pi .value")],
            ["π from 77 terms", PI_77],
          );
          assert.equal(new URL(page.url()).search, search);
          assert.equal(await page.evaluate(() => document.activeElement.id), "n");
          await page.reload();
        }
        await page.waitForSelector(".chart[aria-label]");
      },
    );
  }
  await check(
    "explorer: of an address with nothing good both halves are told to be wrong, and nothing is awaited",
    async () => {
      await page.goto(`${url}/?n=abc&terms=-3`);
      await answered(page);
      assert.equal(await page.textContent("#n-error"), NO_NUMBER);
      assert.match(await page.textContent("#terms-error"), /^Type a whole number from 0 to 2,147,483,647 /);
      assert.deepEqual(await page.locator(".answers .value").allTextContents(), ["no answer", "no answer"]);
      assert.equal(await page.isVisible(".request"), false);
      assert.deepEqual(await faults(page), []);
    },
  );
  await check("explorer: from there on good values are answered as ever", async () => {
    await page.fill("#n", "10");
    await ask(page, "terms", "5");
    await shows("10", "5");
  });
  await check("explorer: its links lead somewhere", () => follow(page, "a[href]"));
}

/** What the server says, also when it is slow, and when it is another one than the page believes. */
async function checkServer(page) {
  await values(page, "cached");
  await check("explorer: waiting is seen and announced", async () => {
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await page.route("**/graphql", async (route) => {
      await held;
      await route.continue();
    });
    await ask(page, "n", "21");
    await page.locator("[role=status]:not(.visually-hidden)", { hasText: "Waiting for the answer …" }).waitFor();
    assert.equal(await page.getAttribute(".answers", "aria-busy"), "true");
    release();
    await answered(page);
    assert.match(await page.textContent("[role=status]"), /^F\(21\) has 5 digits/);
    assert.match(await page.getAttribute("[role=status]", "class"), /\bvisually-hidden\b/);
    await page.unroute("**/graphql");
  });
  await checkPassingErrors("explorer", page, "fib");
  const limits = async (told) => {
    await page.route("**/graphql", (route) =>
      route.request().postData().includes("limits")
        ? route.fulfill({ json: { data: told && { limits: told } } })
        : route.fallback(),
    );
    await page.goto(`${url}/?n=213&terms=5`);
    await answered(page);
  };
  await check(
    "explorer: what the server refuses is told next to its field, which is to be typed in, and the other value is there",
    async () => {
      await limits({ maxN: 1_000_000_000, maxTerms: 2_147_483_647, digitsPerRequest: 64_000_000 });
      await ask(page, "n", "20000000");
      await page.getByText("n must be a whole number from 0 to 6,543,210, but it is 20,000,000").waitFor();
      assert.equal(await page.getAttribute("#n", "aria-invalid"), "true");
      assert.equal(await page.evaluate(() => document.activeElement.id), "n");
      assert.equal(await page.textContent("#fib .value"), "no answer");
      assert.equal(await page.textContent("#pi .value"), "2.9633877010385707");
    },
  );
  await check("explorer: a number is too large if no request may have its digits", async () => {
    // F(306,238,207) has 64,000,000 digits.
    assert.equal(await page.textContent("#n-hint"), "A whole number from 0 to 306,238,207");
  });
  await check("explorer: it works with a server that does not tell its limits", async () => {
    await limits(null);
    assert.equal(await page.textContent("#n-hint"), "A whole number from 0 to 2,147,483,647");
    assert.equal(await page.textContent("#fib .value"), F_213);
  });
}

async function checkAppearance() {
  await checkLooks("explorer", "/?n=12345&terms=2147483647", ".chart[aria-label]");
  await visit("explorer, fonts", "/", {}, checkFonts);
  await visit("explorer, still", "/", { reducedMotion: "reduce" }, async (page) => {
    await check("explorer: the chart is drawn without motion too", () => page.waitForSelector(".chart[aria-label]"));
  });
}

async function checkFonts(page) {
  // All that is written on a canvas, with its font.
  await page.addInitScript(() => {
    window.written = new Map();
    const { fillText } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
      window.written.set(text, this.font);
      fillText.call(this, text, ...place);
    };
  });
  await page.goto(`${url}/?n=12345&terms=1000000`);
  await page.waitForSelector(".chart[aria-label]");
  await check("explorer: the axes of the chart have titles, and its numbers are of the page's font", async () => {
    const written = new Map(await page.evaluate(() => [...window.written]));
    for (const text of ["Terms", "Error: π minus the approximation", "1", "10", "−7", "1M"])
      assert.ok(written.has(text), text);
    for (const [text, font] of written) {
      assert.match(font, /px Inter/, text);
      assert.doesNotMatch(text, /[⁰¹²³⁴-⁹⁻]/);
    }
  });
  await check("explorer: no character is of another font than the page's", () => ownFont(page));
}

async function checkWithoutScript() {
  await visit("explorer without JavaScript", "/", { javaScriptEnabled: false }, async (page) => {
    await check("explorer: without JavaScript it says what to do, and shows nothing that would not work", async () => {
      const text = page.locator("noscript p");
      await text.waitFor();
      assert.match(await text.textContent(), /This page asks the API by JavaScript\. Without it, the API answers at/);
      // The style may come after the text.
      await page.locator("form").waitFor({ state: "hidden" });
      await page.locator(".answers").waitFor({ state: "hidden" });
      await follow(page, "a:visible");
    });
  });
}

async function checkWithoutServer() {
  await check("explorer: without a server it says so, and asks again when told", async () => {
    const page = await browser.newPage();
    await page.route("**/graphql", (route) => route.abort());
    await page.goto(url);
    await page.getByText("The server does not answer.").waitFor();
    await answered(page);
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
