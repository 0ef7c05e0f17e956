// Relay's network, environment and store, with the artifacts that its compiler makes of the documents.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createClient } from 'graphql-ws';
import relay from 'relay-runtime';
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
  url,
} from './suite.mjs';

const { Environment, Network, Observable, RecordSource, Store, fetchQuery, requestSubscription } = relay;

/** The artifact of an operation. */
function artifact(operationKind, name, text, variables, selections) {
  const argumentDefinitions = variables.map((name) => ({ defaultValue: null, kind: 'LocalArgument', name }));
  const type = operationKind === 'query' ? 'Query' : 'Subscription';
  return {
    kind: 'Request',
    fragment: { argumentDefinitions, kind: 'Fragment', metadata: null, name, selections, type, abstractKey: null },
    operation: { argumentDefinitions, kind: 'Operation', name, selections },
    params: { cacheID: name, id: null, metadata: {}, name, operationKind, text },
  };
}

const literal = (name, value) => ({ kind: 'Literal', name, value });
const variable = (name) => ({ kind: 'Variable', name, variableName: name });
const scalar = (name) => ({ alias: null, args: null, kind: 'ScalarField', name, storageKey: null });

function linked(name, args, concreteType, fields, plural = false) {
  const selections = fields.map(scalar);
  return { alias: null, args, concreteType, kind: 'LinkedField', name, plural, selections, storageKey: null };
}

const both = artifact(
  'query',
  'Both',
  BOTH,
  ['n'],
  [
    linked('fib', [variable('n')], 'Fibonacci', ['result', 'cached']),
    linked('pi', [literal('terms', 1000)], 'PiApproximation', ['result', 'cached']),
  ],
);

const rows = artifact(
  'query',
  'Rows',
  ROWS,
  ['from'],
  [
    linked('fibs', [literal('count', 3), variable('from')], 'Fibonacci', ['n', 'result'], true),
    linked('piDigits', [literal('count', 6), literal('from', 762)], 'PiDigits', ['from', 'result']),
  ],
);

const subscription = (name, text) =>
  artifact('subscription', name, text, [], [linked('piConvergence', null, 'PiApproximation', ['terms'])]);

const convergence = subscription('Convergence', CONVERGENCE);
const long = subscription('Long', LONG);

/** A document that the program knows by its hash alone. */
function persisted({ params, ...rest }) {
  const id = createHash('sha256').update(params.text).digest('hex');
  return { ...rest, params: { ...params, id, text: null } };
}

/** The members of a request for an artifact: its text, or the hash of one that is registered. */
function request({ id, name, text }, variables) {
  const document = id ? { extensions: { persistedQuery: { version: 1, sha256Hash: id } } } : { query: text };
  return { operationName: name, variables, ...document };
}

/** An environment, its requests over HTTP, the errors of fields that it was told of, and its sockets. */
function environment(options = {}) {
  const seen = { fieldErrors: [], socket: null };
  const { fetch, sent } = recording();
  const on = { opened: (socket) => (seen.socket = socket) };
  const client = createClient({ url: socketUrl, webSocketImpl: WebSocket, retryAttempts: 0, on, ...options });
  const headers = { 'content-type': 'application/json', accept: 'application/graphql-response+json' };
  const post = async (params, variables) => {
    const body = JSON.stringify(request(params, variables));
    const response = await (await fetch(url, { method: 'POST', headers, body })).json();
    seen.response = response;
    return response;
  };
  const subscribe = (params, variables) =>
    Observable.create((sink) => client.subscribe(request(params, variables), sink));
  const environment = new Environment({
    network: Network.create(post, subscribe),
    store: new Store(new RecordSource()),
    relayFieldLogger: (event) => seen.fieldErrors.push(event),
  });
  return { environment, client, sent, seen };
}

const ask = (environment, artifact, variables) => fetchQuery(environment, artifact, variables).toPromise();

