// graphql-sse's client: a stream for each operation, and the single stream that the program does not have.

import assert from 'node:assert/strict';
import { createClient } from 'graphql-sse';
import { gated } from './fetched.mjs';
import {
  BAD,
  BOTH,
  CONVERGENCE,
  GOOD,
  INVALID,
  LONG,
  LONG_TERMS,
  TERMS,
  all,
  base,
  check,
  event,
  failure,
  finish,
  hasBoth,
  hasPiAlone,
  isInvalid,
  nextProcess,
  restart,
  terminate,
  terms,
  url,
} from './suite.mjs';

/** A client, and how often it connects. */
function watched(options = {}) {
  const seen = { connections: 0 };
  const on = { connecting: () => (seen.connections += 1) };
  return { client: createClient({ url, retryAttempts: 0, retry: async () => {}, on, ...options }), seen };
}

const responses = (client, query, variables) => all(client.iterate({ query, variables }));

/** Begins the long subscription, and tells of its first response. */
function begin(client) {
  const [begun, ended] = [event(), event()];
  const received = [];
  const dispose = client.subscribe(
    { query: LONG },
    {
      next: ({ data }) => {
        received.push(data.piConvergence.terms);
        begun.happen();
      },
      error: (error) => ended.happen({ error, received }),
      complete: () => ended.happen({ received }),
    },
  );
  return { begun: begun.happened, ended: ended.happened, dispose };
}

await check('a query has both values', async () => {
  const [{ data }, ...others] = await responses(watched().client, BOTH, GOOD);
  hasBoth(data);
  assert.deepEqual(others, []);
});

await check('a field that fails leaves the other', async () => {
  const [{ data, errors }] = await responses(watched().client, BOTH, BAD);
  hasPiAlone(data, errors);
});

await check('a document that is not valid has one response', async () => {
  const { client, seen } = watched({ retryAttempts: 5 });
  const [{ data, errors }, ...others] = await responses(client, INVALID);
  assert.equal(data, undefined);
  isInvalid(errors);
  assert.deepEqual([others, seen.connections], [[], 1]);
});

await check('a subscription comes to its end', async () => {
  assert.deepEqual(terms(await responses(watched().client, CONVERGENCE)), TERMS);
});

await check('a subscription that is left midway leaves the others', async () => {
  const { client } = watched();
  const other = responses(client, CONVERGENCE);
  for await (const { data } of client.iterate({ query: LONG })) {
    assert.equal(data.piConvergence.terms, 1);
    break;
  }
  assert.deepEqual(terms(await other), TERMS);
});

await check('a client that is disposed midway ends its subscriptions', async () => {
  const { client } = watched();
  const { begun, ended } = begin(client);
  await begun;
  client.dispose();
  const { error, received } = await ended;
  assert.equal(error, undefined);
  assert.notEqual(received.at(-1), LONG_TERMS);
});

await check('ten operations have ten streams', async () => {
  const { client, seen } = watched();
  const each = await Promise.all(Array.from({ length: 10 }, () => responses(client, CONVERGENCE)));
  for (const one of each) assert.deepEqual(terms(one), TERMS);
  assert.equal(seen.connections, 10);
});

await check('a single connection is refused', async () => {
  const { client, seen } = watched({ singleConnection: true });
  const error = await failure(() => responses(client, BOTH, GOOD));
  assert.match(error.message, /Server responded with 405/);
  assert.equal(error.response.headers.get('allow'), 'GET,HEAD,OPTIONS,POST');
  assert.equal(seen.connections, 1);
});

await check('a request that is too large is refused', async () => {
  const { client } = watched();
  const error = await failure(() => responses(client, BOTH, { n: 213, padding: 'x'.repeat(1024 * 1024) }));
  assert.match(error.message, /Server responded with 413/);
});

await check('a path that is not there is refused', async () => {
  const { client } = watched({ url: `${base}/graphiql` });
  assert.match((await failure(() => responses(client, BOTH, GOOD))).message, /Server responded with 404/);
});

await check('a subscription goes on with the next process', async () => {
  const next = nextProcess();
  const stopping = event();
  const fetchFn = gated(stopping.happened);
  const { client, seen } = watched({ retryAttempts: 1, retry: next.started, fetchFn });
  const { begun, ended } = begin(client);
  await begun;
  await terminate();
  stopping.happen();
  await next.restart();
  const { error, received } = await ended;
  assert.equal(error, undefined);
  assert.equal(received.at(-1), LONG_TERMS);
  assert.equal(seen.connections, 2);
});

await check('a client that does not retry learns that its subscription was cut', async () => {
  const stopping = event();
  const { client } = watched({ fetchFn: gated(stopping.happened) });
  const { begun, ended } = begin(client);
  await begun;
  await terminate();
  stopping.happen();
  const { error, received } = await ended;
  await restart();
  assert.notEqual(received.at(-1), LONG_TERMS);
  assert.ok(error, `completed after ${received.length} responses`);
});

finish();
