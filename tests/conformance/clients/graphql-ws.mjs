// graphql-ws's client in all its modes, over the WebSocket of `ws`.

import assert from 'node:assert/strict';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
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
  check,
  event,
  failure,
  finish,
  hasBoth,
  hasPiAlone,
  isInvalid,
  nextProcess,
  restart,
  socketUrl,
  terminate,
  terms,
} from './suite.mjs';

const ONE_MIB = 1024 * 1024;

/** A client, and what happens to its sockets. */
function watched(options = {}) {
  const seen = { connections: 0, closes: [], pings: 0, pongs: 0, socket: null };
  const closed = event();
  const client = createClient({
    url: socketUrl,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    retryWait: async () => {},
    onNonLazyError: () => {},
    on: {
      connecting: () => (seen.connections += 1),
      opened: (socket) => (seen.socket = socket),
      ping: (isReceived) => (seen.pings += !isReceived),
      pong: (isReceived) => (seen.pongs += isReceived),
      closed: ({ code, wasClean }) => {
        seen.closes.push({ code, wasClean });
        closed.happen();
      },
    },
    ...options,
  });
  return { client, seen, closed: closed.happened };
}

const NORMAL = { code: 1000, wasClean: true };
const AWAY = { code: 1001, wasClean: true };

/** The responses to an operation; throws what the client's sink gets as an error. */
const responses = (client, query, variables) => all(client.iterate({ query, variables }));

/** Begins the long subscription and stops reading after its first response. */
function begin(client, seen) {
  const [begun, ended] = [event(), event()];
  const received = [];
  const dispose = client.subscribe(
    { query: LONG },
    {
      next: ({ data }) => {
        if (received.push(data.piConvergence.terms) > 1) return;
        seen.socket.pause();
        begun.happen();
      },
      error: (error) => ended.happen({ error, received }),
      complete: () => ended.happen({ received }),
    },
  );
  return { begun: begun.happened, ended: ended.happened, dispose };
}

await check('a query has both values', async () => {
  const { client } = watched();
  const [{ data }] = await responses(client, BOTH, GOOD);
  hasBoth(data);
});

await check('a field that fails leaves the other', async () => {
  const { client } = watched();
  const [{ data, errors }] = await responses(client, BOTH, BAD);
  hasPiAlone(data, errors);
});

await check('a document that is not valid fails alone on its socket', async () => {
  const { client, seen } = watched({ lazyCloseTimeout: 10_000 });
  isInvalid(await failure(() => responses(client, INVALID)));
  hasBoth((await responses(client, BOTH, GOOD))[0].data);
  assert.equal(seen.connections, 1);
  await client.dispose();
});

await check('a subscription comes to its end', async () => {
  const { client, seen, closed } = watched();
  assert.deepEqual(terms(await responses(client, CONVERGENCE)), TERMS);
  await closed;
  assert.deepEqual(seen.closes, [NORMAL]);
});

await check('a subscription that is left midway leaves its socket usable', async () => {
  const { client, seen } = watched({ lazyCloseTimeout: 10_000 });
  for await (const { data } of client.iterate({ query: LONG })) {
    assert.equal(data.piConvergence.terms, 1);
    break;
  }
  assert.deepEqual(terms(await responses(client, CONVERGENCE)), TERMS);
  assert.equal(seen.connections, 1);
  await client.dispose();
});

await check('a client that is disposed midway closes cleanly', async () => {
  const { client, seen, closed } = watched();
  const { begun } = begin(client, seen);
  await begun;
  seen.socket.resume();
  await client.dispose();
  await closed;
  assert.deepEqual(seen.closes, [NORMAL]);
});

await check('twenty operations share a socket', async () => {
  const { client, seen, closed } = watched();
  const queries = Array.from({ length: 10 }, () => responses(client, BOTH, GOOD));
  const subscriptions = Array.from({ length: 10 }, () => responses(client, CONVERGENCE));
  for (const [{ data }] of await Promise.all(queries)) hasBoth(data);
  for (const each of await Promise.all(subscriptions)) assert.deepEqual(terms(each), TERMS);
  await closed;
  assert.equal(seen.connections, 1);
});

await check('ten subscriptions in a row of a lazy client each have a socket', async () => {
  const { client, seen } = watched();
  const begun = Date.now();
  for (let k = 0; k < 10; k += 1) assert.deepEqual(terms(await responses(client, CONVERGENCE)), TERMS);
  // One reconnection of the client after an unclean close would wait longer.
  assert.ok(Date.now() - begun < 5_000, `${Date.now() - begun} ms`);
  assert.equal(seen.connections, 10);
});

