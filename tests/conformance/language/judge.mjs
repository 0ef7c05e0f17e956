// Holds requests to phipi against the oracle, and gathers where they differ.

import { allowed, at, editions } from './allowed.mjs';
import { isOfRange } from './oracle.mjs';

// A batch is one request of HTTP.
const BATCH = 10;
const CONCURRENT = 4;

export class Judge {
  constructor(endpoint, oracle) {
    this.endpoint = endpoint;
    this.oracle = oracle;
    this.tally = { documents: 0, executed: 0, ofOneVersion: 0, differences: [], seen: new Set() };
  }

  // A case is a request, a label, and whether it is executed, as far as that is known.
  async hold(cases) {
    const iterator = cases[Symbol.iterator]();
    const next = () => Array.from({ length: BATCH }, () => iterator.next().value).filter(Boolean);
    const work = async () => {
      for (let some = next(); some.length > 0; some = next()) await this.holdBatch(some);
    };
    await Promise.all(Array.from({ length: CONCURRENT }, work));
  }

  async holdBatch(cases) {
    const judgements = [];
    for (const { request } of cases) judgements.push(await this.oracle.judge(request));
    for (const { questions } of judgements) await this.endpoint.warm(questions);
    const isStreamed = (k) => judgements[k].expected.isSubscription;
    const together = cases.filter((_, k) => !isStreamed(k));
    const outcomes = await this.endpoint.outcomes(together.map(({ request }) => request));
    for (const [k, one] of cases.entries()) {
      const ours = isStreamed(k) ? await this.endpoint.streamed(one.request) : outcomes[together.indexOf(one)];
      this.compare(one, ours, judgements[k]);
    }
  }

  compare({ label, request, executes }, ours, { expected: theirs, older }) {
    const { tally } = this;
    tally.documents += 1;
    tally.executed += 'answers' in theirs;
    const tell = (kind) => tally.differences.push({ kind, label, request, ours, theirs });
    if (!isEqual(older, theirs)) {
      tally.ofOneVersion += 1;
      if (!this.isAllowed(editions, request, older, theirs)) tell('version 16 of graphql-js judges otherwise');
    }
    const isAllowed = !isSame(request, ours, theirs) && this.isAllowed(allowed, request, ours, theirs);
    if (!isSame(request, ours, theirs) && !isAllowed) tell(`phipi: ${kind(ours)}, graphql-js: ${kind(theirs)}`);
    if (executes !== undefined && executes !== 'answers' in (isAllowed ? ours : theirs)) tell('not as the corpus says');
  }

  isAllowed(entries, request, ours, theirs) {
    const entry = entries.find(({ isIt }) => isIt(request, ours, theirs, this.oracle));
    if (entry) this.tally.seen.add(entry.name);
    return entry !== undefined;
  }
}

const kind = (outcome) => outcome.refused ?? 'executed';
const isEqual = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// A document that is refused tells a place in it, and the source of a subscription the field that failed. Where both tell the
// range of an argument, they tell the same; phipi may tell of a condition that is null before it.
function isSame({ query }, ours, theirs) {
  if ('answers' in theirs) return isEqual(ours.answers, theirs.answers);
  const isOfDocument = ['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED'].includes(theirs.refused);
  const isPlaced = ours.locations?.every((place) => at(query, place) !== undefined);
  const isTold = !theirs.message || !isOfRange(ours.message) || ours.message === theirs.message;
  return ours.refused === theirs.refused && isEqual(ours.path, theirs.path) && isTold && (isPlaced || !isOfDocument);
}
