// The explorer: one request for both values, and then the way of the approximations to π.
import { BOTH, allDigits, both, convergence, variables } from "./api.js";
import { Chart } from "./chart.js";
import { approximation, counted, element, fibonacci, grouped, scientific } from "./numbers.js";

/** GraphQL's Int. A larger number would fail the request as a whole, and with it the other value. */
const INT_MAX = 2 ** 31 - 1;
const POINTS = 60;

const find = (selector) => document.querySelector(selector);
const form = find("form");
const failure = find(".failure");
const answers = find(".answers");
const figure = find("figure");
const chart = new Chart(figure);
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

/** What is under way; a newer question ends it. */
let asking = new AbortController();
/** What is shown. */
let shown = {};

async function ask() {
  const n = wholeNumber(form.elements.n);
  const terms = wholeNumber(form.elements.terms);
  form.querySelector("[aria-invalid=true]")?.focus();
  if (n === undefined || terms === undefined) return;

  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  answers.ariaBusy = "true";
  failure.hidden = true;
  history.replaceState(null, "", `?${new URLSearchParams({ n, terms })}`);
  find("pre code").textContent = `${BOTH}\n\n${JSON.stringify(variables(n, terms), null, 2)}`;
  try {
    const { data, errors = [], milliseconds } = await both(n, terms, signal);
    for (const { path, message } of errors) {
      if (path) complain(form.elements[path[0] === "fib" ? "n" : "terms"], message);
      else fail(message);
    }
    if (!data) return;
    showFibonacci(n, data.fib);
    showPi(terms, data.pi);
    find("#timing").textContent = milliseconds ? `Answered in ${milliseconds} ms` : "";
    find("[role=status]").textContent = [
      data.fib ? `F(${grouped(n)}) has ${counted(data.fib.digitCount, "digit")}, ${origin(data.fib)}.` : "",
      data.pi ? `${counted(terms, "term")} give ${data.pi.result}, ${origin(data.pi)}.` : "",
    ].join(" ");
    // Not before there is an answer: what the curve asks for is remembered too, and would then be cached.
    if (data.pi && terms > 1) await draw(terms, data.pi, signal);
  } catch {
    if (!signal.aborted) fail("The server does not answer. Check that it runs and that you are connected.");
  } finally {
    if (!signal.aborted) answers.ariaBusy = "false";
  }
}

/** What a person typed: 1000000, 1,000,000 and 1 000 000 are the same. */
function wholeNumber(input) {
  const text = input.value.replace(/[\s,_]/g, "").replace("−", "-");
  complain(input, "");
  if (!/^-?\d+$/.test(text)) {
    complain(input, "Type a whole number, such as 1,000.");
  } else if (Math.abs(text) > INT_MAX) {
    complain(input, `Type a number up to ${grouped(INT_MAX)}.`);
  } else {
    return Number(text);
  }
}

/** Tells what is wrong next to the field, or nothing when `message` is empty. */
function complain(input, message) {
  input.ariaInvalid = String(message !== "");
  find(`#${input.id}-error`).textContent = message.replace(/\d{4,}/g, (number) => grouped(Number(number)));
}

function fail(message) {
  failure.hidden = false;
  failure.firstElementChild.textContent = message;
}

function showFibonacci(n, fib) {
  shown = { n, ...fib };
  const section = find("#fib");
  head(section, `F(${grouped(n)})`, fib, fib && counted(fib.digitCount, "digit"));
  section.querySelector(".value").replaceChildren(...(fib ? fibonacci(fib) : [nothing()]));
  section.querySelector(".actions").hidden = !fib;
  section.querySelector(".actions .note").textContent = "";
}

function showPi(terms, pi) {
  const section = find("#pi");
  head(section, `π from ${counted(terms, "term")}`, pi, pi && `off by ${scientific(pi.error)}`);
  section.querySelector(".value").replaceChildren(...(pi ? approximation(pi.result) : [nothing()]));
  figure.hidden = !pi || terms < 2;
}

function head(section, title, answer, note) {
  section.querySelector("h2").textContent = title;
  section.querySelector("header .note").textContent = note ?? "";
  const badge = section.querySelector(".badge");
  badge.hidden = !answer;
  badge.textContent = answer ? origin(answer) : "";
  badge.dataset.cached = answer?.cached;
}

function origin({ cached }) {
  return cached ? "cached" : "computed";
}

function nothing() {
  return element("i", "no answer");
}

/** One point a frame, so that the eye can follow; at once for who wants no motion. */
async function draw(terms, answer, signal) {
  answers.ariaBusy = "false";
  chart.begin({ terms, ...answer });
  try {
    for await (const point of convergence(terms, POINTS, signal)) {
      if (!stillness.matches) await new Promise(requestAnimationFrame);
      if (signal.aborted) return;
      chart.add(point);
    }
    chart.end();
  } catch {
    // The values are there; the curve is an extra.
    if (!signal.aborted) figure.hidden = true;
  }
}

/** Runs `use` with all digits of what is shown, and tells beside the buttons what came of it. */
async function withDigits(use, done) {
  const { n, result } = shown;
  const note = find(".actions .note");
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

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
failure.querySelector("button").addEventListener("click", ask);
// Browsers have no clipboard on a page that came over plain HTTP from another machine.
find("#copy").hidden = !navigator.clipboard;
find("#copy").addEventListener("click", () => withDigits(copy, "Copied."));
find("#download").addEventListener("click", () => withDigits(download, "Saved."));

for (const [name, value] of new URLSearchParams(location.search)) {
  if (name === "n" || name === "terms") form.elements[name].value = value;
}
ask();
