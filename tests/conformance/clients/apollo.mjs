// Apollo Client over each of its links.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  ApolloClient,
  ApolloLink,
  CombinedGraphQLErrors,
  HttpLink,
  InMemoryCache,
  ServerError,
  gql,
} from '@apollo/client';
import { BatchHttpLink } from '@apollo/client/link/batch-http';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { recording } from './fetched.mjs';
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
  PI_1000,
  ROWS,
  TERMS,
  check,
  event,
  failure,
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

// GraphQLWsLink names the constructor that Node 20 lacks.
globalThis.WebSocket = WebSocket;

const query = gql(BOTH);

/** A client over a link. Its cache gives fields of other operations too, so that each case has its own. */
const over = (link) => new ApolloClient({ link, cache: new InMemoryCache() });

/** A client over HTTP, and its requests. */
function overHttp(options = {}) {
  const { fetch, sent } = recording();
  return { client: over(new HttpLink({ uri: url, fetch, ...options })), sent };
}

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** A client that sends hashes in place of queries, and its requests. */
function persisting(options = {}) {
  const { fetch, sent } = recording();
  const link = new PersistedQueryLink({ sha256, ...options });
  return { client: over(ApolloLink.from([link, new HttpLink({ uri: url, fetch })])), sent };
}

/** A client over a WebSocket. */
function overSocket(options = {}) {
  const seen = { socket: null };
  const on = { opened: (socket) => (seen.socket = socket) };
  const socket = createClient({ url: socketUrl, retryAttempts: 0, on, ...options });
  return { client: over(new GraphQLWsLink(socket)), socket, seen };
}

/** All results of a subscription. */
function results(client, text) {
  const received = [];
  return new Promise((resolve, reject) => {
    const observer = { next: (result) => received.push(result), error: reject, complete: () => resolve(received) };
    client.subscribe({ query: gql(text) }).subscribe(observer);
  });
}

await check('HttpLink: a query has both values', async () => {
  const { client, sent } = overHttp();
  hasBoth((await client.query({ query, variables: GOOD })).data);
  assert.deepEqual(
    sent.map(({ method, status }) => [method, status]),
    [['POST', 200]],
  );
});

await check('HttpLink: a GET has both values', async () => {
  const { client, sent } = overHttp({ useGETForQueries: true });
  hasBoth((await client.query({ query, variables: GOOD })).data);
  assert.deepEqual(
    sent.map(({ method, status }) => [method, status]),
    [['GET', 200]],
  );
});

await check('HttpLink: the cache keeps a list and digits of π', async () => {
  const { client, sent } = overHttp();
  const ask = () => client.query({ query: gql(ROWS), variables: GOOD_ROWS });
  hasRows((await ask()).data);
  hasRows((await ask()).data);
  assert.equal(sent.length, 1);
});

await check('HttpLink: a list that fails leaves the digits of π by the policy "all"', async () => {
  const { data, error } = await overHttp().client.query({
    query: gql(ROWS),
    variables: BAD_ROWS,
    errorPolicy: 'all',
  });
  hasDigitsAlone(data, error.errors);
});

for (const [name, options] of Object.entries({ POST: {}, GET: { useGETForQueries: true } })) {
  await check(`HttpLink: a field that fails in a ${name} rejects by the policy "none"`, async () => {
    const error = await failure(() => overHttp(options).client.query({ query, variables: BAD }));
    assert.ok(CombinedGraphQLErrors.is(error));
    hasPiAlone(error.data, error.errors);
  });
}

await check('HttpLink: a field that fails leaves the other by the policy "all"', async () => {
  const { data, error } = await overHttp().client.query({ query, variables: BAD, errorPolicy: 'all' });
  hasPiAlone(data, error.errors);
});

await check('HttpLink: a field that fails is null by the policy "ignore"', async () => {
  const { data, error } = await overHttp().client.query({ query, variables: BAD, errorPolicy: 'ignore' });
  assert.deepEqual([data.fib, data.pi.result, error], [null, PI_1000, undefined]);
});

await check('HttpLink: a document that is not valid is an error of GraphQL', async () => {
  const error = await failure(() => overHttp().client.query({ query: gql(INVALID) }));
  assert.ok(CombinedGraphQLErrors.is(error), error.message);
  isInvalid(error.errors);
});

await check('HttpLink: a subscription is refused in words', async () => {
  const [{ error }] = await results(overHttp().client, CONVERGENCE);
  assert.ok(CombinedGraphQLErrors.is(error), error.message);
  assert.equal(error.errors[0].extensions.code, 'OPERATION_RESOLUTION_FAILURE');
});

