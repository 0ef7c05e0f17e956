// Writes src/both.ts from the schema and src/both.graphql: the query, with the types of its variables and its result.
// Loaders of @graphql-codegen/cli would find more files in more places, and bring 250 more packages.

import { readFile, writeFile } from 'node:fs/promises';
import { codegen } from '@graphql-codegen/core';
import * as typedDocumentNode from '@graphql-codegen/typed-document-node';
import * as typescriptOperations from '@graphql-codegen/typescript-operations';
import { parse } from 'graphql';

const read = async (path) => parse(await readFile(new URL(path, import.meta.url), 'utf8'));

const code = await codegen({
  filename: 'both.ts',
  schema: await read('../../../schema.graphql'),
  documents: [{ location: 'both.graphql', document: await read('src/both.graphql') }],
  // BigInt is a string: a number would lose digits. A scalar that is not listed here is an error.
  config: { scalars: { BigInt: 'string' }, strictScalars: true, useTypeImports: true },
  plugins: [{ typescriptOperations: {} }, { typedDocumentNode: {} }],
  pluginMap: { typescriptOperations, typedDocumentNode },
});
await writeFile(new URL('src/both.ts', import.meta.url), code);
