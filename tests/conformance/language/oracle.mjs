// The outcome of a request by graphql-js, with the schema that phipi publishes and resolvers of its own.

import * as version16 from 'graphql';
import * as version17 from 'graphql17';

import { basel, digitsOfPi, fibonacciNumber, fibonacciRow, spaced } from './numbers.mjs';

// Most documents are refused, and nobody reads where in graphql-js that was.
Error.stackTraceLimit = 0;

const MAX_N = 10_000_000;
const MAX_INT = 2_147_483_647;
const MAX_PI_DIGITS = 1_000_000;
const MAX_COUNT = 1_000;
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
    const questions = { fib: new Set(), pi: new Set(), piDigits: new Set() };
    const expected = await this.version17.outcome(request, questions);
    // Some validation rules of the older version throw.
    const older = await this.version16.outcome(request, questions).catch(() => ({ refused: 'nothing: it throws' }));
    return { expected, older, questions };
  }
}

// An outcome is `{ refused: code }`, or `{ answers: [{ data: text, errors: [text] }] }` with one answer for a query and
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
    const [{ path, message }] = result.errors;
    return { isSubscription, refused: 'BAD_USER_INPUT', path, message: isOfRange(message) ? message : undefined };
  }
}

// The data as text, so that the order of keys counts, and the errors: the path of each, and the message of an argument
// that is out of range. The other messages are the service's own.
export function answer({ data, errors = [] }) {
  const told = ({ path = [], message }) => (isOfRange(message) ? `${path.join('.')}: ${message}` : path.join('.'));
  return { data: JSON.stringify(data), errors: errors.map(told).sort() };
}

export const isOfRange = (message) => message.includes(' must be a whole number from ');

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
    fib: ({ n }) => fibonacci(inRange('n', n, 0, MAX_N), () => fibonacciNumber(n), questions),
    fibs: ({ from, count }) => {
      const most = Math.min(MAX_N - inRange('from', from, 0, MAX_N) + 1, MAX_COUNT);
      const length = inRange('count', count, 1, most);
      const row = once(() => fibonacciRow(from, length));
      return Array.from({ length }, (_, k) => fibonacci(from + k, () => String(row()[k]), questions));
    },
    pi: ({ terms }) => approximation(inRange('terms', terms, 0, MAX_INT), questions),
    // A field of queries, and the source of a subscription.
    piConvergence: ({ terms, points }, _, { operation }) => {
      const counts = spaced(inRange('terms', terms, 1, MAX_INT), inRange('points', points, 1, MAX_COUNT));
      const all = counts.map((count) => approximation(count, questions));
      return operation.operation === 'subscription' ? events(all.map((piConvergence) => ({ piConvergence }))) : all;
    },
    piDigits: ({ from, count }) => {
      const most = MAX_PI_DIGITS - inRange('from', from, 0, MAX_PI_DIGITS - 1);
      questions.piDigits.add(from + inRange('count', count, 1, most));
      return { from, count, result: () => digitsOfPi(from, count), cached: true };
    },
    limits: {
      maxN: MAX_N,
      maxTerms: MAX_INT,
      maxPiDigits: MAX_PI_DIGITS,
      maxCount: MAX_COUNT,
      digitsPerRequest: DIGITS_PER_REQUEST,
    },
  };
}

function inRange(name, value, least, most) {
  if (value >= least && value <= most) return value;
  throw new Error(`${name} must be a whole number from ${least} to ${most}, but it is ${value}`);
}

// F(n), which is printed when a field needs its digits.
function fibonacci(n, print, { fib }) {
  fib.add(n);
  const result = once(print);
  const leading = ({ digits }) => result().slice(0, inRange('digits', digits, 0, MAX_INT));
  const trailing = ({ digits }) => {
    const left = result().length - inRange('digits', digits, 0, MAX_INT);
    return result().slice(Math.max(0, left));
  };
  return { n, result, cached: true, digitCount: () => result().length, leading, trailing };
}

function approximation(terms, { pi }) {
  pi.add(terms);
  return { terms, cached: true, ...basel(terms) };
}

// A function that is evaluated at its first call.
function once(evaluate) {
  let made;
  return () => (made ??= evaluate());
}

async function* events(all) {
  yield* all;
}
