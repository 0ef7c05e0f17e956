// The view of both values: F(n) and π in one request, and then the way of the approximations to π.
import { allDigits } from "./api.js";
import { Convergence } from "./convergence.js";
import { longest } from "./fibonacci.js";
import { INT_MAX } from "./fields.js";
import { agreeing, approximation, counted, fibonacci, grouped, scientific } from "./numbers.js";
import { begin, find, head, nothing, origin } from "./view.js";

/** Up to this n all digits of F(n) are shown, 400 of them. They take about as much room as both ends of a larger number. */
const SHOWN_WHOLE = 1_915;

/** The digits that are shown of either end of a larger number. */
const END = 150;

/** The fields of the request that have to do with each variable, for its value. */
const ASKED = {
  n: (n) => {
    const digits = n <= SHOWN_WHOLE ? "result" : `leading(digits: ${END}) trailing(digits: ${END})`;
    return `fib(n: $n) { ${digits} digitCount cached }`;
  },
  terms: () => "pi(terms: $terms) { result error cached }",
};

/** What is shown of F(n). */
let shown = {};

export function values() {
  const convergence = new Convergence(find("figure"));
  // Browsers have no clipboard on a page that came over plain HTTP from another machine.
  find("#copy").hidden = !navigator.clipboard;
  find("#copy").addEventListener("click", () => withDigits(copy, "Copied."));
  find("#download").addEventListener("click", () => withDigits(download, "Saved."));
  begin({
    limits: ["maxN", "maxTerms", "digitsPerRequest"],
    // A request may have all digits of the largest n.
    admits: ({ maxN = INT_MAX, maxTerms = INT_MAX, digitsPerRequest = Infinity }) => () => ({
      n: { least: 0, most: Math.min(maxN, longest(digitsPerRequest)) },
      terms: { least: 0, most: maxTerms },
    }),
    request,
    fields: { fib: "n", pi: "terms" },
    show({ n, terms }, { fib, pi }) {
      const title = `${showFibonacci(n, fib)}, ${showPi(terms, pi)}`;
      const sentences = [
        fib && `F(${grouped(n)}) has ${counted(fib.digitCount, "digit")}, ${origin(fib)}.`,
        pi && `π from ${counted(terms, "term")} is ${pi.result}, ${origin(pi)}.`,
      ];
      return { title, sentences };
    },
    async draw({ terms }, { pi }, signal) {
      if (pi && terms >= 2) await convergence.draw(terms, pi, signal);
    },
  });
}

/** A request for the values of these `variables`: `n`, `terms` or both. */
function request(variables) {
  const names = Object.keys(variables);
  if (names.length === 0) return undefined;
  const declared = names.map((name) => `$${name}: Int!`).join(", ");
  const fields = names.map((name) => ASKED[name](variables[name])).join(" ");
  return { query: `query Values(${declared}) { ${fields} }`, variables };
}

/** Shows F(n), and returns its title. */
function showFibonacci(n, fib) {
  shown = { n, ...fib };
  const section = find("#fib");
  const title = n === undefined ? "F(n)" : `F(${grouped(n)})`;
  head(section, title, fib ? [counted(fib.digitCount, "digit")] : [], origin(fib));
  section.querySelector(".value").replaceChildren(...(fib ? fibonacci(fib) : [nothing()]));
  section.querySelector(".actions").hidden = !fib;
  section.querySelector(".actions .note").textContent = "";
  return title;
}

/** Shows an approximation of π, and returns its title. */
function showPi(terms, pi) {
  const section = find("#pi");
  const title = terms === undefined ? "π" : `π from ${counted(terms, "term")}`;
  head(section, title, pi ? ["off by ", ...scientific(pi.error)] : [], origin(pi));
  section.querySelector(".value").replaceChildren(...(pi ? approximation(pi.result) : [nothing()]));
  section.querySelector(".legend").hidden = !pi || agreeing(pi.result) === 0;
  section.querySelector("figure").hidden = !pi || terms < 2;
  return title;
}

/** Runs `use` with all digits of what is shown, and tells beside the buttons what came of it. */
async function withDigits(use, done) {
  const { n, result } = shown;
  const note = find("#fib .actions .note");
  note.textContent = result ? "" : "Fetching the digits …";
  try {
    await use(result ? new Blob([result]) : await allDigits(n), n);
    note.textContent = done;
  } catch {
    note.textContent = "That did not work. Try again.";
  }
  find("[role=status]").textContent = note.textContent;
}

async function copy(digits) {
  await navigator.clipboard.writeText(await digits.text());
}

function download(digits, n) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(digits);
  link.download = `fibonacci-${n}.txt`;
  link.click();
  // The browser begins to read it after this.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