/** Subscribes; tells of the first result, and of all and the error at the end. */
function begin(environment, subscription, onFirst = () => {}) {
  const [begun, ended] = [event(), event()];
  const received = [];
  const { dispose } = requestSubscription(environment, {
    subscription,
    variables: {},
    onNext: ({ piConvergence }) => {
      if (received.push(piConvergence.terms) > 1) return;
      onFirst();
      begun.happen();
    },
    onError: (error) => ended.happen({ error, received }),
    onCompleted: () => ended.happen({ received }),
  });
  return { dispose, begun: begun.happened, ended: ended.happened };
}

await check('a query has both values', async () => {
  hasBoth(await ask(environment().environment, both, GOOD));
});

await check('a field that fails is null in the store, and its error is told', async () => {
  const { environment: relay, seen } = environment();
  const data = await ask(relay, both, BAD);
  hasPiAlone(data, seen.response.errors);
  const [{ kind, owner, error }] = seen.fieldErrors;
  assert.deepEqual([kind, owner], ['relay_field_payload.error', 'Both']);
  assert.match(error.message, /n must be a whole number/);
});

await check('a list and digits of π are in the store', async () => {
  hasRows(await ask(environment().environment, rows, GOOD_ROWS));
});

await check('a list that fails is null in the store, beside the digits of π', async () => {
  const { environment: relay, seen } = environment();
  hasDigitsAlone(await ask(relay, rows, BAD_ROWS), seen.response.errors);
});

await check('a document that is not valid has no data', async () => {
  const invalid = artifact('query', 'Invalid', `query Invalid ${INVALID}`, [], [scalar('nothing')]);
  const error = await failure(() => ask(environment().environment, invalid, {}));
  isInvalid(error.source.errors);
});

await check('a document that is registered is asked for by its hash', async () => {
  const { environment: relay, seen, sent } = environment();
  const named = { ...both, params: { ...both.params, text: BOTH.replace('Both', 'Registered'), name: 'Registered' } };
  const byHash = persisted(named);
  await failure(() => ask(relay, byHash, GOOD));
  assert.equal(seen.response.errors[0].extensions.code, 'PERSISTED_QUERY_NOT_FOUND');
  const extensions = { persistedQuery: { version: 1, sha256Hash: byHash.params.id } };
  const body = JSON.stringify({ query: named.params.text, variables: GOOD, extensions });
  await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  hasBoth(await ask(relay, byHash, GOOD));
  assert.ok(sent.every(({ body }) => !body.includes('fib(')));
});

await check('a subscription comes to its end', async () => {
  const { error, received } = await begin(environment().environment, convergence).ended;
  assert.deepEqual([error, received], [undefined, TERMS]);
});

await check('a subscription that is not valid fails', async () => {
  const invalid = subscription('Invalid', `subscription Invalid ${INVALID}`);
  const { error } = await begin(environment().environment, invalid).ended;
  isInvalid(error);
});

await check('a subscription that is left midway leaves its socket usable', async () => {
  const { environment: relay, client } = environment({ lazyCloseTimeout: 10_000 });
  const { begun, dispose } = begin(relay, long);
  await begun;
  dispose();
  assert.deepEqual((await begin(relay, convergence).ended).received, TERMS);
  await client.dispose();
});

await check('a subscription goes on with the next process', async () => {
  const next = nextProcess();
  const { environment: relay, seen } = environment({ retryAttempts: 1, retryWait: next.started });
  const { begun, ended } = begin(relay, long, () => seen.socket.pause());
  await begun;
  await terminate();
  seen.socket.resume();
  await next.restart();
  const { error, received } = await ended;
  assert.equal(error, undefined);
  assert.equal(received.at(-1), LONG_TERMS);
});

await check('a query is answered by the next process', async () => {
  const { environment: relay } = environment();
  hasBoth(await ask(relay, both, GOOD));
  await terminate();
  await restart();
  hasBoth(await ask(relay, both, GOOD));
});

finish();
