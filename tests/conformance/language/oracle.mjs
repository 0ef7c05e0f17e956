// The outcome of a request by graphql-js, with the schema that phipi publishes and resolvers of its own.

import * as version16 from 'graphql';
import * as version17 from 'graphql17';

// Most documents are refused, and nobody reads where in graphql-js that was.
Error.stackTraceLimit = 0;

const MAX_N = 10_000_000;
const MAX_INT = 2_147_483_647;
// Four times those of F(10,000,000).
const DIGITS_PER_REQUEST = 8_359_508;

// Of the pieces of the response that the specification leaves to the service, phipi's are taken: see `allowed.mjs`.
export class Oracle {
  constructor(sdl, introspection) {
    this.version16 = new Version(version16, sdl, introspection);
    this.version17 = new Version(version17, sdl, introspection);
  }

  // The outcome of a request by the September 2025 edition, that by the older version, and the questions that it asks.
  async judge(request) {
    const questions = { fib: new Set(), pi: new Set() };
    const expected = await this.version17.outcome(request, questions);
    // Some validation rules of the older version throw.
    const older = await this.version16.outcome(request, questions).catch(() => ({ refused: 'nothing: it throws' }));
    return { expected, older, questions };
  }
}

// An outcome is `{ refused: code }`, or `{ answers: [{ data: text, errors: [path] }] }` with one answer for a query and
// one for each event of a subscription.
export class Version {
  constructor(graphql, sdl, introspection) {
    this.graphql = graphql;
    this.schema = graphql.buildSchema(sdl);
    keepToTheEdition(graphql);
    if (introspection) adopt(this.schema, introspection);
    const { specifiedRules, recommendedRules } = graphql;
    this.rules = specifiedRules.filter((rule) => !recommendedRules.includes(rule));
  }

  parse(query) {
    try {
      // A later edition may allow `{}`.
      return this.graphql.parse(query, { allowEmptySelectionSets: false });
    } catch {
      return undefined;
    }
  }

  isValid(document) {
    return this.graphql.validate(this.schema, document, this.rules, { maxErrors: 1 }).length === 0;
  }

  // Whether a document is valid.
  takes(query) {
    const document = this.parse(query);
    return document !== undefined && this.isValid(document);
  }

  async outcome({ query, variables, operationName }, questions) {
    const { getOperationAST, execute, subscribe } = this.graphql;
    const document = this.parse(query);
    if (!document) return { refused: 'GRAPHQL_PARSE_FAILED' };
    if (!this.isValid(document)) return { refused: 'GRAPHQL_VALIDATION_FAILED' };
    const operation = getOperationAST(document, operationName);
    if (!operation) return { refused: 'OPERATION_RESOLUTION_FAILURE' };
    const isSubscription = operation.operation === 'subscription';
    const result = await (isSubscription ? subscribe : execute)({
      schema: this.schema,
      document,
      operationName,
      rootValue: roots(questions),
      variableValues: variables === undefined ? undefined : JSON.parse(variables),
    });
    if (Symbol.asyncIterator in result) {
      const answers = [];
      for await (const event of result) answers.push(answer(event));
      return { isSubscription, answers };
    }
    if ('data' in result) return { answers: [answer(result)] };
    return { isSubscription, refused: 'BAD_USER_INPUT', path: result.errors[0].path };
  }
}

// The data as text, so that the order of keys counts, and the paths of the errors.
export function answer({ data, errors = [] }) {
  return { data: JSON.stringify(data), errors: errors.map(({ path = [] }) => path.join('.')).sort() };
}

// graphql-js is ahead of the September 2025 edition: directives may be deprecated, and fragments have variables.
function keepToTheEdition({ __Schema, __Directive, __DirectiveLocation, GraphQLDeprecatedDirective: deprecated }) {
  __Schema.getFields().directives.args = [];
  delete __Directive.getFields().isDeprecated;
  delete __Directive.getFields().deprecationReason;
  const isOfIt = (location) => !['DIRECTIVE_DEFINITION', 'FRAGMENT_VARIABLE_DEFINITION'].includes(location);
  deprecated.locations = deprecated.locations.filter(isOfIt);
  const values = __DirectiveLocation.getValues().filter(({ name }) => isOfIt(name));
  __DirectiveLocation.getValues = () => values;
}

// Takes from an introspection what `allowed.mjs` leaves to phipi: the order of types and directives, and the descriptions
// of what the SDL does not define.
function adopt(schema, { types, directives }) {
  const typeMap = byName(inOrder(Object.values(schema.getTypeMap()), types));
  const allDirectives = inOrder(schema.getDirectives(), directives);
  schema.getTypeMap = () => typeMap;
  schema.getDirectives = () => allDirectives;
  for (const type of Object.values(typeMap)) if (!type.astNode) describe(type, named(types, type.name));
  for (const one of allDirectives) if (!one.astNode) describe(one, named(directives, one.name));
}

