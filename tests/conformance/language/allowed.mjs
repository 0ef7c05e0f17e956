// The differences from graphql-js that phipi may have: each entry with its paragraph and reason. The suite fails for an entry that
// never occurs, so that the list holds nothing that is not so.

import { parse, print, visit } from 'graphql17';

export const allowed = [
  {
    name: 'documents beyond the limits of the guard',
    paragraph: 'docs/reference.md, Limits',
    reason: 'a document that costs much to read is refused before it does; the specification leaves that to services',
    isIt: ({ query }, ours) => ours.refused === 'QUERY_TOO_COMPLEX' && isBeyondTheLimits(query),
  },
  {
    name: 'escapes of more than eight hexadecimal digits',
    paragraph: '2.9.4: EscapedUnicode is `{` HexDigit+ `}`, and leading zeros are digits',
    reason: 'graphql-js stops at eight',
    isIt: ({ query }, ours, theirs) => isParsed(ours) && !isParsed(theirs) && /\\u\{0[0-9a-f]{8,}\}/i.test(query),
  },
  {
    name: 'arguments of one value, written in two ways',
    paragraph: '5.3.2: fields merge whose sets of arguments are identical',
    reason: 'phipi compares values, graphql-js their text: 0 and -0, "a" and """a"""',
    isIt: ({ query }, ours, theirs, oracle) =>
      isValid(ours) && isParsed(theirs) && !isValid(theirs) && oracle.version17.takes(alike(query)),
  },
  {
    name: 'malformed definitions of types',
    paragraph: '5.1.1: a document that defines types is not executable, whatever it defines',
    reason: 'phipi reads no definitions of types, and refuses them at their first word',
    isIt: ({ query }, ours, theirs) =>
      ours.refused === 'GRAPHQL_VALIDATION_FAILED' &&
      !isParsed(theirs) &&
      DEFINES_TYPES.test(at(query, ours.locations[0])),
  },
  {
    name: 'a null that leaves no data: in the root selection set, or where nothing above may be null',
    paragraph: '6.4.1 for the error, 6.4.4 for the data; 7.1: a service may refuse a request for reasons of its own',
    reason: 'phipi refuses the request before it runs, graphql-js finds it when it runs and has no data either',
    isIt: (request, ours, theirs) =>
      ours.refused === 'BAD_USER_INPUT' &&
      /^the (condition of @|argument )/.test(ours.message) &&
      theirs.answers?.every(({ data }) => data === 'null'),
  },
];

const isParsed = ({ refused }) => refused !== 'GRAPHQL_PARSE_FAILED';
const isValid = (outcome) => isParsed(outcome) && outcome.refused !== 'GRAPHQL_VALIDATION_FAILED';
const DEFINES_TYPES = /^(schema|scalar|type|interface|union|enum|input|directive|extend)\b/;

// The text at a place of a document, up to the end of its line; `undefined` where there is no such place.
export function at(query, { line, column }) {
  const text = query.split(/\r\n|[\n\r]/)[line - 1];
  return column >= 1 && column <= text?.length + 1 ? text.slice(column - 1) : undefined;
}

// The document with each value written in one way.
function alike(query) {
  const visitor = {
    IntValue: (node) => (node.value === '-0' ? { ...node, value: '0' } : undefined),
    StringValue: (node) => (node.block ? { ...node, block: false } : undefined),
  };
  return print(visit(parse(query), visitor));
}

// The judgements of version 16 of graphql-js that may differ from those of version 17, whose edition phipi keeps to.
export const editions = [
  {
    name: 'mutations without a type for them',
    paragraph: '5.2.1.1 Operation Type Existence, which is a rule of validation since September 2025',
    reason: 'version 16 finds it when it executes the operation',
    isIt: ({ query }) => query.includes('mutation'),
  },
  {
    name: 'conditions at the root of subscriptions',
    paragraph: '5.2.4.1 Single Root Field, which forbids @skip and @include there since September 2025',
    reason: 'version 16 takes them, or throws',
    isIt: ({ query }) => query.includes('subscription') && /skip|include/.test(query),
  },
  {
    name: 'arguments of the introspection that are not nullable',
    paragraph: '4.2 and 3.13.3: `includeDeprecated: Boolean! = false` and `reason: String!` since September 2025',
    reason: 'version 16 has them nullable',
    isIt: ({ query }) => /includeDeprecated|__(type|schema)\b/.test(query),
  },
];

