// The view of the digits of π: a page of them around one that was asked for.
import { INT_MAX } from "./fields.js";
import { counted, element, grouped } from "./numbers.js";
import { begin, find, head, nothing, origin } from "./view.js";

const QUERY = "query Digits($from: Int!, $count: Int!) { piDigits(from: $from, count: $count) { result cached } }";

/** The decimals of a page. The first page has the 3 besides, so that each begins a line of decimals as tables of π do. */
const PAGE = 1_000;
const GROUP = 10;

/** Where two groups of ten are as many as fit in a line; elsewhere there are five. */
const narrow = matchMedia("(max-width: 48rem)");

/** How many digits the server gives, once it has told. */
let supply = INT_MAX;
/** What is shown. */
let shown;

export function digits() {
  const section = find("#digits");
  const ask = begin({
    name: "digits",
    limits: ["maxPiDigits"],
    admits({ maxPiDigits }) {
      if (maxPiDigits) find("#supply").textContent = `This server gives the first ${counted(maxPiDigits, "digit")}.`;
      supply = maxPiDigits ?? INT_MAX;
      return () => ({ digit: { least: 0, most: supply - 1 } });
    },
    request: ({ digit }) => (digit === undefined ? undefined : { query: QUERY, variables: page(digit) }),
    fields: { piDigits: "digit" },
    show: ({ digit }, { piDigits }) => show(section, digit, piDigits),
    draw() {
      // A page begins where the eye is; a digit within it may be out of sight.
      if (shown && shown.digit !== shown.from) section.querySelector("mark").scrollIntoView({ block: "nearest" });
    },
  });
  const turn = async (digit) => {
    await ask({ digit });
    section.querySelector("header").scrollIntoView({ block: "nearest" });
  };
  find("#previous").addEventListener("click", () => turn(page(shown.from - 1).from));
  find("#next").addEventListener("click", () => turn(shown.from + shown.count));
  narrow.addEventListener("change", () => shown && showLines(section));
}

/** The number of the page that has a digit, from 1. */
function number(digit) {
  return Math.max(1, Math.ceil(digit / PAGE));
}

/** The page that has a digit: from where, and how many. */
function page(digit) {
  const before = (number(digit) - 1) * PAGE;
  const from = before === 0 ? 0 : before + 1;
  return { from, count: Math.min(before + PAGE + 1, supply) - from };
}

function show(section, digit, piDigits) {
  shown = piDigits && { digit, ...page(digit), result: piDigits.result };
  section.querySelector(".value").hidden = Boolean(shown);
  section.querySelector(".value").replaceChildren(nothing());
  section.querySelector(".lines").hidden = !shown;
  section.querySelector(".pager").hidden = !shown;
  if (!shown) {
    head(section, "Digits of π", []);
    return { title: "Digits of π", sentences: [] };
  }
  const { from, count, result } = shown;
  const last = from + count - 1;
  const title = count === 1 ? `Digit ${grouped(from)} of π` : `Digits ${grouped(from)} to ${grouped(last)} of π`;
  const found = `Digit ${grouped(digit)} is ${result[digit - from]}`;
  head(section, title, [found], origin(piDigits));
  showLines(section);
  showPager(number(last), number(supply - 1));
  return { title, sentences: [`${title}, ${origin(piDigits)}.`, `${found}.`] };
}

/** Shows the digits in lines of tens. The 3 has a line of its own, with the point behind it. */
function showLines(section) {
  const { from, result } = shown;
  const length = GROUP * (narrow.matches ? 2 : 5);
  const lines = from === 0 ? [line(0, result[0])] : [];
  for (let start = from === 0 ? 1 : 0; start < result.length; start += length) {
    lines.push(line(from + start, result.slice(start, start + length)));
  }
  section.querySelector("tbody").replaceChildren(...lines);
}

/** A line of digits, from a position on. */
function line(position, digits) {
  const row = element("tr");
  const label = element("th", grouped(position));
  label.scope = "row";
  const cell = element("td");
  for (let start = 0; start < digits.length; start += GROUP) {
    cell.append(group(position + start, digits.slice(start, start + GROUP)));
  }
  if (position === 0) cell.lastChild.append(".");
  row.append(label, cell);
  return row;
}

/** Up to ten digits, among which the one that was asked for stands out. */
function group(position, digits) {
  const made = element("span");
  const at = shown.digit - position;
  if (at < 0 || at >= digits.length) made.append(digits);
  else made.append(digits.slice(0, at), element("mark", digits[at]), digits.slice(at + 1));
  return made;
}

/** Tells which page it is, and turns off what leads beyond the first and the last one. The focus stays in the pager. */
function showPager(current, last) {
  find(".pager .note").textContent = `Page ${grouped(current)} of ${grouped(last)}`;
  const [previous, next] = [find("#previous"), find("#next")];
  const focused = document.activeElement;
  [previous.disabled, next.disabled] = [current === 1, current === last];
  if (focused === previous && previous.disabled) next.focus();
  if (focused === next && next.disabled) previous.focus();
}
