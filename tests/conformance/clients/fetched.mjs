// `fetch` in two forms, for clients that take one.

/** A `fetch`, and the method, URL and status of each request in order. */
export function recording() {
  const sent = [];
  const recorded = async (resource, options = {}) => {
    const response = await fetch(resource, options);
    sent.push({ method: options.method ?? 'GET', url: String(resource), status: response.status, body: options.body });
    return response;
  };
  return { fetch: recorded, sent };
}

/** A `fetch` whose bodies give their first chunk, and the rest when the gate is open. */
export function gated(gate) {
  async function* chunks(body) {
    for await (const chunk of body) {
      yield chunk;
      await gate;
    }
  }
  return async (resource, options) => {
    const response = await fetch(resource, options);
    const { status, headers } = response;
    return new Response(ReadableStream.from(chunks(response.body)), { status, headers });
  };
}