// The differences that the introspection may have from that of the SDL, each with a function that removes it.
export const allowedOfIntrospection = [
  {
    name: 'the order of types and of directives',
    paragraph: '4.2, Stable Ordering: the order of fields, arguments, enum values and interfaces is that of the SDL',
    reason: 'graphql-js lists types as it meets them, phipi by name',
    forget: ({ types, directives }) => [types, directives].forEach((all) => all.sort(byName)),
  },
  {
    name: 'descriptions of what the SDL does not define',
    paragraph: '4.2 names the types of the introspection and their fields, and describes none',
    reason: 'built-in scalars, directives and the types of the introspection are described by the implementation',
    forget: ({ types, directives }) => [...types, ...directives].filter(isBuiltIn).forEach(forgetDescriptions),
  },
];

const byName = (a, b) => (a.name < b.name ? -1 : 1);
const BUILT_IN = ['Int', 'Float', 'String', 'Boolean', 'deprecated', 'oneOf', 'specifiedBy'];
const isBuiltIn = ({ name }) => name.startsWith('__') || BUILT_IN.includes(name);

function forgetDescriptions(one) {
  delete one.description;
  for (const parts of [one.fields, one.args, one.enumValues]) parts?.forEach(forgetDescriptions);
}

const LIMITS = {
  bytes: 131_072,
  tokens: 4_000,
  levels: 24,
  selections: 1_000,
  aliases: 100,
  directives: 100,
  listed: 50_000,
};

function isBeyondTheLimits(query) {
  const document = parse(query);
  const sizes = document.definitions.map(({ selectionSet }) => sizeOf(selectionSet, document));
  const counts = {
    bytes: Buffer.byteLength(query),
    tokens: document.tokenCount,
    levels: Math.max(...sizes.map(({ levels }) => levels)),
    selections: sizes.reduce((sum, { selections }) => sum + selections, 0),
    aliases: Math.max(...sizes.map(({ aliases }) => aliases)),
    directives: query.split('@').length - 1,
    listed: document.definitions.reduce((sum, { selectionSet }) => sum + listedBy(selectionSet), 0),
  };
  return Object.entries(LIMITS).some(([what, limit]) => counts[what] > limit);
}

// The size of a selection set with its fragments spread.
function sizeOf(selectionSet, document) {
  const size = { levels: 1, selections: 0, aliases: 0 };
  for (const { kind, name, alias, selectionSet: own } of selectionSet.selections) {
    const fragment = document.definitions.find(
      (one) => one.kind === 'FragmentDefinition' && one.name.value === name?.value,
    );
    const below = kind === 'FragmentSpread' ? fragment.selectionSet : own;
    const inner = below ? sizeOf(below, document) : { levels: 0, selections: 0, aliases: 0 };
    size.levels = Math.max(size.levels, inner.levels + 1);
    size.selections += inner.selections + 1;
    size.aliases += inner.aliases + (alias ? 1 : 0);
  }
  return size;
}

// The values in the lists of an operation, whose lengths are written in it.
function listedBy({ selections }) {
  const length = (field) => field.arguments.find(({ name }) => ['count', 'points'].includes(name.value))?.value.value;
  const isList = ({ kind, name }) => kind === 'Field' && ['fibs', 'piConvergence'].includes(name.value);
  const lists = selections.filter(isList);
  return lists.reduce((sum, field) => sum + Number(length(field) ?? 0) * field.selectionSet.selections.length, 0);
}