await check('HttpLink: a request that is too large is refused', async () => {
  const { client } = overHttp({ includeUnusedVariables: true });
  const variables = { ...GOOD, padding: 'x'.repeat(1024 * 1024) };
  const error = await failure(() => client.query({ query, variables }));
  assert.ok(CombinedGraphQLErrors.is(error) || ServerError.is(error), error.message);
  assert.match(error.message + (error.bodyText ?? ''), /1048576/);
});

await check('BatchHttpLink: operations share a request and fail alone', async () => {
  const { fetch, sent } = recording();
  const client = over(new BatchHttpLink({ uri: url, fetch, batchMax: 3, batchInterval: 10_000 }));
  const ask = (variables) => client.query({ query, variables, errorPolicy: 'all', fetchPolicy: 'no-cache' });
  const invalid = client.query({ query: gql(INVALID), errorPolicy: 'all' });
  const [good, bad, { error }] = await Promise.all([ask(GOOD), ask(BAD), invalid]);
  hasBoth(good.data);
  hasPiAlone(bad.data, bad.error.errors);
  isInvalid(error.errors);
  assert.deepEqual(
    sent.map(({ method, status }) => [method, status]),
    [['POST', 200]],
  );
});

for (const useGETForHashedQueries of [false, true]) {
  const method = useGETForHashedQueries ? 'GET' : 'POST';
  await check(`PersistedQueryLink: a query is registered once, by ${method}`, async () => {
    const { client, sent } = persisting({ useGETForHashedQueries });
    // A name of its own, so that no other case has registered it.
    const named = gql(BOTH.replace('Both', `By${method}`));
    const ask = (variables) => client.query({ query: named, variables, errorPolicy: 'all', fetchPolicy: 'no-cache' });
    hasBoth((await ask(GOOD)).data);
    hasBoth((await ask(GOOD)).data);
    const { data, error } = await ask(BAD);
    hasPiAlone(data, error.errors);
    assert.deepEqual(
      sent.map((request) => request.method),
      [method, 'POST', method, method],
    );
    const texts = sent.map((request) => request.url + (request.body ?? ''));
    assert.deepEqual(
      texts.map((text) => text.includes('fib(')),
      [false, true, false, false],
    );
  });
}

await check('GraphQLWsLink: a query has both values', async () => {
  hasBoth((await overSocket().client.query({ query, variables: GOOD })).data);
});

await check('GraphQLWsLink: a field that fails leaves the other', async () => {
  const { data, error } = await overSocket().client.query({ query, variables: BAD, errorPolicy: 'all' });
  hasPiAlone(data, error.errors);
});

await check('GraphQLWsLink: a document that is not valid is an error of GraphQL', async () => {
  const error = await failure(() => overSocket().client.query({ query: gql(INVALID) }));
  assert.ok(CombinedGraphQLErrors.is(error), error.message);
  isInvalid(error.errors);
});

await check('GraphQLWsLink: a subscription comes to its end', async () => {
  assert.deepEqual(terms(await results(overSocket().client, CONVERGENCE)), TERMS);
});

await check('GraphQLWsLink: a subscription that is left midway leaves its socket usable', async () => {
  const { client, socket } = overSocket({ lazyCloseTimeout: 10_000 });
  const begun = event();
  const subscription = client.subscribe({ query: gql(LONG), fetchPolicy: 'no-cache' }).subscribe(begun.happen);
  assert.deepEqual(terms([await begun.happened]), [1]);
  subscription.unsubscribe();
  assert.deepEqual(terms(await results(client, CONVERGENCE)), TERMS);
  await socket.dispose();
});

await check('GraphQLWsLink: a subscription goes on with the next process', async () => {
  const next = nextProcess();
  const { client, seen } = overSocket({ retryAttempts: 1, retryWait: next.started });
  const [begun, ended] = [event(), event()];
  const received = [];
  client.subscribe({ query: gql(LONG), fetchPolicy: 'no-cache' }).subscribe({
    next: (result) => {
      if (received.push(...terms([result])) > 1) return;
      seen.socket.pause();
      begun.happen();
    },
    error: (error) => ended.happen(error),
    complete: () => ended.happen(),
  });
  await begun.happened;
  await terminate();
  seen.socket.resume();
  await next.restart();
  assert.equal(await ended.happened, undefined);
  assert.equal(received.at(-1), LONG_TERMS);
});

await check('HttpLink: a client asks the next process', async () => {
  const { client } = overHttp();
  const ask = () => client.query({ query, variables: GOOD, fetchPolicy: 'no-cache' });
  hasBoth((await ask()).data);
  await terminate();
  await restart();
  hasBoth((await ask()).data);
});

finish();
