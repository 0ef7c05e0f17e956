// 2.1 Source Text: characters, ignored tokens, and what tokens are.

// A document with every kind of token next to every kind of another, by its tokens.
const TOKENS =
  `query A ( $ n : Int ! = 7 $ b : Boolean = true ) { x : fib ( n : $ n ) @ skip ( if : false ) { ... F ... on Fibonacci @
  include ( if : $ b ) { leading ( digits : -0 ) } ... { n } } y : __type ( name : "Int" ) { name } ... @ include ( if :
  $ b ) { __typename } } fragment F on Fibonacci { result trailing ( digits : 3 ) }`.split(/\s+/);

// More values for lists and objects; no argument takes them.
const TYPES =
  'query A ( $ n : [ [ Int ! ] ! ] = [ [ 1 ] ] ) { fib ( n : [ { a : $ n b : [ ] c : null d : ENUM } ] ) { n } }'.split(
    ' ',
  );

// The tokens with something before the one at a place.
const withBefore = (tokens, place, text) => [
  ...tokens.slice(0, place),
  text + (tokens[place] ?? ''),
  ...tokens.slice(place + 1),
];
const places = (tokens) => Array.from({ length: tokens.length + 1 }, (_, place) => place);
const everywhere = (tokens, text) => places(tokens).map((place) => withBefore(tokens, place, text).join(' '));

// The tokens next to each other, but for spaces between words.
const close = (tokens) =>
  tokens.map((token, k) => (isWord(token) && isWord(tokens[k + 1]) ? `${token} ` : token)).join('');
const isWord = (token) => /^[\w-]/.test(token ?? '');

// Each two words with nothing between them, which makes one word of them, or none.
const runOn = (tokens) =>
  places(tokens)
    .filter((place) => isWord(tokens[place]) && isWord(tokens[place + 1]))
    .map((place) =>
      [...tokens.slice(0, place), tokens[place] + tokens[place + 1], ...tokens.slice(place + 2)].join(' '),
    );

const spelled = (code) => String.fromCodePoint(code);
const CONTROLS = [0x00, 0x01, 0x07, 0x08, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f, 0x80, 0x85, 0x9f].map(spelled);
// They look like spaces, like ends of lines, or like nothing.
const BLANKS = [
  0xa0, 0x1680, 0x180e, 0x2000, 0x200b, 0x200d, 0x2028, 0x2029, 0x202e, 0x2060, 0x3000, 0xfffe, 0xffff,
].map(spelled);
const LETTERS = ['é', 'ß', 'π', 'н', '名', 'ａ', '٣', '²', 'ﬁ', '😀', '𝒜', '́', '\u{e000}', '\u{10ffff}'];
const SIGNS = [
  '?',
  '%',
  '^',
  '*',
  '+',
  '/',
  '\\',
  '<',
  '>',
  '~',
  '`',
  "'",
  ';',
  '.',
  '..',
  '=>',
  '-',
  '--',
  '£',
  '€',
  '…',
  '“',
  '，',
  '（',
];
const IGNORED = ['\t', '\n', '\r', '\r\n', ',', ',,,', '\ufeff', '#\n', '#\r', '#\r\n', '# { "\n', '##\n', ' \t\n\r,'];

