// urql over its exchanges for HTTP, persisted queries, WebSockets and server-sent events.

import assert from 'node:assert/strict';
import { Client, cacheExchange, fetchExchange, subscriptionExchange } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';
import { createClient as asEvents } from 'graphql-sse';
import { createClient as overSocket } from 'graphql-ws';
import WebSocket from 'ws';
import { gated, recording } from './fetched.mjs';
import {
  BAD,
  BAD_ROWS,
  BOTH,
  CONVERGENCE,
  GOOD,
  GOOD_ROWS,
  INVALID,
  LONG,
  LONG_TERMS,
  ROWS,
  TERMS,
  check,
  event,
  finish,
  hasBoth,
  hasDigitsAlone,
  hasPiAlone,
  hasRows,
  isInvalid,
  nextProcess,
  restart,
  socketUrl,
  terminate,
  terms,
  url,
} from './suite.mjs';

/** A client over exchanges, and its requests. */
function client(exchanges, options = {}) {
  const { fetch, sent } = recording();
  // By default urql asks by GET where a URL is short enough.
  return { client: new Client({ url, fetch, exchanges, preferGetMethod: false, ...options }), sent };
}

/** The exchange for operations that another client carries: all of them, or subscriptions alone. */
const carriedBy = (carrier, enableAllOperations = false) =>
  subscriptionExchange({
    enableAllOperations,
    forwardSubscription: ({ query, variables }) => ({
      subscribe: (sink) => ({ unsubscribe: carrier.subscribe({ query, variables }, sink) }),
    }),
  });

const socket = (options) => overSocket({ url: socketUrl, webSocketImpl: WebSocket, retryAttempts: 0, ...options });
const events = () => asEvents({ url, retryAttempts: 0 });

/** All results of a subscription. urql repeats the last one when the subscription ends. */
function results(client, query) {
  const received = [];
  return new Promise((resolve) => {
    client.subscription(query, {}).subscribe((result) => {
      if (!result.hasNext) resolve(received);
      else received.push(result);
    });
  });
}

const by = (sent) => sent.map(({ method, status }) => [method, status]);

await check('fetchExchange: a query has both values', async () => {
  const { client: urql, sent } = client([cacheExchange, fetchExchange]);
  const { data, error } = await urql.query(BOTH, GOOD);
  assert.equal(error, undefined);
  hasBoth(data);
  // The cache answers the second.
  hasBoth((await urql.query(BOTH, GOOD)).data);
  assert.deepEqual(by(sent), [['POST', 200]]);
});

await check('fetchExchange: the cache keeps a list and digits of π', async () => {
  const { client: urql, sent } = client([cacheExchange, fetchExchange]);
  const { data } = await urql.query(ROWS, GOOD_ROWS);
  hasRows(data);
  // The cache asks for the types of all objects.
  assert.ok(data.fibs.every(({ __typename }) => __typename === 'Fibonacci'));
  hasRows((await urql.query(ROWS, GOOD_ROWS)).data);
  assert.equal(sent.length, 1);
});

await check('fetchExchange: a list that fails leaves the digits of π', async () => {
  const { data, error } = await client([fetchExchange]).client.query(ROWS, BAD_ROWS);
  hasDigitsAlone(data, error.graphQLErrors);
});

await check('fetchExchange: a GET has both values', async () => {
  const { client: urql, sent } = client([fetchExchange], { preferGetMethod: 'within-url-limit' });
  hasBoth((await urql.query(BOTH, GOOD)).data);
  assert.deepEqual(by(sent), [['GET', 200]]);
});

for (const preferGetMethod of [false, 'force']) {
  await check(
    `fetchExchange: a field that fails leaves the other, by ${preferGetMethod ? 'GET' : 'POST'}`,
    async () => {
      const { data, error } = await client([fetchExchange], { preferGetMethod }).client.query(BOTH, BAD);
      hasPiAlone(data, error.graphQLErrors);
      assert.equal(error.networkError, undefined);
    },
  );
}

await check('fetchExchange: a document that is not valid is an error of GraphQL', async () => {
  const { data, error } = await client([fetchExchange]).client.query(INVALID, {});
  assert.equal(data, undefined);
  isInvalid(error.graphQLErrors);
});

await check('fetchExchange: a request that is too large is refused', async () => {
  const variables = { ...GOOD, padding: 'x'.repeat(1024 * 1024) };
  const { error } = await client([fetchExchange]).client.query(BOTH, variables);
  assert.match(error.message, /1048576/);
});

await check('fetchExchange: a subscription comes to its end as events', async () => {
  const { client: urql, sent } = client([fetchExchange], { fetchSubscriptions: true });
  assert.deepEqual(terms(await results(urql, CONVERGENCE)), TERMS);
  assert.deepEqual(by(sent), [['POST', 200]]);
});

