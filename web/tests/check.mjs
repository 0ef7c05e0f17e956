// The checks of both pages share this: the browser, the address, and what is held against every visit.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { launch } from "./browser.mjs";

const POLICY =
  "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; " +
  "font-src 'self' data:; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export const F_213 = "146178119651438213260386312206974243796773058";
export const PI_1000 = "3.1406380562059932";

/** The address of the explorer, without the slash at its end. */
export const url = process.argv[2]?.replace(/\/$/, "");
if (!url) {
  console.error("usage: node web/tests/pages.mjs URL");
  process.exit(2);
}
export const browser = await launch();
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let failures = 0;

/** Ends with a status that says whether all checks were well. */
export async function finish() {
  await browser.close();
  process.exit(failures === 0 ? 0 : 1);
}

/** Runs `checks` on a page, and then checks what the page did besides: whom it asked, and what it complained of. */
export async function visit(name, path, options, checks) {
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

export async function check(name, run) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`FAILED ${name}: ${error.message}`);
  }
}

export async function milliseconds(page) {
  return Math.round(await page.evaluate(() => performance.now()));
}

/** What came over the wire, headers included: the page, and all that it and its workers loaded. */
export async function small(page, limit) {
  const bytes = await page.evaluate(() => {
    const answers = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    return answers.reduce((sum, { transferSize }) => sum + transferSize, 0);
  });
  console.log(`   ${bytes.toLocaleString("en")} bytes`);
  assert.ok(bytes > 0 && bytes < limit, `${bytes} bytes`);
}

export async function fits(page) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${content} px in ${window} px`);
}

/** What axe takes for serious or critical, and whether it is of GraphiQL, not of what was put into it. */
export async function faults(page) {
  // A text that fades in has its contrast at the end.
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map(({ finished }) => finished)));
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { violations } = await axe.run({ elementRef: true });
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    const isOwn = (element) =>
      element.closest(".graphiql-container") !== null && element.closest(".share, .graphiql-logo") === null;
    const fault = (id, { element, target }) => ({ id, target: target.join(" "), own: isOwn(element) });
    return serious.flatMap(({ id, nodes }) => nodes.map((node) => fault(id, node)));
  });
}

/** Checks that every character of the explorer is of its own font, but for those of code. */
export async function ownFont(page) {
  const client = await page.context().newCDPSession(page);
  await client.send("DOM.enable");
  await client.send("CSS.enable");
  const { root } = await client.send("DOM.getDocument");
  const { nodeIds } = await client.send("DOM.querySelectorAll", {
    nodeId: root.nodeId,
    selector: "body :not(pre, pre *, code)",
  });
  assert.ok(nodeIds.length > 100);
  for (const nodeId of nodeIds) {
    const { fonts } = await client.send("CSS.getPlatformFontsForNode", { nodeId });
    const others = fonts.filter(({ familyName, isCustomFont }) => !isCustomFont || !familyName.startsWith("Inter"));
    if (others.length === 0) continue;
    const { outerHTML } = await client.send("DOM.getOuterHTML", { nodeId });
    // A paragraph may have some code.
    assert.match(outerHTML, /<code>/, `${outerHTML}: ${JSON.stringify(others)}`);
  }
}

/** Types into a field of the explorer, and presses Enter. */
export async function ask(page, field, text) {
  await page.fill(`#${field}`, text);
  await page.press(`#${field}`, "Enter");
}

/** Waits until the explorer awaits nothing. */
export async function answered(page) {
  await page.waitForSelector(".answers[aria-busy=false]");
}

/** Checks how a view of the explorer looks at this address, in both schemes, on narrow and wide screens. */
export async function checkLooks(name, path, drawn) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [320, 800, 1400]) {
      const look = `${name}, ${colorScheme}, ${width} px`;
      await visit(look, path, { colorScheme, viewport: { width, height: 900 } }, async (page) => {
        await page.waitForSelector(drawn);
        await check(`${look}: nothing is wider than the page`, () => fits(page));
        await check(`${look}: axe finds nothing serious`, async () => assert.deepEqual(await faults(page), []));
      });
    }
  }
}

/**
 * Checks that an error which is about the moment is told in a sentence, with a way to try again, whether it is about a field
 * of the answer or about all of it.
 */
export async function checkPassingErrors(name, page, field) {
  const errors = [
    ["DEADLINE_EXCEEDED", undefined, "This takes longer than the server gives one request."],
    ["DEADLINE_EXCEEDED", [field], "This takes longer than the server gives one request."],
    ["OVERLOADED", undefined, "The server has too much to do just now."],
    ["OVERLOADED", [field], "The server has too much to do just now."],
  ];
  for (const [code, path, sentence] of errors) {
    await check(`${name}: ${code} of ${path ?? "the request"} is told, and can be tried again`, async () => {
      await page.route("**/graphql", (route) => {
        const data = path ? { [field]: null } : undefined;
        return route.fulfill({ json: { data, errors: [{ message: "it failed", path, extensions: { code } }] } });
      });
      await page.click(".primary");
      await page.locator(".failure", { hasText: sentence }).waitFor();
      await answered(page);
      assert.equal(await page.locator("[aria-invalid=true]").count(), 0);
      assert.deepEqual(await faults(page), []);
      await page.unroute("**/graphql");
      await page.getByRole("button", { name: "Try again" }).click();
      await page.locator(".failure").waitFor({ state: "hidden" });
      await answered(page);
      await page.locator(".badge").first().waitFor();
    });
  }
}

/** Follows the links of a page, and tells the status of each answer. */
export async function follow(page, selector) {
  const addresses = await page.locator(selector).evaluateAll((links) => links.map(({ href }) => href));
  assert.ok(addresses.length > 0, `no links at ${selector}`);
  for (const address of addresses) {
    assert.equal((await page.request.get(address, { headers: { Accept: "text/html,*/*" } })).status(), 200, address);
  }
}
