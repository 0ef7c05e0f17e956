// The explorer's view of the digits of π: its pages, what it says of what was typed, and where it leads.
import assert from "node:assert/strict";
import { answered, ask, check, checkLooks, checkPassingErrors, ownFont, url, visit } from "./check.mjs";

const FIRST_LINE = "14159265358979323846264338327950288419716939937510";
/** How many digits a server gives by default, and the last ten of them. */
const SUPPLY = 1_000_000;
const LAST_TEN = "0577945815";
const RANGE = "from 0 to 999,999";
const NO_NUMBER = `Type a whole number ${RANGE} in digits alone, such as 1000 or 1,000.`;
const TOO_LARGE = `Too large: this server takes whole numbers ${RANGE}.`;

export async function checkDigits() {
  // First of all, while no digit is cached.
  await visit("digits", "/?view=digits", {}, checkPages);
  await visit("digits, typing", "/?view=digits", {}, checkTyping);
  await visit("digits, addresses", "/?view=digits&digit=1500", {}, checkAddresses);
  await visit("digits, the server's word", "/?view=digits&digit=5", {}, checkServer);
  await checkLooks("digits", "/?view=digits&digit=999999", ".lines mark");
  await checkNarrow();
}

async function checkPages(page) {
  await check("digits: the first page begins with 3 and a point, and was not cached", async () => {
    await shows(page, "Digits 0 to 1,000 of π", "0");
    assert.equal(await page.textContent(".badge"), "computed");
    const lines = await linesOf(page);
    assert.deepEqual(lines[0], ["0", "3."]);
    assert.deepEqual(lines[1], ["1", FIRST_LINE]);
    assert.deepEqual(
      lines.slice(1).map(([position]) => position),
      Array.from({ length: 20 }, (_, line) => String(50 * line + 1)),
    );
    assert.equal((await digitsOf(page)).length, 1_001);
  });
  await check("digits: the second load says that they were cached", async () => {
    await page.reload();
    await shows(page, "Digits 0 to 1,000 of π", "0");
    assert.equal(await page.textContent(".badge"), "cached");
    assert.equal(await page.textContent("[role=status]"), "Digits 0 to 1,000 of π, cached. Digit 0 is 3.");
  });
  await check("digits: they are in tens, and a person reads how many the server gives", async () => {
    const groups = await page.locator(".lines tr:nth-child(2) span").allTextContents();
    assert.deepEqual(groups, FIRST_LINE.match(/.{10}/g));
    assert.match(await page.textContent(".lead"), /This server gives the first 1,000,000 digits\.$/);
    assert.equal(await page.textContent("#digit-hint"), `A whole number ${RANGE}`);
  });
  await check("digits: what is selected has no line numbers", async () => {
    const selected = await page.evaluate(() => {
      getSelection().selectAllChildren(document.querySelector(".lines"));
      return String(getSelection());
    });
    assert.ok(selected.replace(/\s/g, "").includes(`3.${FIRST_LINE}5820974944`), selected.slice(0, 200));
  });
  await check("digits: no character is of another font than the page's", () => ownFont(page));
  await check("digits: the pages follow each other without a gap, forth and back, by mouse and by keyboard", async () => {
    assert.deepEqual([await page.isDisabled("#previous"), await page.isDisabled("#next")], [true, false]);
    const first = await digitsOf(page);
    await page.click("#next");
    await shows(page, "Digits 1,001 to 2,000 of π", "1001");
    const second = await digitsOf(page);
    assert.equal(second.length, 1_000);
    assert.equal(await page.textContent(".pager .note"), "Page 2 of 1,000");
    // The focus is still there.
    await page.keyboard.press("Enter");
    await shows(page, "Digits 2,001 to 3,000 of π", "2001");
    await page.focus("#previous");
    await page.keyboard.press("Enter");
    await shows(page, "Digits 1,001 to 2,000 of π", "1001");
    assert.equal(await digitsOf(page), second);
    await page.keyboard.press("Enter");
    await shows(page, "Digits 0 to 1,000 of π", "0");
    assert.equal(await digitsOf(page), first);
    // Where a button is turned off, the focus goes to the other.
    assert.equal(await page.evaluate(() => document.activeElement.id), "next");
  });
  await check("digits: a new page is seen from its beginning", async () => {
    await page.setViewportSize({ width: 400, height: 800 });
    await page.click("#next");
    await shows(page, "Digits 1,001 to 2,000 of π", "1001");
    await page.waitForFunction(() => {
      const { top } = document.querySelector("#digits-title").getBoundingClientRect();
      return top >= -1 && top < innerHeight / 2;
    });
  });
}

