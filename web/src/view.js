// What all views of the explorer do: they send one request for what the fields hold, and tell what came of it.
import { answer, inGraphiql, limits } from "./api.js";
import { Fields } from "./fields.js";
import { element, withGroups } from "./numbers.js";

const AWAY = { errors: [{ message: "The server does not answer. Check that it runs and that you are connected." }] };

/** What a person reads of an error that is about the moment, and not about what was typed. */
const PASSING = {
  DEADLINE_EXCEEDED: "This takes longer than the server gives one request. It goes on, and keeps what it finds for the next one.",
  OVERLOADED: "The server has too much to do just now. It may have time in a few seconds.",
  INTERNAL_SERVER_ERROR: "Something went wrong on the server.",
};

export const find = (selector) => document.querySelector(selector);

/**
 * Begins a view, and asks for what the address or its fields hold. A view has:
 *
 * - `name`, as in the address, unless it is shown by default;
 * - `limits`, the names of those that its fields need to know;
 * - `admits(limits)`, which is told them once and returns what the fields take, as `Fields.admit` has it;
 * - `request(variables)`, the request for the good numbers that the fields hold, if there are enough of them;
 * - `fields`, by the name of a value in the answer the field that its errors are about;
 * - `show(variables, data)`, which shows the answer and returns what it is called, and sentences to be read aloud;
 * - `draw(variables, data, signal)`, if there is more to do once the answer is there.
 *
 * Returns a function that types numbers into the fields and asks for them.
 */
export function begin(view) {
  const fields = new Fields(find("form"), view.name);
  const [failure, answers, status] = [".failure", ".answers", "[role=status]"].map(find);
  let isAdmitted = false;
  /** What is under way; a newer question ends it. */
  let asking = new AbortController();

  /** Asks for what the fields hold. A field with no good number says so, and the others are answered if they can be. */
  async function ask() {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    let variables = {};
    let reply = {};
    wait(true);
    try {
      await admit(signal);
      variables = fields.read();
      fields.remember();
      const body = showRequest(view.request(variables));
      if (body) reply = await answer(body, signal);
    } catch {
      reply = AWAY;
    }
    if (signal.aborted) return;
    wait(false);
    tell(variables, reply);
    // Not before there is an answer: what a curve asks for is remembered too, and would then be cached.
    await view.draw?.(variables, reply.data ?? {}, signal);
  }

  /** Asks for the limits of the server, once, which the fields tell from then on. */
  async function admit(signal) {
    if (isAdmitted) return;
    const known = await limits(view.limits, signal);
    fields.admit(view.admits(known));
    isAdmitted = true;
  }

  /** Shows that an answer is awaited, or that there is one. */
  function wait(isWaiting) {
    answers.ariaBusy = String(isWaiting);
    status.classList.toggle("visually-hidden", !isWaiting);
    if (!isWaiting) return;
    status.textContent = "Waiting for the answer …";
    failure.hidden = true;
  }

  /** Shows what came of the question, and tells each error next to the field that it is about. */
  function tell(variables, { data, errors = [], milliseconds }) {
    let refused;
    for (const { path, message, extensions } of errors) {
      const passing = PASSING[extensions?.code];
      const field = passing ? undefined : view.fields[path?.[0]];
      if (field) fields.complain(field, withGroups(message));
      else fail(passing ?? withGroups(message));
      refused ??= field;
    }
    if (refused) fields.focus(refused);
    const { title, sentences } = view.show(variables, data ?? {});
    if (milliseconds) find("#timing").textContent = `Answered in ${milliseconds} ms`;
    // Back and Forward list what was asked by its title.
    document.title = `${title} · phipi`;
    status.textContent = sentences.filter(Boolean).join(" ");
  }

  function fail(message) {
    failure.hidden = false;
    failure.firstElementChild.textContent = message;
  }

  find("form").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  failure.querySelector("button").addEventListener("click", ask);
  addEventListener("popstate", () => {
    fields.recall();
    ask();
  });

  fields.recall();
  history.replaceState(null, "", fields.address());
  ask();
  return (numbers) => {
    for (const [name, number] of Object.entries(numbers)) fields.type(name, number);
    return ask();
  };
}

/** Shows the body of this request, which it returns, and its way to GraphiQL; hides both if there is no request. */
function showRequest(request) {
  find(".request").hidden = !request;
  if (!request) return undefined;
  const body = JSON.stringify(request, null, 2);
  find("pre code").textContent = body;
  find("#open").href = inGraphiql(request);
  find("#timing").textContent = "";
  return body;
}

/** The head of a section: its title, where its answer came from, if there is one, and a note. */
export function head(section, title, note, origin) {
  section.querySelector("h2").textContent = title;
  section.querySelector("header .note").replaceChildren(...note);
  const badge = section.querySelector(".badge");
  badge.hidden = !origin;
  badge.textContent = origin ?? "";
  badge.dataset.cached = origin === "cached";
}

/** Where an answer came from, if there is one. */
export function origin(answer) {
  return answer && (answer.cached ? "cached" : "computed");
}

export function nothing() {
  return element("i", "no answer");
}