await check('an idle socket of a lazy client is used again within lazyCloseTimeout', async () => {
  const { client, seen, closed } = watched({ lazyCloseTimeout: 500 });
  for (let k = 0; k < 5; k += 1) hasBoth((await responses(client, BOTH, GOOD))[0].data);
  assert.deepEqual([seen.connections, seen.closes], [1, []]);
  await closed;
  assert.deepEqual(seen.closes, [NORMAL]);
});

await check('an eager client connects at once and closes when it is disposed', async () => {
  const connected = event();
  const { client, seen, closed } = watched({ lazy: false });
  client.on('connected', connected.happen);
  await connected.happened;
  hasBoth((await responses(client, BOTH, GOOD))[0].data);
  assert.deepEqual([seen.connections, seen.closes], [1, []]);
  await client.dispose();
  await closed;
  assert.deepEqual(seen.closes, [NORMAL]);
});

await check('keepAlive has a pong for each ping', async () => {
  const { client, seen } = watched({ lazy: false, keepAlive: 20 });
  const third = event();
  client.on('pong', () => seen.pongs === 3 && third.happen());
  await third.happened;
  assert.equal(seen.pings, 3);
  await client.dispose();
});

await check('connectionParams are accepted', async () => {
  const { client } = watched({ connectionParams: { Authorization: 'Bearer of a token' } });
  hasBoth((await responses(client, BOTH, GOOD))[0].data);
});

await check('a client that terminates its socket connects again', async () => {
  const { client, seen } = watched({ retryAttempts: 1 });
  const { begun, ended } = begin(client, seen);
  await begun;
  const socket = seen.socket;
  client.on('connected', () => seen.socket.resume());
  client.terminate();
  socket.terminate();
  const { error, received } = await ended;
  assert.equal(error, undefined);
  // It begins again.
  assert.equal(received.filter((terms) => terms === 1).length, 2);
  assert.equal(received.at(-1), LONG_TERMS);
  assert.equal(seen.connections, 2);
});

await check('a message that is too large is refused once, with 1009', async () => {
  const { client, seen } = watched({ retryAttempts: 5 });
  const close = await failure(() => responses(client, BOTH, { n: 213, padding: 'x'.repeat(ONE_MIB) }));
  assert.deepEqual([close.code, close.wasClean], [1009, true]);
  assert.equal(seen.connections, 1);
});

for (const code of [1000, 1001, 3000, 4000]) {
  await check(`a close with ${code} comes back`, async () => {
    const socket = new WebSocket(socketUrl, 'graphql-transport-ws');
    const closed = event();
    socket.onopen = () => socket.close(code, 'as sent');
    socket.onclose = closed.happen;
    const close = await closed.happened;
    assert.deepEqual([close.code, close.wasClean], [code, true]);
  });
}

await check('a close without a code comes back', async () => {
  const socket = new WebSocket(socketUrl, 'graphql-transport-ws');
  const closed = event();
  socket.onopen = () => socket.close();
  socket.onclose = closed.happen;
  const close = await closed.happened;
  assert.deepEqual([close.code, close.wasClean], [1005, true]);
});

await check('a subscription goes on with the next process', async () => {
  const next = nextProcess();
  const { client, seen } = watched({ retryAttempts: 1, retryWait: next.started });
  const { begun, ended } = begin(client, seen);
  await begun;
  await terminate();
  seen.socket.resume();
  await next.restart();
  const { error, received } = await ended;
  assert.equal(error, undefined);
  assert.deepEqual(seen.closes[0], AWAY);
  assert.equal(received.at(-1), LONG_TERMS);
});

await check('a client that does not retry learns that its subscription was cut', async () => {
  const { client, seen } = watched();
  const { begun, ended } = begin(client, seen);
  await begun;
  await terminate();
  seen.socket.resume();
  const { error, received } = await ended;
  await restart();
  assert.notEqual(received.at(-1), LONG_TERMS);
  assert.deepEqual([error?.code, error?.wasClean], [1001, true], `completed after ${received.length} responses`);
});

await check('an idle client finds the next process', async () => {
  const next = nextProcess();
  const { client, seen, closed } = watched({ lazy: false, retryAttempts: 1, retryWait: next.started });
  hasBoth((await responses(client, BOTH, GOOD))[0].data);
  await terminate();
  await closed;
  assert.deepEqual(seen.closes[0], AWAY);
  await next.restart();
  hasBoth((await responses(client, BOTH, GOOD))[0].data);
  await client.dispose();
});

finish();
