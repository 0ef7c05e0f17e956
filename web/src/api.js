// How a page asks phipi. It needs no library. Addresses are relative to the page, whatever path a proxy puts before it.

/** Up to this n all digits of F(n) are shown, 209 of them; beyond it only the first and the last. */
const SHOWN_WHOLE = 1000;

export const BOTH = `query Both($n: Int!, $terms: Int!, $whole: Boolean!) {
  fib(n: $n) {
    cached
    digitCount
    result @include(if: $whole)
    leading(digits: 90) @skip(if: $whole)
    trailing(digits: 90) @skip(if: $whole)
  }
  pi(terms: $terms) {
    cached
    result
    error
  }
}`;

const CONVERGENCE = `subscription Convergence($terms: Int!, $points: Int!) {
  piConvergence(terms: $terms, points: $points) { terms result error }
}`;

export function variables(n, terms) {
  return { n, terms, whole: n <= SHOWN_WHOLE };
}

/**
 * Both values, in one request. What comes back is `{ data, errors, milliseconds }`: a value that has no answer is null,
 * and the error whose `path` begins with its name tells why; the other value is there all the same.
 */
export async function both(n, terms, signal) {
  const body = { query: BOTH, variables: variables(n, terms) };
  const response = await post(body, "application/graphql-response+json, application/json;q=0.9", signal);
  const milliseconds = /total;dur=([\d.]+)/.exec(response.headers.get("Server-Timing"))?.[1];
  return { ...(await response.json()), milliseconds };
}

/** The approximations on the way to `terms`, one after the other as they come, by server-sent events. */
export async function* convergence(terms, points, signal) {
  const response = await post({ query: CONVERGENCE, variables: { terms, points } }, "text/event-stream", signal);
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) throw new Error("no events");
  for await (const { event, data } of events(response.body)) {
    if (event === "complete") return;
    if (event !== "next") continue;
    const { data: answer, errors } = JSON.parse(data);
    if (errors) throw new Error(errors[0].message);
    yield answer.piConvergence;
  }
}

/** All digits of F(n), without GraphQL. */
export async function allDigits(n) {
  const response = await fetch(`fib/${n}`, { headers: { Accept: "text/plain" } });
  if (!response.ok) throw new Error(response.statusText);
  return response.blob();
}

function post(body, accept, signal) {
  return fetch("graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: accept },
    body: JSON.stringify(body),
    signal,
  });
}

/** The events of a stream, as `text/event-stream` has them: lines of fields, and an empty line after each event. */
async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (text + value).split(/\r?\n\r?\n/);
    // The last one is not complete yet.
    text = blocks.pop();
    for (const block of blocks) {
      const fields = block.split(/\r?\n/).map((line) => /^(\w*):? ?(.*)$/.exec(line).slice(1));
      yield Object.fromEntries(fields);
    }
  }
}
