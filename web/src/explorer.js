// The explorer: one request for both values, and then the way of the approximations to π.
import { allDigits, answer, convergence, inGraphiql, limits, request } from "./api.js";
import { Chart } from "./chart.js";
import { agreeing, approximation, counted, element, fibonacci, grouped } from "./numbers.js";
import { scientific, wholeNumber, withGroups } from "./numbers.js";

const POINTS = 60;
const AWAY = { errors: [{ message: "The server does not answer. Check that it runs and that you are connected." }] };

const find = (selector) => document.querySelector(selector);
const form = find("form");
const inputs = [form.elements.n, form.elements.terms];
const failure = find(".failure");
const answers = find(".answers");
const status = find("[role=status]");
const figure = find("figure");
const chart = new Chart(figure);
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

/** The largest numbers that the server takes, by the name of their field, once it has told them. */
let largest;
/** What is under way; a newer question ends it. */
let asking = new AbortController();
/** What is shown. */
let shown = {};

/** Asks for what the fields hold. A field with no good number says so, and the other one is answered all the same. */
async function ask() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  let variables = {};
  let reply = {};
  wait(true);
  try {
    largest ??= await knownLimits(signal);
    variables = read();
    remember();
    const body = showRequest(variables);
    if (body) reply = await answer(body, signal);
  } catch {
    reply = AWAY;
  }
  if (signal.aborted) return;
  wait(false);
  tell(variables, reply);
  // Not before there is an answer: what the curve asks for is remembered too, and would then be cached.
  if (!figure.hidden) await draw(variables.terms, reply.data.pi, signal);
}

/** The limits of the server, which the fields tell from then on. */
async function knownLimits(signal) {
  const known = await limits(signal);
  for (const input of inputs) {
    find(`#${input.id}-hint`).textContent = `A whole number from 0 to ${grouped(known[input.name])}`;
    begin(input, known[input.name]);
  }
  return known;
}

/** Has a field begin with a number that the server takes, unless the address or a person has another one there. */
function begin(input, most) {
  const isUntouched = input.value === input.defaultValue && !new URLSearchParams(location.search).has(input.name);
  input.defaultValue = String(Math.min(wholeNumber(input.defaultValue), most));
  if (isUntouched) input.value = input.defaultValue;
}

/** The good numbers among what the fields hold. Each other field says what is wrong, and the first of them is to be typed in. */
function read() {
  for (const input of inputs) complain(input, fault(input));
  form.querySelector("[aria-invalid=true]")?.focus();
  const good = inputs.filter((input) => !fault(input));
  return Object.fromEntries(good.map(({ name, value }) => [name, wholeNumber(value)]));
}

/** What is wrong with what a field holds; nothing if it is a number that the server takes. */
function fault({ name, value }) {
  const number = wholeNumber(value);
  const range = `from 0 to ${grouped(largest[name])}`;
  if (number === undefined) return `Type a whole number ${range} in digits alone, such as 1000 or 1,000.`;
  return number > largest[name] ? `Too large: this server takes whole numbers ${range}.` : "";
}

/** Tells what is wrong next to the field, or nothing when `message` is empty. */
function complain(input, message) {
  input.ariaInvalid = String(message !== "");
  find(`#${input.id}-error`).textContent = message;
}

function fail(message) {
  failure.hidden = false;
  failure.firstElementChild.textContent = message;
}

/** Keeps what was asked in the address, so that it can be shared, and Back leads to what was asked before. */
function remember() {
  if (location.search !== address()) history.pushState(null, "", address());
}

/** The address of what the fields hold. */
function address() {
  return `?${new URLSearchParams(inputs.map(({ name, value }) => [name, wholeNumber(value) ?? value]))}`;
}

/** Fills the fields from the address, as far as it tells. */
function recall() {
  const told = new URLSearchParams(location.search);
  for (const input of inputs) input.value = told.get(input.name) ?? input.defaultValue;
}

/** Shows that an answer is awaited, or that there is one. */
function wait(isWaiting) {
  answers.ariaBusy = String(isWaiting);
  status.classList.toggle("visually-hidden", !isWaiting);
  if (!isWaiting) return;
  status.textContent = "Waiting for the answer …";
  failure.hidden = true;
}

/** Shows the body of the request for these variables, which it returns; there is none if there are no variables. */
function showRequest(variables) {
  const isAsked = Object.keys(variables).length > 0;
  find(".request").hidden = !isAsked;
  if (!isAsked) return undefined;
  const asked = request(variables);
  const body = JSON.stringify(asked, null, 2);
  find("pre code").textContent = body;
  find("#open").href = inGraphiql(asked);
  find("#timing").textContent = "";
  return body;
}

/** Shows what came of the question, and tells each error next to the field that it is about. */
function tell({ n, terms }, { data, errors = [], milliseconds }) {
  let refused;
  for (const { path, message } of errors) {
    const input = path && form.elements[path[0] === "fib" ? "n" : "terms"];
    if (input) complain(input, withGroups(message));
    else fail(withGroups(message));
    refused ??= input;
  }
  refused?.focus();
  const { fib, pi } = data ?? {};
  showFibonacci(n, fib);
  showPi(terms, pi);
  if (milliseconds) find("#timing").textContent = `Answered in ${milliseconds} ms`;
  // Back and Forward list what was asked by its title.
  document.title = `${find("#fib h2").textContent}, ${find("#pi h2").textContent} · phipi`;
  const sentences = [
    fib && `F(${grouped(n)}) has ${counted(fib.digitCount, "digit")}, ${origin(fib)}.`,
    pi && `π from ${counted(terms, "term")} is ${pi.result}, ${origin(pi)}.`,
  ];
  status.textContent = sentences.filter(Boolean).join(" ");
}

function showFibonacci(n, fib) {
  shown = { n, ...fib };
  const section = find("#fib");
  head(section, n === undefined ? "F(n)" : `F(${grouped(n)})`, fib, fib ? [counted(fib.digitCount, "digit")] : []);
  section.querySelector(".value").replaceChildren(...(fib ? fibonacci(fib) : [nothing()]));
  section.querySelector(".actions").hidden = !fib;
  section.querySelector(".actions .note").textContent = "";
}

function showPi(terms, pi) {
  const section = find("#pi");
  const title = terms === undefined ? "π" : `π from ${counted(terms, "term")}`;
  head(section, title, pi, pi ? ["off by ", ...scientific(pi.error)] : []);
  section.querySelector(".value").replaceChildren(...(pi ? approximation(pi.result) : [nothing()]));
  section.querySelector(".legend").hidden = !pi || agreeing(pi.result) === 0;
  figure.hidden = !pi || terms < 2;
}

function head(section, title, answer, note) {
  section.querySelector("h2").textContent = title;
  section.querySelector("header .note").replaceChildren(...note);
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

/** One point a frame, so that the eye can follow; at once for a person who wants no motion. */
async function draw(terms, pi, signal) {
  chart.begin({ terms, ...pi });
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
  status.textContent = note.textContent;
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
form.addEventListener("input", ({ target }) => {
  if (target.ariaInvalid === "true" && !fault(target)) complain(target, "");
});
failure.querySelector("button").addEventListener("click", ask);
// Browsers have no clipboard on a page that came over plain HTTP from another machine.
find("#copy").hidden = !navigator.clipboard;
find("#copy").addEventListener("click", () => withDigits(copy, "Copied."));
find("#download").addEventListener("click", () => withDigits(download, "Saved."));
addEventListener("popstate", () => {
  recall();
  ask();
});

recall();
history.replaceState(null, "", address());
ask();
