// 4 Introspection.

const TYPES = [
  ...['Query', 'Subscription', 'Fibonacci', 'PiApproximation', 'PiDigits', 'Limits'],
  ...['BigInt', 'Int', 'Float', 'String', 'Boolean'],
];
const META = [
  '__Schema',
  '__Type',
  '__TypeKind',
  '__Field',
  '__InputValue',
  '__EnumValue',
  '__Directive',
  '__DirectiveLocation',
];
const REFERENCE = 'kind name ofType { kind name ofType { kind name ofType { kind name } } }';

const ofType = (name, selections) => `{ __type(name: "${name}") { ${selections} } }`;

export default {
  '4.1 Type name introspection': {
    executes: [
      '{ __typename fib(n: 7) { __typename } pi(terms: 7) { __typename } __schema { __typename } __type(name: "Int") { __typename } }',
      '{ a: __typename, b: __typename, __typename }',
      '{ fib(n: 7) { kind: __typename } }',
      '{ fib(n: -1) { __typename } }',
      '{ __schema { queryType { __typename } directives { __typename args { __typename type { __typename } } } } }',
      '{ __type(name: "Query") { fields { __typename args { __typename } } } }',
      '{ __type(name: "__TypeKind") { enumValues { __typename } } }',
      'subscription { piConvergence(terms: 3) { __typename } }',
      '{ ... on Query { __typename } fib(n: 7) { ... on Fibonacci { __typename } } }',
    ],
    refused: [
      '{ fib(n: 7) { __typeName } }',
      '{ fib(n: 7) { __typename: __typename(x: 1) } }',
      '{ __typename { __typename { __typename } } }',
    ],
  },
  '4.2.1 The __Schema type': {
    executes: [
      '{ __schema { description } }',
      '{ __schema { queryType { name } mutationType { name } subscriptionType { name } } }',
      '{ __schema { queryType { kind description fields { name } } } }',
      '{ __schema { mutationType { name fields { name } } } }',
      '{ __schema { types { name } } }',
      '{ __schema { types { kind } } }',
      '{ __schema { types { kind name description } } }',
      '{ __schema { directives { name } } }',
      '{ __schema { a: types { name } b: types { kind } } }',
      '{ a: __schema { queryType { name } } b: __schema { subscriptionType { name } } }',
      '{ __schema { queryType { ...T } subscriptionType { ...T } } } fragment T on __Type { name kind }',
      '{ __schema { types { name } types { kind } } }',
      '{ __schema { types { name @skip(if: true) kind } } }',
      '{ fib(n: 7) { n } __schema { queryType { name } } pi(terms: 7) { terms } }',
      ['query IntrospectionQuery { __schema { queryType { name } } }', undefined, 'IntrospectionQuery'],
    ],
    refused: [
      '{ schema { types { name } } }',
      '{ __schema { type { name } } }',
      '{ __schema { fields { name } } }',
      '{ __schema { types { unknown } } }',
      '{ __schema { directives(includeDeprecated: true) { name } } }',
      'subscription { __schema { types { name } } }',
      '{ __schema(x: 1) { types { name } } }',
    ],
  },
  '4.2.2 The __Type type': {
    executes: [
      ...[...TYPES, ...META].map((name) => ofType(name, 'kind name description specifiedByURL isOneOf')),
      ...[...TYPES, ...META].map((name) =>
        ofType(name, `fields { name type { ${REFERENCE} } args { name type { ${REFERENCE} } defaultValue } }`),
      ),
      ...[...TYPES, ...META].map((name) =>
        ofType(
          name,
          'interfaces { name } possibleTypes { name } inputFields { name } ofType { name } enumValues { name }',
        ),
      ),
      ...[...TYPES, ...META].map((name) =>
        ofType(
          name,
          'fields(includeDeprecated: true) { name isDeprecated deprecationReason } enumValues(includeDeprecated: true) { name isDeprecated deprecationReason } inputFields(includeDeprecated: true) { name }',
        ),
      ),
      ...[
        'Mutation',
        'ID',
        'fib',
        'query',
        '',
        ' Int',
        'Int!',
        '[Int]',
        'int',
        '__type',
        '__typename',
        'skip',
        'toString',
        '__proto__',
        'constructor',
        'Unknown',
        '名',
      ].map((name) => ofType(name, 'name kind')),
      '{ __type(name: "Query") { fields { name isDeprecated deprecationReason description } } }',
      '{ __type(name: "Query") { fields { args { name description } } } }',
      '{ __type(name: "Fibonacci") { fields { type { name kind ofType { name kind } } } } }',
      '{ __type(name: "Fibonacci") { fields { args(includeDeprecated: true) { name isDeprecated deprecationReason defaultValue } } } }',
      '{ __type(name: "Subscription") { fields { args(includeDeprecated: false) { defaultValue } } } }',
      '{ a: __type(name: "Int") { name } b: __type(name: "Float") { name } c: __type(name: "None") { name } }',
      '{ __type(name: "Query") { ...T } } fragment T on __Type { name fields { ...F } } fragment F on __Field { name type { ...N } } fragment N on __Type { name kind }',
      [
        'query ($name: String!, $all: Boolean!) { __type(name: $name) { fields(includeDeprecated: $all) { name } } }',
        { name: 'PiApproximation', all: true },
      ],
      ['query ($all: Boolean! = true) { __schema { types { enumValues(includeDeprecated: $all) { name } } } }'],
      '{ __type(name: "Query") { fields { name } fields { type { name } } } }',
      '{ __type(name: "Query") { a: fields { name } b: fields(includeDeprecated: true) { name } } }',
      '{ __type(name: "Query") { fields @include(if: false) { name } kind } }',
      '{ __type(name: "Query") { interfaces { name } } }',
    ],
    refused: [
      ofType('Query', 'fields(name: "fib") { name }'),
      ofType('Query', 'fields(includeDeprecated: null) { name }'),
      ofType('Query', 'enumValues(includeDeprecated: null) { name }'),
      ofType('Query', 'inputFields(includeDeprecated: null) { name }'),
      ofType('Query', 'fields { args(includeDeprecated: null) { name } }'),
      ofType('Query', 'fields { defaultValue }'),
      ofType('Query', 'fields { args { args { name } } }'),
      ofType('Query', 'types { name }'),
      ofType('Query', 'specifiedByUrl'),
      ofType('Query', 'isDeprecated'),
      ofType('Query', 'isInterface'),
      ofType('__TypeKind', 'enumValues { value }'),
      ofType('Query', 'name(x: 1)'),
      ofType('Query', ''),
      '{ __type(name: Query) { name } }',
      '{ __type("Query") { name } }',
      [
        'query ($all: Boolean) { __type(name: "Query") { fields(includeDeprecated: $all) { name } a: kind } } query { __typename }',
        {},
      ],
      '{ __field(name: "fib") { name } }',
      '{ __directive(name: "skip") { name } }',
    ],
  },
  '4.2.3 The __Field type, 4.2.4 The __InputValue type, 4.2.5 The __EnumValue type': {
    executes: [
      '{ __type(name: "Fibonacci") { fields { name description args { name } type { name } isDeprecated deprecationReason } } }',
      '{ __type(name: "Fibonacci") { fields { args { name description type { kind } defaultValue isDeprecated deprecationReason } } } }',
      '{ __type(name: "__TypeKind") { enumValues { name description isDeprecated deprecationReason } } }',
      '{ __type(name: "__DirectiveLocation") { enumValues { name } } }',
      '{ __type(name: "__TypeKind") { enumValues(includeDeprecated: false) { name } } }',
    ],
    refused: [
      '{ __type(name: "Fibonacci") { fields { args { type } } } }',
      '{ __type(name: "Fibonacci") { fields { kind } } }',
      '{ __type(name: "Fibonacci") { fields { args { kind } } } }',
      '{ __type(name: "__TypeKind") { enumValues { kind } } }',
      '{ __type(name: "__TypeKind") { enumValues { type { name } } } }',
    ],
  },
  '4.2.6 The __Directive type': {
    executes: [
      '{ __schema { directives { name description isRepeatable locations } } }',
      `{ __schema { directives { name args { name defaultValue type { ${REFERENCE} } } } } }`,
      '{ __schema { directives { name args(includeDeprecated: true) { name isDeprecated } } } }',
    ],
    refused: [
      '{ __schema { directives { onOperation } } }',
      '{ __schema { directives { onField } } }',
      '{ __schema { directives { locations { name } } } }',
      '{ __schema { directives { isDeprecated } } }',
      '{ __schema { directives { deprecationReason } } }',
      '{ __schema { directives { args(includeDeprecated: null) { name } } } }',
      '{ __schema { directives(name: "skip") { name } } }',
    ],
  },
};
