/** What a proxy takes of an address by default. */
const LONGEST = 8_000;

/** The tab of a link to GraphiQL, if it is one: `?query=`, with `variables`, `headers` and `operationName`. */
export function shared(search) {
  const told = new URLSearchParams(search);
  const query = told.get("query");
  if (!query) return undefined;
  const [variables, headers] = ["variables", "headers"].map((name) => indented(told.get(name) ?? ""));
  return { query, variables, headers, operationName: told.get("operationName") };
}

/**
 * The link to an operation; nothing if it would be too long. It has no headers, which may be secret: a person who wants them in
 * a link writes them there.
 */
export function link({ query, variables, operationName }) {
  const told = Object.entries({ query, variables, operationName }).filter(([, value]) => value);
  const { href } = new URL(`graphql?${new URLSearchParams(told)}`, location.href);
  return href.length <= LONGEST ? href : undefined;
}

/** JSON as a person reads it; a text that is none as it is, so that its fault is seen. */
function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
