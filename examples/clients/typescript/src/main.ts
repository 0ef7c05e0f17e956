// Asks a phipi for a Fibonacci number and an approximation of π, both in one request, with urql.

import { Client, cacheExchange, fetchExchange } from '@urql/core';
import { asked } from './asked.js';
import { BothDocument } from './both.js';

const { url, n, terms } = asked();
// The first exchange answers what this page has asked already, and phipi what anybody has.
const client = new Client({ url: `${url}/graphql`, exchanges: [cacheExchange, fetchExchange] });

const { data, error } = await client.query(BothDocument, { n, terms });

// Each field answers for itself: when one fails, it is null, and the other is still there.
if (data?.fib) console.log(`F(${n}) = ${data.fib.result} (cached: ${data.fib.cached})`);
if (data?.pi) console.log(`π(${terms}) = ${data.pi.result} (cached: ${data.pi.cached})`);
if (error) {
  console.error(error.message);
  process.exitCode = 1;
}
