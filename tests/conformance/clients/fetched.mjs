// `fetch` that remembers what was sent and what came back, for clients that take a `fetch` of one's own.

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
