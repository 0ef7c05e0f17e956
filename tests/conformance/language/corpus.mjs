// The documents by hand, under the headings of the September 2025 edition. An entry is a document, or a list of a
// document, the values of its variables (an object, or a text of JSON), and the name of the operation to execute.

import descriptions from './corpus/documents.mjs';
import execution from './corpus/execution.mjs';
import introspection from './corpus/introspection.mjs';
import limits from './corpus/limits.mjs';
import lists from './corpus/lists.mjs';
import sourceText from './corpus/source-text.mjs';
import validation from './corpus/validation.mjs';
import values from './corpus/values.mjs';

const sections = [sourceText, descriptions, values, introspection, validation, execution, lists, limits];

export const corpus = sections.flatMap((section) =>
  Object.entries(section).flatMap(([heading, { executes = [], refused = [] }]) => [
    ...executes.map((entry) => ({ label: heading, request: toRequest(entry), executes: true })),
    ...refused.map((entry) => ({ label: heading, request: toRequest(entry), executes: false })),
  ]),
);

// No document stands for two.
const texts = corpus.map(({ request }) => JSON.stringify(request));
const repeated = texts.filter((text, k) => texts.indexOf(text) !== k).map((text) => escape(text));
if (repeated.length > 0) throw new Error(`twice in the corpus: ${repeated.join('\n')}`);

function toRequest(entry) {
  const [query, variables, operationName] = [entry].flat();
  const request = { query };
  if (variables !== undefined)
    request.variables = typeof variables === 'string' ? variables : JSON.stringify(variables);
  if (operationName !== undefined) request.operationName = operationName;
  return request;
}
