// The view of how F(n) grows: its number of digits against n, for numbers in a row.
import uPlot from "uplot";
import { Chart } from "./chart.js";
import { digitCount, longest } from "./fibonacci.js";
import { INT_MAX } from "./fields.js";
import { counted, grouped } from "./numbers.js";
import { begin, find, head, nothing } from "./view.js";

const QUERY = "query Growth($from: Int!, $count: Int!) { fibs(from: $from, count: $count) { n digitCount cached } }";

/** The most points that have a mark of their own. */
const MARKED = 60;

/** The steps of an axis of whole numbers. */
const STEPS = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

/** At least the width of a digit on an axis, in pixels. */
const DIGIT = 8;

const KIND = {
  place: ({ n, digitCount }) => [n, digitCount],
  cells: ({ n, digitCount }) => [[grouped(n)], [grouped(digitCount)]],
  words: ({ n, digitCount }) => [`F(${grouped(n)}) has ${counted(digitCount, "digit")}`],
  // There are no digits in between: a number has one more than the last, or it has not.
  paths: uPlot.paths.stepped({ align: 1 }),
};

export function growth() {
  const figure = find("figure");
  const chart = new Chart(figure, KIND);
  begin({
    name: "growth",
    limits: ["maxN", "maxCount", "digitsPerRequest"],
    admits: (limits) => (typed) => ranges(limits, typed),
    request: (variables) => (Object.keys(variables).length === 2 ? { query: QUERY, variables } : undefined),
    fields: { fibs: "count" },
    show: (_, { fibs }) => show(fibs, figure),
    draw(_, { fibs }) {
      if (fibs) draw(chart, fibs);
    },
  });
}

/** What the fields take. All numbers of a row are evaluated, so that a row of long ones is a short one. */
function ranges({ maxN = INT_MAX, maxCount = INT_MAX, digitsPerRequest = Infinity }, { from }) {
  const last = Math.min(maxN, longest(digitsPerRequest));
  if (from === undefined || from > last) return { from: { least: 0, most: last }, count: { least: 1, most: maxCount } };
  const most = longestRow(from, Math.min(maxCount, last - from + 1), digitsPerRequest);
  const where = most < maxCount ? `from F(${grouped(from)}) on` : undefined;
  return { from: { least: 0, most: last }, count: { least: 1, most, where } };
}

/** How many numbers from F(from) on have at most `digits` digits in all; at most `most`, and the first in any case. */
function longestRow(from, most, digits) {
  let count = 1;
  for (let all = digitCount(from); count < most; count += 1) {
    all += digitCount(from + count);
    if (all > digits) break;
  }
  return count;
}

function show(fibs, figure) {
  const section = find("#growth");
  section.querySelector(".value").hidden = Boolean(fibs);
  section.querySelector(".value").replaceChildren(nothing());
  figure.hidden = !fibs;
  if (!fibs) {
    head(section, "Digits of F(n)", []);
    return { title: "Digits of F(n)", sentences: [] };
  }
  const [first, last] = [fibs[0], fibs.at(-1)];
  const row = fibs.length === 1 ? `F(${grouped(first.n)})` : `F(${grouped(first.n)}) to F(${grouped(last.n)})`;
  const title = `Digits of ${row}`;
  head(section, title, [span(first, last)], origin(fibs));
  return { title, sentences: [`${title}: ${span(first, last)}, ${origin(fibs)}.`] };
}

/** From the fewest digits to the most. */
function span(first, last) {
  const most = counted(last.digitCount, "digit");
  return first.digitCount === last.digitCount ? most : `${grouped(first.digitCount)} to ${most}`;
}

/** Where a row came from: it may be from both. */
function origin(fibs) {
  const cached = fibs.filter(({ cached }) => cached).length;
  if (cached === fibs.length) return "cached";
  return cached === 0 ? "computed" : `${grouped(fibs.length - cached)} computed, ${grouped(cached)} cached`;
}

function draw(chart, fibs) {
  const [first, last] = [fibs[0], fibs.at(-1)];
  // A single point has some room on both sides too.
  const xs = first === last ? [first.n - 1, first.n + 1] : [first.n, last.n];
  const ys = [first.digitCount - 1, last.digitCount + 1];
  const axis = { incrs: STEPS, values: (_, splits) => splits.map((number) => (number >= 0 ? grouped(number) : "")) };
  const width = (number) => DIGIT * grouped(number).length;
  chart.begin({
    x: { scale: { range: () => xs }, axis: { ...axis, label: "n", space: width(last.n) + 30, size: 32, gap: 9 } },
    y: { scale: { range: () => ys }, axis: { ...axis, label: "Digits of F(n)", size: 20 + width(last.digitCount) } },
    // The last number has room below the end of its axis.
    padding: [null, Math.max(17, width(last.n) / 2), null, null],
    isMarked: fibs.length <= MARKED,
  });
  chart.add(...fibs);
  chart.end(describe);
}

function describe(first, last) {
  const begins = `F(${grouped(first.n)}) has ${counted(first.digitCount, "digit")}`;
  if (first === last) return `${begins}.`;
  return (
    `${begins}, F(${grouped(last.n)}) has ${counted(last.digitCount, "digit")}, and between them the number rises ` +
    "along a straight line: one more digit about every 4.785 numbers."
  );
}