function describe(one, told) {
  if (!told) return;
  one.description = told.description;
  for (const value of one.getValues?.() ?? []) describe(value, named(told.enumValues, value.name));
  for (const field of Object.values(one.getFields?.() ?? {})) describe(field, named(told.fields, field.name));
  for (const arg of one.args ?? []) describe(arg, named(told.args, arg.name));
}

// Without a prototype, so that nothing is named `constructor` unless it is.
const byName = (all) => Object.assign(Object.create(null), ...all.map((one) => ({ [one.name]: one })));
const named = (all, name) => all.find((one) => one.name === name);

function inOrder(all, told) {
  const places = new Map(told.map(({ name }, place) => [name, place]));
  return [...all].sort((a, b) => (places.get(a.name) ?? told.length) - (places.get(b.name) ?? told.length));
}

// The resolvers. They note what they are asked, so that phipi can be asked the same before, which makes `cached` true.
function roots(questions) {
  return {
    fib: ({ n }) => fibonacci(inRange('n', n, 0, MAX_N), questions),
    pi: ({ terms }) => approximation(inRange('terms', terms, 0, MAX_INT), questions),
    limits: { maxN: MAX_N, maxTerms: MAX_INT, digitsPerRequest: DIGITS_PER_REQUEST },
    piConvergence: ({ terms, points }) => {
      const counts = spaced(inRange('terms', terms, 1, MAX_INT), inRange('points', points, 1, 1_000));
      return events(counts.map((count) => ({ piConvergence: approximation(count, questions) })));
    },
  };
}

// A function of one number that evaluates none twice.
function remembered(evaluate) {
  const values = new Map();
  return (number) => {
    if (!values.has(number)) values.set(number, evaluate(number));
    return values.get(number);
  };
}

function inRange(name, value, least, most) {
  if (value >= least && value <= most) return value;
  throw new Error(`${name} is out of range`);
}

const digits = remembered((n) => String(fibonacciPair(n)[0]));

function fibonacci(n, { fib }) {
  fib.add(n);
  const result = digits(n);
  const leading = ({ digits }) => result.slice(0, inRange('digits', digits, 0, MAX_INT));
  const trailing = ({ digits }) => result.slice(Math.max(0, result.length - inRange('digits', digits, 0, MAX_INT)));
  return { n, result, cached: true, digitCount: result.length, leading, trailing };
}

// F(n) and F(n + 1), by doubling.
function fibonacciPair(n) {
  if (n === 0) return [0n, 1n];
  const [a, b] = fibonacciPair(Math.floor(n / 2));
  const [even, odd] = [a * (2n * b - a), a * a + b * b];
  return n % 2 === 0 ? [even, odd] : [odd, even + odd];
}

// Fixed-point numbers with this many decimals.
const DECIMALS = 80;
const ONE = 10n ** BigInt(DECIMALS);
const PI = 3_14159265358979323846264338327950288419716939937510582097494459230781640628620899n;

// The number to which a fixed-point number is rounded: reading a decimal rounds correctly.
const toNumber = (fixed) => Number(`${fixed}e-${DECIMALS}`);

function approximation(terms, { pi }) {
  pi.add(terms);
  return { terms, cached: true, ...basel(terms) };
}

const basel = remembered((terms) => {
  const result = toNumber(squareRoot(6n * inverseSquares(terms) * ONE));
  // A result of 2 to 4 is a multiple of 2^-51.
  const exact = (BigInt(result * 2 ** 51) * ONE) / 2n ** 51n;
  return { result, error: toNumber(PI - exact) };
});

// 1/1² + … + 1/terms². Of many terms, π²/6 without the rest by the Euler–Maclaurin formula, to 10^-30 and better.
function inverseSquares(terms) {
  const n = BigInt(terms);
  const power = (exponent) => ONE / n ** exponent;
  if (terms > 10_000) {
    const rest = power(1n) - power(2n) / 2n + power(3n) / 6n - power(5n) / 30n + power(7n) / 42n;
    return (PI * PI) / ONE / 6n - rest;
  }
  let sum = 0n;
  for (let i = 1n; i <= n; i++) sum += ONE / (i * i);
  return sum;
}

function squareRoot(square) {
  if (square === 0n) return 0n;
  let root = 10n ** BigInt(Math.ceil(String(square).length / 2));
  for (;;) {
    const next = (root + square / root) / 2n;
    if (next >= root) return root;
    root = next;
  }
}

// At most this many different numbers from 1 to `largest`, evenly spaced on a logarithmic scale.
function spaced(largest, points) {
  const numbers = Array.from({ length: points }, (_, k) => Math.round(largest ** (k / Math.max(points - 1, 1))));
  numbers[points - 1] = largest;
  return [...new Set(numbers)];
}

async function* events(all) {
  yield* all;
}
