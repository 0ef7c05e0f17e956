// Asks phipi over HTTP.

import { answer } from './oracle.mjs';

export class Endpoint {
  constructor(url) {
    this.url = url;
    // The numbers of terms, the indices above the ladder, and how many digits of π, that phipi was asked.
    this.known = { fib: new Set(), pi: new Set(), piDigits: 0 };
  }

  // The data of a query that can't fail.
  async data(query) {
    const { data, errors } = parse(await this.post(body({ query })));
    if (errors) throw new Error(`${query} fails: ${JSON.stringify(errors)}`);
    return data;
  }

  // Asks for these numbers once, so that they are cached from then on.
  async warm(questions) {
    const fib = [...questions.fib].filter((n) => n > LADDER && !this.known.fib.has(n));
    const pi = [...questions.pi].filter((terms) => !this.known.pi.has(terms));
    if (this.known.fib.size === 0) fib.push(LADDER);
    const fields = [
      ...fib.map((n) => `fib(n: ${n}) { cached }`),
      ...pi.map((terms) => `pi(terms: ${terms}) { cached }`),
    ];
    const piDigits = Math.max(...questions.piDigits, this.known.piDigits);
    // Once a digit was answered, all before it are cached.
    if (piDigits > this.known.piDigits) fields.push(`piDigits(from: ${piDigits - 1}, count: 1) { cached }`);
    while (fields.length > 0) await this.data(`{ ${fields.splice(0, 100).map((field, k) => `a${k}: ${field}`)} }`);
    fib.forEach((n) => this.known.fib.add(n));
    pi.forEach((terms) => this.known.pi.add(terms));
    this.known.piDigits = Math.max(piDigits, this.known.piDigits);
  }

  // The outcomes of up to ten requests. Where they share what one of them alone may spend, it is asked again, alone.
  async outcomes(requests) {
    if (requests.length === 0) return [];
    const together = parse(await this.post(`[${requests.map(body)}]`));
    const outcomes = Array.isArray(together) ? together.map(outcome) : [];
    for (const [k, request] of requests.entries()) {
      if (!outcomes[k] || outcomes[k].refused === 'QUERY_TOO_COMPLEX') {
        outcomes[k] = outcome(parse(await this.post(body(request))));
      }
    }
    return outcomes;
  }

  // The outcome of a subscription, whose events come as a stream.
  async streamed(request) {
    const text = await this.post(body(request), 'text/event-stream');
    const events = text.split('\n\n').filter((event) => event.startsWith('event: next\n'));
    const outcomes = events.map((event) => outcome(parse(event.slice(event.indexOf('data:') + 5))));
    const refusal = outcomes.find(({ refused }) => refused);
    return refusal ?? { answers: outcomes.flatMap(({ answers }) => answers) };
  }

  async post(text, accept = 'application/json') {
    const headers = { 'content-type': 'application/json', accept, 'accept-encoding': 'identity' };
    const response = await fetch(this.url, { method: 'POST', headers, body: text });
    return response.text();
  }
}

// Once F(n) was answered, every F(m) with m up to n and this is cached.
const LADDER = 100_000;

function body({ query, variables, operationName }) {
  const members = [`"query":${JSON.stringify(query)}`];
  if (variables !== undefined) members.push(`"variables":${variables}`);
  if (operationName !== undefined) members.push(`"operationName":${JSON.stringify(operationName)}`);
  return `{${members}}`;
}

// JSON in which no object has a key twice: it would be lost in reading. (Numbers may be written otherwise.)
function parse(text) {
  const value = JSON.parse(text);
  const numberless = (json) => json.replace(/-?\d+(\.\d+)?(e[+-]?\d+)?/gi, '0');
  if (numberless(JSON.stringify(value)) !== numberless(text.trim())) throw new Error(`a key comes twice in ${text}`);
  return value;
}

// The content of a response, in the form of the oracle's outcomes; a refusal has the place that it tells too.
function outcome(response) {
  if ('data' in response) return { answers: [answer(response)] };
  const [{ extensions, locations, path, message }] = response.errors;
  return { refused: extensions?.code, locations, path, message };
}
