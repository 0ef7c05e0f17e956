// The cases of one client against the program whose address is the argument. Each case prints a line, "ok" or "not ok"
// with what was seen; the last line counts those that passed.

import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';

export const base = process.argv[2];
export const url = `${base}/graphql`;
export const socketUrl = url.replace('http', 'ws');

export const F_213 = '146178119651438213260386312206974243796773058';
export const PI_1000 = 3.1406380562059932;

export const BOTH = 'query Both($n: Int!) { fib(n: $n) { result cached } pi(terms: 1000) { result cached } }';
/** A list, and digits of π: those from the 762nd decimal on are six nines. */
export const ROWS =
  'query Rows($from: Int!) { fibs(from: $from, count: 3) { n result } piDigits(from: 762, count: 6) { from result } }';
export const INVALID = '{ nothing }';
export const CONVERGENCE = 'subscription Convergence { piConvergence(terms: 1000, points: 4) { terms result } }';
export const TERMS = [1, 10, 100, 1000];

/** Arguments of `fib` that the program answers, and that it refuses. */
export const GOOD = { n: 213 };
export const BAD = { n: -1 };

/** The first index of `fibs` that the program answers, and one that it refuses. */
export const GOOD_ROWS = { from: 93 };
export const BAD_ROWS = { from: -1 };

/** A subscription of about 17 MB: far more than the buffers hold for a client that stops to read at once. */
export const LONG_TERMS = 2147483647;
const padded = Array.from({ length: 20 }, (_, k) => `r${k}${'_'.repeat(970)}: result`).join(' ');
export const LONG = `subscription Long { piConvergence(terms: ${LONG_TERMS}, points: 1000) { terms ${padded} } }`;

/** No case takes longer, however busy the machine is. */
const CASE_MS = 20_000;

let passed = 0;
let total = 0;

/** Runs a case, which fails by an exception. */
export async function check(name, run) {
  total += 1;
  const deadline = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`no end after ${CASE_MS} ms`)), CASE_MS).unref();
  });
  try {
    await Promise.race([run(), deadline]);
    passed += 1;
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`not ok ${name}: ${seen(error).replace(/\s+/g, ' ').slice(0, 500)}`);
  }
}

/** Prints how many cases passed, and ends the process. */
export function finish() {
  console.log(`${passed} of ${total}`);
  process.exit(passed === total ? 0 : 1);
}

/** The text of anything that a client throws: errors, close events and arrays of GraphQL errors. */
export function seen(thrown) {
  if (thrown instanceof Error) return thrown.message;
  if (thrown && 'code' in thrown) return `close ${thrown.code} ${thrown.reason}, clean: ${thrown.wasClean}`;
  return JSON.stringify(thrown);
}

const replies = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function ask(command, reply) {
  console.log(command);
  assert.equal((await replies.next()).value, reply);
}

/** Sends SIGTERM to the program. */
export const terminate = () => ask('terminate', 'terminated');

/** Waits for the end of the program, and for another that listens on the same port. */
export const restart = () => ask('restart', 'restarted');

/** The signal that a client awaits before it connects again, so that it never meets a port on which nobody listens yet. */
export const nextProcess = () => {
  const { happen, happened } = event();
  return { started: () => happened, restart: () => restart().then(happen) };
};

/** Checks both values and their types. */
export function hasBoth(data) {
  assert.equal(data.fib.result, F_213);
  assert.equal(data.pi.result, PI_1000);
  assert.equal(typeof data.fib.cached, 'boolean');
  assert.equal(typeof data.pi.cached, 'boolean');
}

/** Checks that `pi` is answered though `fib` is refused. */
export function hasPiAlone(data, errors) {
  assert.equal(data.fib, null);
  assert.equal(data.pi.result, PI_1000);
  assert.deepEqual(errors[0].path, ['fib']);
  assert.match(errors[0].message, /n must be a whole number from 0 to 10000000, but it is -1/);
  assert.equal(errors[0].extensions.code, 'BAD_USER_INPUT');
}

/** Checks a list in its order, and the digits of π. */
export function hasRows({ fibs, piDigits }) {
  const results = fibs.map(({ n, result }) => [n, result]);
  assert.deepEqual(results, [
    [93, '12200160415121876738'],
    [94, '19740274219868223167'],
    [95, '31940434634990099905'],
  ]);
  hasNines(piDigits);
}

/** Checks that the digits of π are answered though the list is refused. */
export function hasDigitsAlone({ fibs, piDigits }, errors) {
  assert.equal(fibs, null);
  hasNines(piDigits);
  assert.deepEqual(errors[0].path, ['fibs']);
  assert.match(errors[0].message, /from must be a whole number from 0 to 10000000, but it is -1/);
}

const hasNines = ({ from, result }) => assert.deepEqual([from, result], [762, '999999']);

/** Checks the only error of a document that is not valid. */
export function isInvalid(errors) {
  assert.equal(errors.length, 1);
  assert.equal(errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
}

/** A condition that a client will meet, as a promise and what fulfils it. */
export function event() {
  let happen;
  const happened = new Promise((resolve) => (happen = resolve));
  return { happen, happened };
}

/** The numbers of terms in responses to `piConvergence`. */
export const terms = (responses) => responses.map(({ data }) => data.piConvergence.terms);

/** The error that a client throws. */
export async function failure(run) {
  try {
    await run();
  } catch (thrown) {
    return thrown;
  }
  assert.fail('no error');
}

/** All that an async iterator gives. */
export async function all(iterator) {
  const values = [];
  for await (const value of iterator) values.push(value);
  return values;
}
