// The introspection of the whole schema, by every option of both versions' `getIntrospectionQuery`.

import * as version16 from 'graphql';
import * as version17 from 'graphql17';

import { allowedOfIntrospection } from './allowed.mjs';
import { Version } from './oracle.mjs';

const OPTIONS = [
  'descriptions',
  'specifiedByUrl',
  'directiveIsRepeatable',
  'schemaDescription',
  'inputValueDeprecation',
  'oneOf',
];

// The queries: all combinations of the options, each twice at most.
export function introspectionQueries() {
  const chosen = (bits) => Object.fromEntries(OPTIONS.map((option, k) => [option, Boolean(bits & (1 << k))]));
  const all = Array.from({ length: 1 << OPTIONS.length }, (_, bits) => chosen(bits));
  return [
    ...new Set(
      [version16, version17].flatMap((version) => all.map((options) => version.getIntrospectionQuery(options))),
    ),
  ];
}

// The differences between phipi's answers and those of the schema that it publishes.
export async function introspectionDifferences(endpoint, sdl) {
  const { schema } = new Version(version17, sdl);
  const differences = [];
  const unseen = new Set(allowedOfIntrospection);
  for (const query of introspectionQueries()) {
    const ours = (await endpoint.data(query)).__schema;
    const theirs = version17.executeSync({ schema, document: version17.parse(query) }).data.__schema;
    const isEqual = (entries) => text(ours, entries) === text(theirs, entries);
    for (const entry of unseen) {
      if (!isEqual(allowedOfIntrospection.filter((other) => other !== entry))) unseen.delete(entry);
    }
    if (!isEqual(allowedOfIntrospection)) {
      const [phipi, graphqlJs] = [ours, theirs].map((schema) => text(schema, allowedOfIntrospection));
      differences.push({
        kind: 'introspection of the whole schema',
        request: { query },
        ours: phipi,
        theirs: graphqlJs,
      });
    }
  }
  for (const { name } of unseen) differences.push({ kind: `allowed, but never seen: ${name}` });
  return differences;
}

// An introspection without what these entries allow to differ.
function text(schema, entries) {
  const copy = JSON.parse(JSON.stringify(schema));
  entries.forEach(({ forget }) => forget(copy));
  return JSON.stringify(copy);
}