async function checkTyping(page) {
  const asked = [];
  page.on(
    "request",
    (request) => request.postData()?.includes("query Digits") && asked.push(JSON.parse(request.postData()).variables),
  );
  await shows(page, "Digits 0 to 1,000 of π", "0");
  await check("digits: a digit that is asked for is told, marked, and in sight", async () => {
    const rows = [
      ["762", "9", "Digits 0 to 1,000 of π"],
      ["1,000", "9", "Digits 0 to 1,000 of π"],
      ["1 001", "3", "Digits 1,001 to 2,000 of π"],
      ["999999", "5", "Digits 999,001 to 999,999 of π"],
      ["0", "3", "Digits 0 to 1,000 of π"],
    ];
    for (const [typed, digit, title] of rows) {
      await ask(page, "digit", typed);
      const number = typed.replace(/\D/g, "");
      await shows(page, title, number);
      assert.deepEqual(
        [await page.textContent("#digits header .note"), await page.locator("mark").allTextContents()],
        [`Digit ${Number(number).toLocaleString("en")} is ${digit}`, [digit]],
      );
      const y = await page.locator("mark").evaluate((mark) => mark.getBoundingClientRect().top);
      assert.ok(y > 0 && y < page.viewportSize().height, `${typed}: ${y}`);
    }
  });
  await check("digits: what is wrong is told beside the field with what is right, and is not asked", async () => {
    const rows = [
      ["", NO_NUMBER],
      ["-1", NO_NUMBER],
      ["1.5", NO_NUMBER],
      ["many", NO_NUMBER],
      ["1,000,000", TOO_LARGE],
      ["9".repeat(400), TOO_LARGE],
    ];
    for (const [typed, message] of rows) {
      const before = asked.length;
      await ask(page, "digit", typed);
      await answered(page);
      assert.deepEqual(
        [await page.textContent("#digit-error"), await page.getAttribute("#digit", "aria-invalid"), asked.length],
        [message, "true", before],
        typed,
      );
      assert.equal(await page.textContent("#digits .value"), "no answer");
      assert.deepEqual([await page.isVisible(".lines"), await page.isVisible(".pager")], [false, false]);
      assert.equal(await page.evaluate(() => document.activeElement.id), "digit");
    }
  });
  await check("digits: an error goes away when a good number is typed", async () => {
    await page.fill("#digit", "10");
    assert.equal(await page.textContent("#digit-error"), "");
    await page.click(".primary");
    await shows(page, "Digits 0 to 1,000 of π", "10");
    assert.equal(await page.isVisible("#digits .value"), false);
  });
}

