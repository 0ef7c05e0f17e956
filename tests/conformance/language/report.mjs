// Tells the differences: a kind after the other, the shortest documents first.

const { LANGUAGE_SHOWN: shown = '3' } = process.env;

export function report(differences) {
  for (const kind of new Set(differences.map(({ kind }) => kind))) {
    const all = differences.filter((difference) => difference.kind === kind);
    console.log(`\n${all.length} × ${kind}`);
    const length = ({ request }) => request?.query.length ?? 0;
    all.sort((a, b) => length(a) - length(b));
    all.slice(0, Number(shown)).forEach(show);
  }
  console.log(`${differences.length} differences`);
  process.exitCode = differences.length === 0 ? 0 : 1;
}

function show({ label, request, ours, theirs }) {
  if (label) console.log(`  ${label}`);
  if (request) console.log(`    ${short(JSON.stringify(request), 0)}`);
  if (!request || !ours) return;
  const [phipi, graphqlJs] = [ours, theirs].map((told) => JSON.stringify(told));
  const same = [...phipi].findIndex((character, k) => character !== graphqlJs[k]);
  console.log(`    phipi:      ${short(phipi, same)}`);
  console.log(`    graphql-js: ${short(graphqlJs, same)}`);
}

// A text from somewhat before a place on.
function short(text, place) {
  const [begin, length] = [Math.max(place - 80, 0), 400];
  return `${begin > 0 ? '…' : ''}${text.slice(begin, begin + length)}${text.length > begin + length ? '…' : ''}`;
}
