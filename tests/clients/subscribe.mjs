// What the clients of others get of the server at a URL: a query and a subscription, over a WebSocket and as
// server-sent events. Prints a line of JSON for each.

import { createClient as overSocket } from 'graphql-ws';
import { createClient as asEvents } from 'graphql-sse';
import WebSocket from 'ws';

const url = `${process.argv[2]}/graphql`;
const query = '{ fib(n: 213) { result } pi(terms: 1000) { result } }';
const subscription =
  'subscription ($terms: Int!, $points: Int!) { piConvergence(terms: $terms, points: $points) { terms result error } }';
const refused = 'subscription { piConvergence(terms: 0) { terms } }';
const invalid = '{ nothing }';

const socket = { url: url.replace('http', 'ws'), webSocketImpl: WebSocket, retryAttempts: 0 };

const clients = {
  // One socket for all operations.
  'graphql-ws': overSocket({ ...socket, lazyCloseTimeout: 10_000 }),
  'graphql-sse': asEvents({ url, retryAttempts: 0 }),
};

for (const [name, client] of Object.entries(clients)) {
  for (const operation of [
    { query },
    { query: subscription, variables: { terms: 1000, points: 4 } },
    { query: refused },
    { query: invalid },
  ]) {
    const responses = [];
    let failure = null;
    try {
      for await (const response of client.iterate(operation)) responses.push(response);
    } catch (error) {
      failure = error;
    }
    console.log(JSON.stringify({ name, responses, failure }));
  }
  await client.dispose();
}
