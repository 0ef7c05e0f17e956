// Chromium's own WebSocket and fetch on a page of another origin, and graphql-ws's client over that WebSocket.

import assert from 'node:assert/strict';
import { launch } from '../../../web/tests/browser.mjs';
import {
  BAD,
  BOTH,
  CONVERGENCE,
  GOOD,
  INVALID,
  LONG,
  TERMS,
  check,
  finish,
  hasBoth,
  hasPiAlone,
  isInvalid,
  restart,
  socketUrl,
  terminate,
  terms,
  url,
} from './suite.mjs';

const NORMAL = { code: 1000, wasClean: true };
const AWAY = { code: 1001, wasClean: true };

const browser = await launch();
const page = await browser.newPage();
await page.addScriptTag({ path: new URL('node_modules/graphql-ws/umd/graphql-ws.js', import.meta.url).pathname });
await page.evaluate((socketUrl) => {
  /** A socket of the browser that is open, and its close. */
  window.dial = async (protocol = 'graphql-transport-ws') => {
    const socket = new WebSocket(socketUrl, protocol);
    const close = new Promise((resolve) => {
      socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean });
    });
    await new Promise((resolve) => (socket.onopen = resolve));
    return { socket, close };
  };

  /** A client of graphql-ws, its connections and closes. */
  window.watched = (options = {}) => {
    const seen = { connections: 0, closes: [] };
    const closed = new Promise((resolve) => {
      window.closing = ({ code, wasClean }) => resolve(seen.closes.push({ code, wasClean }));
    });
    const on = { connecting: () => (seen.connections += 1), closed: window.closing };
    const client = graphqlWs.createClient({ url: socketUrl, retryAttempts: 0, on, ...options });
    return { client, seen, closed };
  };

  /** All responses to an operation, and what the client's sink gets as an error. */
  window.outcome = async (client, query, variables) => {
    const responses = [];
    try {
      for await (const response of client.iterate({ query, variables })) responses.push(response);
    } catch (thrown) {
      const { code, wasClean } = thrown;
      return { responses, thrown: Array.isArray(thrown) ? thrown : { code, wasClean } };
    }
    return { responses };
  };
}, socketUrl);

/** The outcome of one operation, with a client of its own. */
const outcome = (query, variables) =>
  page.evaluate(
    async ({ query, variables }) => {
      const { client, seen, closed } = watched();
      const result = await outcome(client, query, variables);
      await closed;
      return { ...result, closes: seen.closes };
    },
    { query, variables },
  );

for (const code of [1000, 3000, 4000]) {
  await check(`a close with ${code} comes back`, async () => {
    const close = await page.evaluate(async (code) => {
      const { socket, close } = await dial();
      socket.close(code, 'as sent');
      return close;
    }, code);
    assert.deepEqual([close.code, close.wasClean], [code, true]);
  });
}

await check('a close without a code comes back', async () => {
  const close = await page.evaluate(async () => {
    const { socket, close } = await dial();
    socket.close();
    return close;
  });
  assert.deepEqual([close.code, close.wasClean], [1005, true]);
});

await check('a message that is none of the protocol is a clean close', async () => {
  const close = await page.evaluate(async () => {
    const { socket, close } = await dial();
    socket.send('{"type":"start"}');
    return close;
  });
  assert.deepEqual([close.code, close.wasClean], [4400, true]);
});

await check('a message that is too large is a clean close', async () => {
  const close = await page.evaluate(async () => {
    const { socket, close } = await dial();
    socket.send('x'.repeat(1024 * 1024 + 1));
    return close;
  });
  assert.deepEqual([close.code, close.wasClean], [1009, true]);
});

await check('a query has both values', async () => {
  const { responses, closes } = await outcome(BOTH, GOOD);
  hasBoth(responses[0].data);
  assert.deepEqual(closes, [NORMAL]);
});

