// The same with Apollo Client.

import { ApolloClient, HttpLink, InMemoryCache } from '@apollo/client';
import { asked } from './asked.js';
import { BothDocument } from './both.js';

const { url, n, terms } = asked();
const client = new ApolloClient({ link: new HttpLink({ uri: `${url}/graphql` }), cache: new InMemoryCache() });

// With the policy `all` there are data as well as an error when one of the fields fails; by default there is an error alone.
const { data, error } = await client.query({ query: BothDocument, variables: { n, terms }, errorPolicy: 'all' });

if (data?.fib) console.log(`F(${n}) = ${data.fib.result} (cached: ${data.fib.cached})`);
if (data?.pi) console.log(`π(${terms}) = ${data.pi.result} (cached: ${data.pi.cached})`);
if (error) {
  console.error(error.message);
  process.exitCode = 1;
}
client.stop();
