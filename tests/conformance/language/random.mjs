// Random requests: documents made by the grammar and the schema, most of them valid, and what small changes make of
// them. A request depends on its seed and its number alone.

export function randomRequest(schema, seed, number) {
  return new Generator(schema, seed, number).request();
}

// Names, numbers and strings that are somewhere in the language, in the schema, or near it.
const NAMES = [
  ...['query', 'mutation', 'subscription', 'fragment', 'on', 'true', 'false', 'null', 'schema', 'extend', 'type'],
  ...['fib', 'pi', 'n', 'terms', 'digits', 'points', 'result', 'cached', 'error', 'leading', 'digitCount'],
  ...['fibs', 'piDigits', 'limits', 'from', 'count', 'maxCount', 'PiDigits', 'Limits'],
  ...['piConvergence', '__typename', '__schema', '__type', 'name', 'if', 'skip', 'include', 'deprecated', 'oneOf'],
  ...['Query', 'Subscription', 'Fibonacci', 'PiApproximation', 'Int', 'Float', 'String', 'Boolean', 'ID', 'BigInt'],
  ...['__Schema', '__TypeKind', 'a', 'b', 'F', 'G', '_', 'A1', 'Mutation'],
];
const INTS = ['0', '1', '2', '3', '7', '10', '20', '93', '100', '213', '-1', '-0', '2147483647', '10000001'];
// Lengths of lists, most of them small: the documents are many.
const COUNTS = ['1', '2', '3', '3', '4', '5', '8', '10', '20', '0', '-1', '1001', '2147483647'];
const NOT_INTS = '2147483648 -2147483649 9999999999999999999 00 01 1.0 1e1 1. .5 - 0x1 1a 1_0'.split(' ');
const TEXTS = ['Int', 'Query', 'Fibonacci', '__Type', 'BigInt', 'Nothing', '', 'é', '😀', '#', '{'];
const PUNCTUATORS = ['!', '$', '&', '(', ')', '...', ':', '=', '@', '[', ']', '{', '|', '}'];
const STRANGE = [
  ...['.', '..', '?', '%', '"', '""', '"""', '\\', "'", '`', '#'],
  ...['\0', '\u0007', '\u00a0', '\u2028', '\ufeff', 'é', '😀'],
];
const IGNORED = [' ', '  ', '\n', '\r', '\r\n', '\t', ',', ',,', '\ufeff', '#\n', '# é "{\n', '#,\r', '\n\n  '];
const STRINGS = [
  ...['"', '"a\nb"', '"\\x"', '"\\u12"', '"\\u{}"', '"\\u{110000}"'],
  ...['"\\ud83d"', '"\\u{d83d}"', '"\\ud83d\\ude00"', '"\\u{0000000041}"'],
];
const NOT_EXECUTABLE = ['scalar X', 'type X { x : Int }', 'extend type Query @ x'].map((text) => text.split(' '));
const ALIASES = ['a', 'b', 'n', 'result', 'fib', 'on', 'true', 'query', '__a', 'A_1'];
const TYPES = ['Int!', 'Int', 'Boolean!', 'Boolean', 'String!', 'String', 'Float', 'ID', '[Int!]!', '[Int]', 'BigInt'];

class Generator {
  constructor(schema, seed, number) {
    this.schema = schema;
    this.state = hash(`${seed}/${number}`);
    this.variables = new Map();
    this.fragments = [];
    this.aliases = 0;
    this.spreads = 0;
  }

  request() {
    let tokens = this.document();
    const changes = this.chance(0.7) ? 0 : 1 + this.below(3);
    for (let k = 0; k < changes; k++) tokens = this.changed(tokens);
    let query = this.written(tokens);
    for (let k = this.chance(0.1) ? 1 + this.below(2) : 0; k > 0; k--) query = this.misspelled(query);
    return { query, ...this.values(), ...this.choice() };
  }

  // The definitions: operations first, since they make the fragments that they spread.
  document() {
    const count = this.pick([1, 1, 1, 1, 1, 1, 2, 3]);
    this.names = count === 1 && this.chance(0.5) ? [undefined] : ['A', 'B', 'A1'].slice(0, count);
    const operations = this.names.map((name) => this.operation(name));
    if (this.chance(0.02)) this.fragment(this.object());
    const definitions = [...operations, ...this.fragments.map(({ tokens }) => tokens)];
    if (this.chance(0.02)) definitions.push(this.pick(NOT_EXECUTABLE));
    if (this.chance(0.2)) definitions.reverse();
    return definitions.flat();
  }

