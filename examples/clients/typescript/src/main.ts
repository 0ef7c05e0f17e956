// Asks a phipi for a Fibonacci number and an approximation of π, both in one request.

import { Client, fetchExchange } from '@urql/core';
import { BothDocument } from './both.js';

const [url, n, terms] = process.argv.slice(2);
// phipi remembers by itself. A page that draws one answer several times adds urql's cacheExchange.
const client = new Client({ url: `${url}/graphql`, exchanges: [fetchExchange] });

const { data, error } = await client.query(BothDocument, { n: Number(n), terms: Number(terms) });

// Each field answers for itself: when one fails, it is null, and the other is still there.
if (data?.fib) console.log(`F(${n}) = ${data.fib.result} (cached: ${data.fib.cached})`);
if (data?.pi) console.log(`π(${terms}) = ${data.pi.result} (cached: ${data.pi.cached})`);
if (error) {
  console.error(error.message);
  process.exitCode = 1;
}
