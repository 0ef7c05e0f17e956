// The limits of phipi's guard, with a document within each limit and one beyond it: see `allowed.mjs`.

const times = (count, text) => Array.from({ length: count }, (_, k) => text.replaceAll('#', k)).join(' ');
const nested = (levels) => `{ ${times(levels, '... {')} __typename ${times(levels, '}')} }`;
const inTen = (count, selection) => `{ ${times(10, `a#: fib(n: 7) { ${times(count, selection)} }`)} }`;
// A fragment that spreads the next twice, and so on: the last is spread 2^count times.
const doubling = (count) =>
  Array.from({ length: count }, (_, k) => `fragment F${k} on Query { ...F${k + 1} ...F${k + 1} }`).join(' ');
const sixLists = (fields) =>
  `{ ${times(6, `l#: fibs(count: 1000) { ${Array.from({ length: fields }, (_, k) => `n${k}: n`).join(' ')} }`)} }`;
const comment = (length) => `{ __typename } #${'x'.repeat(length - '{ __typename } #'.length)}`;

export default {
  'Limits of the guard: within': {
    executes: [
      `{ ${times(100, 'a#: __typename')} }`,
      inTen(99, 'n'),
      `{ ${times(50, 'a#: __typename @skip(if: false) @include(if: true)')} }`,
      nested(23),
      inTen(64, 'leading(digits: 3)'),
      comment(131_072),
      `{ ...F0 } ${doubling(6)} fragment F6 on Query { __typename }`,
      `{ __type(name: "${'x'.repeat(131_000)}") { name } }`,
      sixLists(8),
    ],
  },
  'Limits of the guard: beyond': {
    refused: [
      `{ ${times(101, 'a#: __typename')} }`,
      inTen(100, 'n'),
      `{ ${times(51, 'a#: __typename @skip(if: false) @include(if: true)')} }`,
      nested(24),
      inTen(67, 'leading(digits: 3)'),
      comment(131_073),
      `{ ...F0 } ${doubling(11)} fragment F11 on Query { __typename }`,
      sixLists(9),
    ],
  },
};