  operation(name) {
    const isSubscription = this.chance(0.08);
    const root = isSubscription ? this.schema.getSubscriptionType() : this.schema.getQueryType();
    this.used = new Set();
    const selections = isSubscription ? this.single(root) : this.selections(root, 4);
    if (name === undefined && !isSubscription && this.used.size === 0 && this.chance(0.6)) return selections;
    const description = this.description();
    const keyword = isSubscription ? 'subscription' : this.chance(0.01) ? 'mutation' : 'query';
    const head = [...description, keyword, ...(name === undefined ? [] : [name])];
    return [...head, ...this.definitions(), ...(this.chance(0.008) ? this.directives() : []), ...selections];
  }

  single(root) {
    return this.chance(0.8)
      ? ['{', ...this.field(root, this.pick(Object.values(root.getFields())), 3), '}']
      : this.selections(root, 3);
  }

  // The definitions of the variables that were used.
  definitions() {
    if (this.chance(0.02)) this.variable(this.pick(TYPES));
    if (this.used.size === 0) return [];
    const definition = (name) => {
      const { type, initial } = this.variables.get(name);
      const reference = type.split(/(?<=\[)|(?=[\]!])/);
      const directives = this.chance(0.008) ? this.directives() : [];
      return [...this.description(), '$', name, ':', ...reference, ...(initial ? ['=', initial] : []), ...directives];
    };
    return ['(', ...[...this.used].flatMap(definition), ')'];
  }

  description() {
    return this.chance(0.04) ? [this.string(this.pick(TEXTS))] : [];
  }

  selections(type, depth) {
    const count = 1 + this.below(3);
    return ['{', ...Array.from({ length: count }, () => this.selection(type, depth)).flat(), '}'];
  }

  selection(type, depth) {
    const kind = this.random();
    if (kind < 0.08) return this.inline(type, depth);
    if (kind < 0.16) return this.spread(type, depth);
    if (kind < 0.22) return [...this.alias(0.5), '__typename', ...this.maybeDirectives()];
    if (kind < 0.26 && type === this.schema.getQueryType()) return this.introspection();
    const fields = Object.values(type.getFields()).filter((field) => depth > 1 || !isComposite(field.type));
    if (fields.length === 0) return ['__typename'];
    const field = this.chance(0.006) ? { name: this.pick(NAMES), args: [], type: fields[0].type } : this.pick(fields);
    return this.field(type, field, depth);
  }

  field(type, field, depth) {
    const selections = isComposite(field.type) ? this.selections(named(field.type), depth - 1) : [];
    return [
      ...this.alias(field.args.length > 0 ? 0.8 : 0.15),
      field.name,
      ...this.args(field.args),
      ...this.maybeDirectives(),
      ...(this.chance(0.99) ? selections : []),
    ];
  }

  introspection() {
    const name = this.pick(['__schema', '__type', '__type']);
    const args = name === '__type' ? ['(', 'name', ':', this.value('String!'), ')'].flat() : [];
    const type = this.schema.getType(name === '__schema' ? '__Schema' : '__Type');
    return [...this.alias(0.9), name, ...args, ...this.maybeDirectives(), ...this.selections(type, 3)];
  }

  // Mostly one that nothing else has: others may conflict, or be merged.
  alias(probability) {
    if (!this.chance(probability)) return [];
    return [this.chance(0.9) ? `k${this.aliases++}` : this.pick(ALIASES), ':'];
  }

  args(all) {
    const given = all.filter((arg) => this.chance(isRequired(arg) ? 0.993 : 0.5));
    if (this.chance(0.01) && all.length > 0) given.push(this.pick(all));
    if (this.chance(0.005)) given.push({ name: this.pick(NAMES), type: 'Int' });
    return given.length > 0 ? ['(', ...given.flatMap((arg) => [arg.name, ':', this.valueFor(arg)]).flat(), ')'] : [];
  }