async function checkAddresses(page) {
  await check("digits: an address is asked", () => shows(page, "Digits 1,001 to 2,000 of π", "1500"));
  await check("digits: the last page has what is left, and nothing is behind it", async () => {
    await page.goto(`${url}/?view=digits&digit=999500`);
    await shows(page, "Digits 999,001 to 999,999 of π", "999500");
    const digits = await digitsOf(page);
    assert.deepEqual([digits.length, digits.slice(-10)], [SUPPLY - 999_001, LAST_TEN]);
    assert.deepEqual([await page.isDisabled("#previous"), await page.isDisabled("#next")], [false, true]);
    assert.equal(await page.textContent(".pager .note"), "Page 1,000 of 1,000");
  });
  await check("digits: Back and Forward go to what was asked", async () => {
    await page.click("#previous");
    await shows(page, "Digits 998,001 to 999,000 of π", "998001");
    await ask(page, "digit", "42");
    await shows(page, "Digits 0 to 1,000 of π", "42");
    await page.goBack();
    await shows(page, "Digits 998,001 to 999,000 of π", "998001");
    await page.goBack();
    await shows(page, "Digits 999,001 to 999,999 of π", "999500");
    await page.goBack();
    await shows(page, "Digits 1,001 to 2,000 of π", "1500");
    await page.goForward();
    await shows(page, "Digits 999,001 to 999,999 of π", "999500");
  });
  await check("digits: an address with a wrong digit is told to be wrong", async () => {
    await page.goto(`${url}/?view=digits&digit=abc`);
    await answered(page);
    assert.deepEqual([await page.inputValue("#digit"), await page.textContent("#digit-error")], ["abc", NO_NUMBER]);
    assert.equal(await page.isVisible(".request"), false);
  });
  await check("digits: the views lead to each other, and Back leads from one to the other", async () => {
    await page.getByRole("link", { name: "Values" }).click();
    await page.getByRole("heading", { name: "F(213)" }).waitFor();
    await page.getByRole("link", { name: "Digits of π" }).click();
    await shows(page, "Digits 0 to 1,000 of π", "0");
    assert.deepEqual(await page.locator("nav [aria-current=page]").allTextContents(), ["Digits of π"]);
    await page.goBack();
    await page.getByRole("heading", { name: "F(213)" }).waitFor();
    assert.deepEqual(await page.locator("nav [aria-current=page]").allTextContents(), ["Values"]);
  });
  await check("digits: a view that there is not is the first one", async () => {
    for (const view of ["nothing", "constructor"]) {
      await page.goto(`${url}/?view=${view}`);
      await page.getByRole("heading", { name: "F(213)" }).waitFor();
    }
  });
}

async function checkServer(page) {
  await shows(page, "Digits 0 to 1,000 of π", "5");
  await checkPassingErrors("digits", page, "piDigits");
  for (const [maxPiDigits, title, digits] of [
    [1, "Digit 0 of π", "3."],
    [5, "Digits 0 to 4 of π", "3.1415"],
    [1_001, "Digits 0 to 1,000 of π", undefined],
  ]) {
    await check(`digits: a server that gives ${maxPiDigits} is asked for no more`, async () => {
      await page.route("**/graphql", (route) =>
        route.request().postData().includes("limits")
          ? route.fulfill({ json: { data: { limits: { maxPiDigits } } } })
          : route.fallback(),
      );
      await page.goto(`${url}/?view=digits`);
      await shows(page, title, "0");
      const shown = (await linesOf(page)).map(([, digits]) => digits).join("");
      assert.equal(shown.replace(".", "").length, maxPiDigits);
      if (digits) assert.equal(shown, digits);
      assert.deepEqual([await page.isDisabled("#previous"), await page.isDisabled("#next")], [true, true]);
      await page.unroute("**/graphql");
    });
  }
}

async function checkNarrow() {
  const options = { viewport: { width: 400, height: 800 }, reducedMotion: "reduce" };
  await visit("digits, narrow", "/?view=digits&digit=762", options, async (page) => {
    await check("digits: lines are shorter on a narrow screen, and change with it", async () => {
      await page.waitForSelector(".lines mark");
      assert.deepEqual((await linesOf(page)).slice(1, 3), [
        ["1", FIRST_LINE.slice(0, 20)],
        ["21", FIRST_LINE.slice(20, 40)],
      ]);
      const digits = await digitsOf(page);
      await page.setViewportSize({ width: 1400, height: 800 });
      await page.waitForFunction(() => document.querySelectorAll(".lines tr").length === 21);
      assert.equal(await digitsOf(page), digits);
      assert.deepEqual(await page.locator("mark").allTextContents(), ["9"]);
    });
  });
}

/** Waits for a page of digits, and checks that the field and the address hold the digit that it is about. */
async function shows(page, title, digit) {
  await page.getByRole("heading", { name: title, exact: true }).waitFor();
  await answered(page);
  assert.equal(await page.inputValue("#digit").then((text) => text.replace(/\D/g, "")), digit);
  assert.equal(new URL(page.url()).search, `?view=digits&digit=${digit}`);
  assert.equal(await page.title(), `${title} · phipi`);
}

/** The lines that are shown, each with the position of its first digit. */
async function linesOf(page) {
  return page
    .locator(".lines tr")
    .evaluateAll((rows) => rows.map(({ cells }) => [...cells].map(({ textContent }) => textContent)));
}

async function digitsOf(page) {
  const lines = await linesOf(page);
  return lines.map(([, digits]) => digits.replace(".", "")).join("");
}
