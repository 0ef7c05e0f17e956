// The explorer on paper, as Chromium lays it out for a printer.
import assert from "node:assert/strict";
import { check, visit } from "./check.mjs";

/** The width of A4, 210 mm, at 96 pixels an inch. */
const SHEET = 794;

export async function checkPrint() {
  for (const colorScheme of ["light", "dark"]) {
    const options = { colorScheme, viewport: { width: 1400, height: 900 } };
    await visit(`explorer on paper, ${colorScheme}`, "/?n=12345&terms=1000000", options, async (page) => {
      await page.waitForSelector(".chart[aria-label]");
      await page.click("summary");
      await page.evaluate(measureWhenPrinted);
      await page.pdf({ format: "A4" });
      const { width, cut, chart, ink, hidden } = await page.evaluate(() => window.printed);
      await check(
        `explorer on paper, ${colorScheme}: nothing is cut, and nothing is made smaller for what would be`,
        () => {
          assert.deepEqual(cut, []);
          assert.ok(Math.abs(width - SHEET) <= 1, `${width} px`);
        },
      );
      await check(`explorer on paper, ${colorScheme}: the chart is there, whole and in its shape`, () => {
        assert.ok(chart.width > SHEET / 2 && chart.width <= SHEET, `${chart.width} px`);
        assert.ok(Math.abs(chart.width / chart.height - chart.shape) < 0.01, JSON.stringify(chart));
      });
      await check(`explorer on paper, ${colorScheme}: it is dark on light, without what is for a screen`, () => {
        assert.equal(ink, "rgb(22, 25, 29)");
        assert.deepEqual(hidden, ["NAV", "FORM", "DIV"]);
      });
    });
  }
}

/** Measures the page when it is laid out for paper, which is over when the document is made. */
function measureWhenPrinted() {
  const beyond = (element, width) => {
    const { left, right } = element.getBoundingClientRect();
    const hides = getComputedStyle(element).overflow !== "visible";
    const { scrollWidth, clientWidth, scrollHeight, clientHeight } = element;
    return (
      left < -1 || right > width + 1 || (hides && (scrollWidth > clientWidth + 1 || scrollHeight > clientHeight + 1))
    );
  };
  matchMedia("print").addEventListener("change", ({ matches }) => {
    if (!matches) return;
    const width = document.documentElement.clientWidth;
    const canvas = document.querySelector("canvas");
    const { width: drawn, height } = canvas.getBoundingClientRect();
    window.printed = {
      width,
      cut: [...document.querySelectorAll("body *")]
        .filter((element) => beyond(element, width))
        .map(({ outerHTML }) => outerHTML.slice(0, 80)),
      chart: { width: drawn, height, shape: canvas.width / canvas.height },
      ink: getComputedStyle(document.body).color,
      hidden: [...document.querySelectorAll("nav, form, .actions")]
        .filter((element) => !element.checkVisibility())
        .map(({ tagName }) => tagName),
    };
  });
}