  // An argument that has a default takes a variable that may be null.
  valueFor(arg) {
    const type = String(arg.type);
    if (['count', 'points'].includes(arg.name) && this.chance(0.7)) return [this.pick(COUNTS)];
    return this.value(isRequired(arg) || this.chance(0.5) ? type : type.replace('!', ''));
  }

  maybeDirectives() {
    return this.chance(0.12) ? this.directives() : [];
  }

  directives() {
    const name = this.pick(this.chance(0.97) ? ['skip', 'include'] : ['deprecated', 'unknown', 'oneOf']);
    const args = this.chance(0.97) && name.length < 8 ? ['(', 'if', ':', this.value('Boolean!'), ')'].flat() : [];
    return ['@', name, ...args, ...(this.chance(0.06) ? this.directives() : [])];
  }

  inline(type, depth) {
    const condition = this.chance(0.6) ? ['on', this.chance(0.95) ? type.name : this.pick(NAMES)] : [];
    return ['...', ...condition, ...this.maybeDirectives(), ...this.selections(type, Math.max(depth - 1, 1))];
  }

  spread(type, depth) {
    const known = this.fragments.filter((fragment) => fragment.type === type);
    const name = known.length > 0 && this.chance(0.7) ? this.again(this.pick(known)) : this.fragment(type, depth);
    return ['...', this.chance(0.99) ? name : this.pick(NAMES), ...this.maybeDirectives()];
  }

  // A fragment spread again: its variables are used here too.
  again(fragment) {
    fragment.used?.forEach((name) => this.used.add(name));
    return fragment.name;
  }

  fragment(type, depth = 2) {
    const name = this.chance(0.99) ? `F${this.spreads++}` : this.pick(NAMES);
    const fragment = { name, type, tokens: [] };
    // While it is made, it may be spread by itself now and then.
    if (this.chance(0.05)) this.fragments.push(fragment);
    const outer = this.used;
    this.used = new Set();
    const selections = this.selections(type, Math.max(depth - 1, 1));
    const directives = this.chance(0.008) ? this.directives() : [];
    fragment.tokens = [...this.description(), 'fragment', name, 'on', type.name, ...directives, ...selections];
    fragment.used = this.used;
    this.used = outer ?? new Set();
    fragment.used.forEach((variable) => this.used.add(variable));
    if (!this.fragments.includes(fragment)) this.fragments.push(fragment);
    return name;
  }

  object() {
    return this.schema.getType(this.pick(['Query', 'Fibonacci', 'PiApproximation', 'PiDigits', 'Limits', '__Type']));
  }

  // The tokens of a value for a place of this type: a variable or a literal.
  value(type) {
    if (this.chance(0.2)) return ['$', this.variable(this.chance(0.96) ? type : this.pick(TYPES))];
    if (this.chance(0.012)) return this.odd();
    if (type.startsWith('Int')) return [this.pick(INTS.slice(0, 10).concat(INTS, INTS.slice(0, 10)))];
    if (type.startsWith('Boolean')) return [this.pick(['true', 'false'])];
    return [this.string(this.pick(TEXTS.slice(0, 5).concat(TEXTS)))];
  }

  odd() {
    const values = ['null', 'ENUM', '1.5', '[1]', '[]', '{}', '{a:1}', '[[true]]', '"1"', 'true', '1', ...NOT_INTS];
    return this.pick(values).split(/(?<=[[\]{}:])|(?=[[\]{}:])/);
  }

  variable(type) {
    const known = [...this.variables].filter(([, variable]) => variable.type[0] === type[0]).map(([name]) => name);
    const name =
      known.length > 0 && this.chance(0.6) ? this.pick(known) : this.pick(['a', 'b', 'c', 'n', 'on', 'if', 'null']);
    if (!this.variables.has(name)) {
      const fitting = { I: '5', B: 'true', S: '"Int"', F: '1.5' }[type[0]];
      const initial = this.pick([
        ...Array(7).fill(undefined),
        fitting,
        fitting,
        this.pick(['null', '$a', '"5"', '[]']),
      ]);
      // With a default, a nullable type may stand where a non-null one is asked for.
      this.variables.set(name, { type: this.chance(initial ? 0.5 : 0.05) ? type.replace('!', '') : type, initial });
    }
    this.used.add(name);
    return name;
  }