await check('a field that fails leaves the other', async () => {
  const [{ data, errors }] = (await outcome(BOTH, BAD)).responses;
  hasPiAlone(data, errors);
});

await check('a document that is not valid is an error', async () => {
  isInvalid((await outcome(INVALID)).thrown);
});

await check('a subscription comes to its end', async () => {
  const { responses, closes } = await outcome(CONVERGENCE);
  assert.deepEqual(terms(responses), TERMS);
  assert.deepEqual(closes, [NORMAL]);
});

await check('ten subscriptions in a row of a lazy client each have a socket', async () => {
  const { outcomes, connections, elapsed } = await page.evaluate(async (query) => {
    const { client, seen } = watched();
    const outcomes = [];
    const begun = Date.now();
    for (let k = 0; k < 10; k += 1) outcomes.push(await outcome(client, query));
    return { outcomes, connections: seen.connections, elapsed: Date.now() - begun };
  }, CONVERGENCE);
  for (const { responses } of outcomes) assert.deepEqual(terms(responses), TERMS);
  assert.equal(connections, 10);
  assert.ok(elapsed < 5_000, `${elapsed} ms`);
});

await check('a client that is disposed midway closes cleanly', async () => {
  const closes = await page.evaluate(async (query) => {
    const { client, seen, closed } = watched();
    await new Promise((next) => client.subscribe({ query }, { next, error: next, complete: next }));
    await client.dispose();
    await closed;
    return seen.closes;
  }, LONG);
  assert.deepEqual(closes, [NORMAL]);
});

await check('fetch on a page of another origin has both values', async () => {
  const { origin, status, answer } = await page.evaluate(
    async ({ url, query, variables }) => {
      const headers = { 'content-type': 'application/json', accept: 'application/graphql-response+json' };
      const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
      return { origin: window.origin, status: response.status, answer: await response.json() };
    },
    { url, query: BOTH, variables: GOOD },
  );
  assert.deepEqual([origin, status], ['null', 200]);
  hasBoth(answer.data);
});

await check('EventSource reads a subscription', async () => {
  const responses = await page.evaluate(
    async ({ url, query }) => {
      const source = new EventSource(`${url}?query=${encodeURIComponent(query)}`);
      const received = [];
      source.addEventListener('next', ({ data }) => received.push(JSON.parse(data)));
      await new Promise((resolve) => source.addEventListener('complete', resolve));
      source.close();
      return received;
    },
    { url, query: CONVERGENCE },
  );
  assert.deepEqual(terms(responses), TERMS);
});

await check('a client that does not retry learns that its subscriptions were cut', async () => {
  await page.evaluate(async (query) => {
    const { client } = watched();
    await new Promise((next) => {
      // Together they are far longer than it takes to stop the program.
      const subscribe = () =>
        new Promise((end) => client.subscribe({ query }, { next, error: end, complete: () => end({ code: null }) }));
      window.ends = [subscribe(), subscribe(), subscribe()];
    });
  }, LONG);
  await terminate();
  const ends = await page.evaluate(async () =>
    (await Promise.all(window.ends)).map(({ code, wasClean }) => ({ code, wasClean })),
  );
  await restart();
  assert.deepEqual(ends, [AWAY, AWAY, AWAY]);
});

await check('an idle client finds the next process', async () => {
  await page.evaluate(async (query) => {
    const restarted = new Promise((resolve) => (window.restarted = resolve));
    window.idle = watched({ lazy: false, retryAttempts: 1, retryWait: () => restarted });
    await outcome(window.idle.client, query);
  }, CONVERGENCE);
  await terminate();
  const [close] = await page.evaluate(() => window.idle.closed.then(() => window.idle.seen.closes));
  assert.deepEqual(close, AWAY);
  await restart();
  await page.evaluate(() => window.restarted());
  const { responses } = await page.evaluate((query) => outcome(window.idle.client, query), CONVERGENCE);
  assert.deepEqual(terms(responses), TERMS);
});

await browser.close();
finish();
