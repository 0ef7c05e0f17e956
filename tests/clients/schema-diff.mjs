// Tells what the second schema changes for the clients of the first one. The status is 1 when a query that was good is
// not, or answers in another form.

import { readFile } from 'node:fs/promises';
import { CriticalityLevel, diff } from '@graphql-inspector/core';
import { buildSchema } from 'graphql';

const [earlier, later] = await Promise.all(process.argv.slice(2).map((path) => readFile(path, 'utf8')));
const changes = await diff(buildSchema(earlier), buildSchema(later));
for (const { criticality, message } of changes) console.log(`${criticality.level}: ${message}`);
process.exitCode = changes.some(({ criticality }) => criticality.level === CriticalityLevel.Breaking) ? 1 : 0;