  string(text) {
    const kind = this.random();
    if (kind < 0.7) return JSON.stringify(text);
    if (kind < 0.85) return `"""${this.pick(['', '\n', '  \n  ', '\r\n\t'])}${text}${this.pick(['', '\n'])}"""`;
    const escaped = (unit) => `\\u${unit.charCodeAt().toString(16).padStart(4, '0')}`;
    const braced = (character) => `\\u{${character.codePointAt().toString(16)}}`;
    if (kind < 0.91) return `"${text.split('').map(escaped).join('')}"`;
    if (kind < 0.97) return `"${[...text].map(braced).join('')}"`;
    return this.pick(STRINGS);
  }

  // A token more, less, or another.
  changed(tokens) {
    const [at, to] = [this.below(tokens.length), this.below(tokens.length)];
    const all = [...tokens];
    const kind = this.below(6);
    if (kind === 0) all.splice(at, 1);
    else if (kind === 1) all.splice(at, 0, all[at]);
    else if (kind === 2) [all[at], all[to]] = [all[to], all[at]];
    else if (kind === 3) all.splice(at, 1, this.token());
    else if (kind === 4) all.splice(at, 0, this.token());
    else all.splice(at, 0, ...all.slice(to, to + 1 + this.below(4)));
    return all;
  }

  token() {
    return this.pick(
      this.pick([NAMES, NAMES, PUNCTUATORS, PUNCTUATORS, INTS, NOT_INTS, STRANGE, [this.string('Int')]]),
    );
  }

  // The text of tokens: mostly with spaces between them, sometimes with whatever is ignored, or nothing.
  written(tokens) {
    const isPlain = this.chance(0.6);
    const between = () => (this.chance(0.4) ? '' : this.pick(IGNORED));
    const isWord = (token) => /^[-\w"]/.test(token);
    const glue = (token, k) => {
      if (isPlain) return token + ' ';
      const ignored = between();
      return token + (ignored || !isWord(token) || !isWord(tokens[k + 1] ?? '') || this.chance(0.02) ? ignored : ' ');
    };
    return (isPlain ? '' : between()) + tokens.map(glue).join('');
  }

  misspelled(text) {
    const characters = [...text];
    const character = this.pick([...STRANGE, ...PUNCTUATORS, ...IGNORED, 'a', '0', '_', '-']);
    characters.splice(this.below(characters.length + 1), this.below(2), this.pick(['', character]));
    return characters.join('');
  }

  // Values of variables, as a text of JSON.
  values() {
    if (this.variables.size === 0 && this.chance(0.97)) return {};
    const fitting = {
      I: ['3', '7', '5.0', '0'],
      B: ['true', 'false'],
      S: ['"Int"', '"Query"'],
      '[': ['[1]', '1', '[]'],
      F: ['1.5', '2'],
    };
    const odd = ['null', '5.5', '"3"', 'true', '-1', '[1,2]', '{"a":1}', '2147483648', '1e3', '-0', '""', '5e-1'];
    const value = ({ type }) => {
      if (!type.endsWith('!') && this.chance(0.2)) return 'null';
      return this.pick(this.chance(0.85) ? (fitting[type[0]] ?? ['1']) : odd);
    };
    const given = [...this.variables]
      .filter(() => this.chance(0.9))
      .map(([name, variable]) => `"${name}":${value(variable)}`);
    return { variables: `{${given}}` };
  }

  // The operation to execute.
  choice() {
    if (this.names.length === 1 && this.chance(0.95)) return {};
    return this.chance(0.9) ? { operationName: this.pick(this.names) } : { operationName: this.pick(['A', 'C', 'a']) };
  }

  pick(all) {
    return all[this.below(all.length)];
  }

  below(limit) {
    return Math.floor(this.random() * limit);
  }

  chance(probability) {
    return this.random() < probability;
  }

  // mulberry32
  random() {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}

// FNV-1a
function hash(text) {
  let state = 0x811c9dc5;
  for (const character of text) state = Math.imul(state ^ character.codePointAt(), 0x01000193);
  return state;
}

const named = (type) => (type.ofType ? named(type.ofType) : type);
const isComposite = (type) => 'getFields' in named(type);
const isRequired = ({ type, defaultValue, default: initial }) =>
  String(type).endsWith('!') && defaultValue === undefined && initial === undefined;
