// Runs the audits of GraphQL over HTTP against the server whose URL is the argument. A line for each audit, and at the
// end how many are met; the status is 1 unless all are.

import { serverAudits } from 'graphql-http';

const audits = serverAudits({ url: process.argv[2], fetchFn: fetch });
let met = 0;
for (const audit of audits) {
  const { status, id, name, reason } = await audit.fn();
  met += status === 'ok';
  console.log([status, id, name, reason && `(${reason})`].filter(Boolean).join(' '));
}
console.log(`${met} of ${audits.length}`);
process.exitCode = met === audits.length ? 0 : 1;
