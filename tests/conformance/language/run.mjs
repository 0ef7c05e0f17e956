// Holds a running phipi against graphql-js: `node run.mjs URL SCHEMA`, where URL is that of /graphql and SCHEMA the file
// that it publishes. LANGUAGE_SEED chooses other random documents, LANGUAGE_COUNT how many there are, LANGUAGE_NUMBER one
// of them, and LANGUAGE_SHOWN how many differences of a kind are shown.

import { readFileSync } from 'node:fs';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { getIntrospectionQuery } from 'graphql';

import { allowed, editions } from './allowed.mjs';
import { corpus } from './corpus.mjs';
import { Endpoint } from './endpoint.mjs';
import { introspectionDifferences, introspectionQueries } from './introspection.mjs';
import { Judge } from './judge.mjs';
import { Oracle } from './oracle.mjs';
import { randomRequest } from './random.mjs';
import { report } from './report.mjs';

const { LANGUAGE_SEED: seed = '13', LANGUAGE_COUNT: count = '50000', LANGUAGE_NUMBER: only } = process.env;
const [url, schemaFile] = process.argv.slice(2);
const sdl = readFileSync(schemaFile, 'utf8');
const endpoint = new Endpoint(url);

// Each thread takes every second of the random documents: nearly all of the time is graphql-js's.
const THREADS = 2;

// The findings of a new judge about these cases, given the schema.
async function judged(cases) {
  const options = { specifiedByUrl: true, directiveIsRepeatable: true, schemaDescription: true };
  const { __schema: introspection } = await endpoint.data(getIntrospectionQuery(options));
  const judge = new Judge(endpoint, new Oracle(sdl, introspection));
  await judge.hold(cases(judge.oracle.version17.schema));
  return judge.tally;
}

const random = (numbers) =>
  function* (schema) {
    for (const k of numbers)
      yield { label: `random document ${k} of seed ${seed}`, request: randomRequest(schema, seed, k) };
  };

function judgedByThread(thread) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: thread, argv: [url, schemaFile] });
    worker.once('message', resolve).once('error', reject);
  });
}

if (!isMainThread) {
  const numbers = Array.from({ length: Number(count) }, (_, k) => k).filter((k) => k % THREADS === workerData);
  parentPort.postMessage(await judged(random(numbers)));
} else if (only !== undefined) {
  report((await judged(random([Number(only)]))).differences);
} else {
  const begin = Date.now();
  const ofIntrospection = await introspectionDifferences(endpoint, sdl);
  const byHand = await judged(() => corpus);
  const ofThreads = await Promise.all(Array.from({ length: THREADS }, (_, thread) => judgedByThread(thread)));
  const sum = (figure) => ofThreads.reduce((sum, tally) => sum + tally[figure], 0);
  console.log(`${introspectionQueries().length} introspections of the whole schema`);
  console.log(`${byHand.documents} documents by hand, ${byHand.executed} of them executed`);
  console.log(`${sum('documents')} random documents of seed ${seed}, ${sum('executed')} of them executed`);
  console.log(
    `${byHand.ofOneVersion + sum('ofOneVersion')} judged by version 17 alone, in ${Math.round((Date.now() - begin) / 1000)} s`,
  );
  const tallies = [byHand, ...ofThreads];
  const unseen = [...allowed, ...editions].filter(({ name }) => !tallies.some(({ seen }) => seen.has(name)));
  const stale = unseen.map(({ name }) => ({ kind: `allowed, but never seen: ${name}` }));
  report([...ofIntrospection, ...tallies.flatMap(({ differences }) => differences), ...stale]);
}
