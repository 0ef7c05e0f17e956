// How a page asks phipi. It needs no library. Addresses are relative to the page, whatever path a proxy puts before it.

const JSON_TYPES = "application/graphql-response+json, application/json;q=0.9";

const CONVERGENCE = `subscription Convergence($terms: Int!, $points: Int!) {
  piConvergence(terms: $terms, points: $points) { terms result error }
}`;

/**
 * The answer to a request with this body. It is `{ data, errors, milliseconds }`: a value that has no answer is null, and
 * the error whose `path` begins with its name tells why; the other value is there all the same.
 */
export async function answer(body, signal) {
  const response = await post(body, JSON_TYPES, signal);
  const milliseconds = /\btotal;dur=([\d.]+)/.exec(response.headers.get("Server-Timing"))?.[1];
  return { ...(await response.json()), milliseconds };
}

/** The limits of the server with these names. A server that is overloaded, or of another version, does not tell them. */
export async function limits(names, signal) {
  const query = `{ limits { ${names.join(" ")} } }`;
  const { data } = await answer(JSON.stringify({ query }), signal);
  return data?.limits ?? {};
}

/** The approximations on the way to `terms`, one after the other as they come, by server-sent events. */
export async function* convergence(terms, points, signal) {
  const body = JSON.stringify({ query: CONVERGENCE, variables: { terms, points } });
  const response = await post(body, "text/event-stream", signal);
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) throw new Error("no events");
  for await (const { event, data } of events(response.body)) {
    if (event === "complete") return;
    if (event !== "next") continue;
    const { data: value, errors } = JSON.parse(data);
    if (errors) throw new Error(errors[0].message);
    yield value.piConvergence;
  }
}

/** All digits of F(n), without GraphQL. */
export async function allDigits(n) {
  const response = await fetch(`fib/${n}`, { headers: { Accept: "text/plain" } });
  if (!response.ok) throw new Error(response.statusText);
  return response.blob();
}

/** The address of a request in GraphiQL. */
export function inGraphiql({ query, variables }) {
  return `graphql?${new URLSearchParams({ query, variables: JSON.stringify(variables) })}`;
}

function post(body, accept, signal) {
  return fetch("graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: accept },
    body,
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