await check('fetchExchange: a subscription as events is left midway', async () => {
  const { client: urql } = client([fetchExchange], { fetchSubscriptions: true });
  const begun = event();
  const { unsubscribe } = urql.subscription(LONG, {}).subscribe(begun.happen);
  assert.deepEqual(terms([await begun.happened]), [1]);
  unsubscribe();
  assert.deepEqual(terms(await results(urql, CONVERGENCE)), TERMS);
});

for (const [method, preferGetForPersistedQueries] of [
  ['GET', 'force'],
  ['POST', false],
]) {
  await check(`persistedExchange: a query is registered once, by ${method}`, async () => {
    const { client: urql, sent } = client([persistedExchange({ preferGetForPersistedQueries }), fetchExchange]);
    // A name of its own, so that no other case has registered it.
    const named = BOTH.replace('Both', `By${method}`);
    hasBoth((await urql.query(named, GOOD)).data);
    hasBoth((await urql.query(named, GOOD)).data);
    const { data, error } = await urql.query(named, BAD);
    hasPiAlone(data, error.graphQLErrors);
    assert.equal(sent.length, 4);
    assert.deepEqual([sent[0].method, sent[2].method, sent[3].method], [method, method, method]);
    const texts = sent.map((request) => decodeURIComponent(request.url) + (request.body ?? ''));
    assert.deepEqual(
      texts.map((text) => text.includes('fib(')),
      [false, true, false, false],
    );
  });
}

for (const [name, carrier] of Object.entries({ 'graphql-ws': socket, 'graphql-sse': events })) {
  const urql = () => client([carriedBy(carrier(), true)]).client;

  await check(`subscriptionExchange, ${name}: a query has both values`, async () => {
    const { data, error } = await urql().query(BOTH, GOOD);
    assert.equal(error, undefined);
    hasBoth(data);
  });

  await check(`subscriptionExchange, ${name}: a field that fails leaves the other`, async () => {
    const { data, error } = await urql().query(BOTH, BAD);
    hasPiAlone(data, error.graphQLErrors);
  });

  await check(`subscriptionExchange, ${name}: a document that is not valid is an error of GraphQL`, async () => {
    isInvalid((await urql().query(INVALID, {})).error.graphQLErrors);
  });

  await check(`subscriptionExchange, ${name}: a subscription comes to its end`, async () => {
    assert.deepEqual(terms(await results(urql(), CONVERGENCE)), TERMS);
  });

  await check(`subscriptionExchange, ${name}: a subscription is left midway`, async () => {
    const one = urql();
    const begun = event();
    const { unsubscribe } = one.subscription(LONG, {}).subscribe(begun.happen);
    assert.deepEqual(terms([await begun.happened]), [1]);
    unsubscribe();
    assert.deepEqual(terms(await results(one, CONVERGENCE)), TERMS);
  });
}

await check('subscriptionExchange, graphql-ws: a subscription goes on with the next process', async () => {
  let opened;
  const next = nextProcess();
  const on = { opened: (socket) => (opened = socket) };
  const carrier = socket({ retryAttempts: 1, retryWait: next.started, on });
  const [begun, ended] = [event(), event()];
  const received = [];
  client([carriedBy(carrier)])
    .client.subscription(LONG, {})
    .subscribe((result) => {
      if (result.error || !result.hasNext) return ended.happen(result.error);
      received.push(...terms([result]));
      if (received.length > 1) return;
      opened.pause();
      begun.happen();
    });
  await begun.happened;
  await terminate();
  opened.resume();
  await next.restart();
  assert.equal(await ended.happened, undefined);
  assert.equal(received.at(-1), LONG_TERMS);
});

await check('fetchExchange: a subscription as events that is cut is an error', async () => {
  const [begun, stopping, ended] = [event(), event(), event()];
  const { client: urql } = client([fetchExchange], { fetchSubscriptions: true, fetch: gated(stopping.happened) });
  urql.subscription(LONG, {}).subscribe((result) => {
    begun.happen();
    if (result.error || !result.hasNext) ended.happen(result);
  });
  await begun.happened;
  await terminate();
  stopping.happen();
  const { data, error } = await ended.happened;
  await restart();
  assert.ok(error?.networkError, `complete at ${data?.piConvergence.terms} terms`);
});

await check('fetchExchange: a client asks the next process', async () => {
  const { client: urql } = client([fetchExchange]);
  hasBoth((await urql.query(BOTH, GOOD)).data);
  await terminate();
  await restart();
  const { data, error } = await urql.query(BOTH, GOOD, { requestPolicy: 'network-only' });
  assert.equal(error, undefined);
  hasBoth(data);
});

finish();