export default {
  '2.1.1 White space: between any two tokens': {
    executes: [
      ...everywhere(TOKENS, '\t'),
      close(TOKENS),
      TOKENS.join('\t'),
      TOKENS.join(' \t '),
      TOKENS.join('        '),
    ],
    refused: [TYPES.join('\t'), close(TYPES)],
  },
  '2.1.2 Line terminators: between any two tokens': {
    executes: [
      ...everywhere(TOKENS, '\n'),
      TOKENS.join('\n'),
      TOKENS.join('\r'),
      TOKENS.join('\r\n'),
      TOKENS.join('\n\r'),
      TOKENS.join('\n\n'),
    ],
    refused: ['\n', '\r\n', '{ fib(n: 7) { n }\n', '{\n\n  fib(n: 7) {\r\n    unknown\r  }\n}'],
  },
  '2.1.3 Comments: between any two tokens': {
    executes: [
      ...everywhere(TOKENS, '# "} {\n'),
      TOKENS.join('#\n'),
      TOKENS.join('# a comment\r'),
      TOKENS.join(' # a comment\r\n'),
      '{ __typename } # the last line',
      '{ __typename } #',
      '#\n#\n#\n{ __typename }',
      '# π, 名, 😀 and \u0000, \u0007, \u200b, \ufeff\n{ __typename }',
      '# """ is no string here\n{ __typename }',
      '# a backslash \\\n{ __typename }',
      '{ __typename # is "not" a \\n string\n}',
      '{ fib(n: 7) { n } # }\n }',
      '{ fib(n: 7 # 8\n) { n } }',
      '{ fib(n: 7#8\n) { n } }',
      '{ n: __typename#comment\n }',
      '{ __type(name: "#Int") { name } }',
      '{ __type(name: """#\nInt""") { name } }',
      '{ __typename #\u2028 goes on\n}',
      '{ __typename #\u0085 goes on\n}',
    ],
    refused: [
      '#',
      '# { __typename }',
      '{ __typename # }',
      '#\r',
      '{ # fib(n: 7) { n }\n }',
      '{ fib(n: #) { n } }\n) }',
      '/* no */ { __typename }',
      '// no\n{ __typename }',
      '-- no\n{ __typename }',
    ],
  },
  '2.1.4 Insignificant commas': {
    executes: [
      ...everywhere(TOKENS, ','),
      TOKENS.join(',,'),
      ',{ __typename }',
      '{ __typename },',
      '{,__typename,}',
      '{ __typename,,, x: __typename }',
    ],
    refused: [',', ',,,', '{,}', '{ fib(,) { n } }', 'query(,) { __typename }', '{ fib(n:,) { n } }'],
  },
  '2.1.1 Unicode: a byte order mark': {
    executes: [
      ...everywhere(TOKENS, '\ufeff'),
      '\ufeff\ufeff{ __typename }',
      '{ __type(name: "\ufeffInt") { name } }',
      '{ __type(name: """\ufeffInt""") { name } }',
    ],
    refused: ['\ufeff', '{\ufeff}', '{ fib(n: 1\ufeff2) { n } }', '\ufffe{ __typename }'],
  },
  '2.1.6 Ignored tokens: within a token they are none': {
    executes: IGNORED.filter((text) => !/[\n\r]/.test(text)).map((text) => `{ __type(name: "In${text}t") { name } }`),
    refused: [
      ...IGNORED.map((text) => `{ __type${text}name }`),
      ...IGNORED.map((text) => `{ fib(n: 7) { .${text}.. { n } } }`),
      ...IGNORED.filter((text) => /[\n\r]/.test(text)).map((text) => `{ __type(name: "In${text}t") { name } }`),
      ...IGNORED.map((text) => `{ fib(n: -${text}1) { n } }`),
      ...IGNORED.slice(0, 5).map((text) => `{ fib(n: 1${text}0) { n } }`),
    ],
  },
  '2.1.5 Lexical tokens: two words with nothing between them': {
    refused: [
      ...runOn(TOKENS),
      'queryQ { __typename }',
      'fragmentF on Query { __typename } { ...F }',
      '{ ...F } fragment F onQuery { __typename }',
      '{ ... onQuery { __typename } }',
      '{ fib(n: 1a) { n } }',
      '{ fib(n: 1_) { n } }',
      '{ fib(n: 0x) { n } }',
      '{ fib(n: 1n: 1) { n } }',
      '{ fib(n: 7){leading(digits: 3digits: 3)} }',
      '{ pi(terms: 1)@skip(if: trueif: true) { terms } }',
      '{ fib(n: 1.5a) { n } }',
      '{ fib(n: 1e5a) { n } }',
      '{ fib(n: 1.) { n } }',
      '{ fib(n: 1..2) { n } }',
      '{ fib(n: 1...F) { n } }',
      '{ fib(n: 1.e) { n } }',
      'query($n: Int = 1$m: Int = 2a) { __typename }',
    ],
    executes: [
      '{fib(n:7){n}pi(terms:7){terms}}',
      '{a:__typename...F}fragment F on Query{b:__typename}',
      '{__typename...@skip(if:true){b:__typename}}',
      'query($n:Int=7$m:Int=8){fib(n:$n){n}pi(terms:$m){terms}}',
      '{__type(name:"Int"){name}a:__type(name:"""Int"""){name}}',
      '{fib(n:7){leading(digits:3)trailing(digits:3)}}',
      'query($b:Boolean!=true){__typename@skip(if:$b)a:__typename}',
    ],
  },
  '2.1.7 Punctuators': {
    refused: [
      ...['!', '$', '&', '(', ')', '...', ':', '=', '@', '[', ']', '{', '|', '}'].flatMap((sign) => [
        sign,
        `{ __typename ${sign} }`,
        `${sign} { __typename }`,
      ]),
      ...['(', '[', ']', '}', '"'].map((sign) => `{ fib(n: 7 ${sign} { n } }`),
      '{ { __typename } }',
      '( __typename )',
      '[ __typename ]',
      '{ fib[n: 7] { n } }',
      '{ fib{n: 7} { n } }',
      '{ fib(n = 7) { n } }',
      '{ fib(n 7) { n } }',
      '{ fib(n:: 7) { n } }',
      '{ a:: __typename }',
      '{ . . . F } fragment F on Query { __typename }',
      '{ .. F } fragment F on Query { __typename }',
      '{ .... F } fragment F on Query { __typename }',
      '{ ......F } fragment F on Query { __typename }',
      '{ fib(n: $$n) { n } }',
      '{ __typename @@skip(if: true) }',
    ],
  },
  '2.1.8 Names': {
    executes: [
      ...[
        '_',
        '__',
        'A',
        'z',
        'aB3',
        '_0',
        'a__b',
        'z9_',
        'query',
        'mutation',
        'subscription',
        'fragment',
        'on',
        'true',
        'false',
        'null',
        'type',
        'extend',
        'schema',
        'if',
        'x'.repeat(1_000),
      ].map((name) => `{ ${name}: __typename }`),
      ...['query', 'mutation', 'subscription', 'fragment', 'on', 'true', 'false', 'null', '_', 'A1'].flatMap((name) => [
        `query ${name} { __typename }`,
        [`query($${name}: Int!) { fib(n: $${name}) { n } }`, { [name]: 7 }],
      ]),
      ...['query', 'mutation', 'subscription', 'fragment', 'true', 'false', 'null', 'On', 'ON', 'on_'].map(
        (name) => `{ ...${name} } fragment ${name} on Query { __typename }`,
      ),
      '{ a: __typename A: __typename }',
    ],
    refused: [
      ...['0a', '1', '-a', 'a-b', 'a.b', 'a b:', '$a', '@a', 'a!', '"a"'].map((name) => `{ ${name}: __typename }`),
      ...LETTERS.map((letter) => `{ a${letter}: __typename }`),
      '{ FIB(n: 7) { n } }',
      '{ fib(N: 7) { n } }',
      '{ __TYPENAME }',
      '{ Fib(n: 7) { n } }',
      '{ f\\u0069b(n: 7) { n } }',
      '{ ...on } fragment on on Query { __typename }',
      '{ __typename } fragment on on Query { __typename }',
      '{ ... on } fragment F on Query { __typename }',
    ],
  },
  '2.1.1 Unicode: what is no token': {
    refused: [...CONTROLS, ...BLANKS, ...LETTERS, ...SIGNS].map((character) => `{ __typename ${character} }`),
  },
  '2.1.1 Unicode: in strings and comments': {
    executes: [...CONTROLS, ...BLANKS, ...LETTERS].flatMap((character) => [
      `{ __type(name: "${character}") { name } }`,
      `{ __type(name: """${character}""") { name } }`,
      `{ __typename # ${character}\n}`,
    ]),
  },
  '2.1.5 Lexical tokens: a document that ends too early': {
    refused: places(TOKENS)
      .filter((place) => place > 0 && place < TOKENS.length && !TOKENS.slice(0, place).join(' ').endsWith('} }'))
      .map((place) => TOKENS.slice(0, place).join(' ')),
  },
};
